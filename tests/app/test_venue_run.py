"""The real program when the venue's contracts change and its sources fail, by the simulator."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.app.program import ADMIN, Place, a_place

HIGH = "0.00200000"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path) as made:
        made.write_rules(
            '{name: hot, symbols: [BTCUSDT, ETHUSDT], when: "rate > 0.1%"}',
        )
        yield made


async def test_a_delisted_contract_and_another_interval_are_told_within_seconds(
    place: Place,
) -> None:
    place.venue.set_row("BTCUSDT", rate=HIGH)
    async with place.start() as run:
        await place.heard(ADMIN, "Rule hot")
        place.venue.faults.set("delist", "BTCUSDT")
        await place.heard(ADMIN, "no longer traded (SETTLING)")
        await place.heard(ADMIN, "this alert ended without being over")
        assert await run.stop() == 0
    # A catalog that was kept tells at the next start what changed meanwhile.
    place.venue.faults.set("interval", "ETHUSDT:1")
    async with place.start():
        await place.heard(ADMIN, "now pays every 1 h")
    told = [message.text for message in place.telegram.to(ADMIN)]
    assert sum("no longer traded" in text for text in told) == 1
    assert not [text for text in told if "over after" in text]


async def test_a_symbol_that_the_stream_dropped_comes_by_rest(place: Place) -> None:
    place.venue.faults.set("drop", "BTCUSDT")
    place.venue.set_row("BTCUSDT", rate=HIGH)
    async with place.start():
        fired = await place.heard(ADMIN, "Rule hot", within=20)
    assert "BTCUSDT" in fired.text


async def test_a_stream_that_is_refused_leaves_rest_to_bring_the_values(place: Place) -> None:
    place.venue.faults.set("refuse", "451")
    place.venue.set_row("ETHUSDT", rate=HIGH)
    async with place.start():
        await place.heard(ADMIN, "Rule hot", within=20)
        silent = await place.heard(ADMIN, "The feed is silent", within=25)
    assert "does not serve the country" in silent.text
    assert "next attempt" in silent.text


async def test_sources_that_differ_are_told(place: Place) -> None:
    place.venue.faults.set("disagree", "BTCUSDT,ETHUSDT")
    async with place.start():
        said = await place.heard(ADMIN, "Stream and REST differ", within=40)
    assert "BTCUSDT" in said.text


async def test_a_silence_that_is_told_before_a_kill_is_told_to_be_over_after_it(
    place: Place,
) -> None:
    async with place.start() as run:
        place.venue.faults.set("silent")
        await place.heard(ADMIN, "The feed is silent", within=30)
        await run.kill()
    place.venue.faults.clear("silent")
    async with place.start():
        await place.heard(ADMIN, "The feed is back after", within=40)
    told = [message.text for message in place.telegram.to(ADMIN)]
    # What the kill caught between the sending and its record comes again, and says so.
    silent = [text for text in told if "The feed is silent" in text]
    assert len([text for text in silent if "Possible repeat" not in text]) == 1


async def test_a_catalog_that_comes_late_is_taken_within_seconds(place: Place) -> None:
    place.write_rules('{name: hot, symbols: [BTCUSDT], when: "rate8h > 0.1%"}')
    place.venue.set_row("BTCUSDT", rate="0.00020000")
    place.venue.faults.set("interval", "BTCUSDT:1")
    place.venue.faults.set("rest-down", "500")
    async with place.start() as run:
        await run.said("The catalog: ")
        place.venue.faults.clear("rest-down")
        await place.heard(ADMIN, "Rule hot", within=20)
