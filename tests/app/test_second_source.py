"""REST beside the stream: what it brings, when it is asked, and what a difference leads to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.alerts.build import rule, tick
from tests.app.venue_place import VenuePlace, a_venue_place

LOW, HIGH = "0.0001", "0.002"
BOTH = {"BTCUSDT": LOW, "ETHUSDT": LOW}


@pytest.fixture
async def place() -> AsyncIterator[VenuePlace]:
    async with a_venue_place() as made:
        await made.refresh()
        yield made


async def test_a_dead_stream_from_the_start_is_seeded_by_rest_and_alerts_work(
    place: VenuePlace,
) -> None:
    await place.use(rule("rate > 0.1%"))
    place.rest.rows["BTCUSDT"] = {"lastFundingRate": HIGH}
    await place.pass_time(6)
    assert place.told() == ["fired BTCUSDT"]
    assert place.venue.second.by_rest == {"BTCUSDT"}
    place.rest.rows["BTCUSDT"] = {"lastFundingRate": LOW}
    await place.pass_time(30)
    assert [text for text in place.told() if "BTCUSDT" in text] == [
        "fired BTCUSDT", "resolved BTCUSDT",
    ]  # fmt: skip


async def test_values_that_come_by_rest_alone_are_never_stale_and_earn_a_hold(
    place: VenuePlace,
) -> None:
    await place.use(rule("rate > 0.1%", hold=60_000))
    place.rest.rows["BTCUSDT"] = {"lastFundingRate": HIGH}
    await place.pass_time(5)
    for _ in range(100):
        await place.second()
        memory = place.engine.symbols["BTCUSDT"]
        assert not place.engine.reading(memory).stale
    assert "fired BTCUSDT" in place.told()
    assert place.rest.asked["premiumIndex"] <= 5


async def test_one_symbol_that_falls_silent_comes_by_rest_while_others_flow(
    place: VenuePlace,
) -> None:
    await place.use(rule("rate > 0.1%", symbols="BTCUSDT,ETHUSDT"))
    await place.pass_time(10, BOTH)
    assert place.rest.asked["premiumIndex"] == 1
    await place.pass_time(100, {"ETHUSDT": LOW})
    assert place.venue.second.by_rest == {"BTCUSDT"}
    assert place.rest.asked["premiumIndex"] <= 1 + 100 // 25
    await place.second(BOTH)
    assert place.venue.second.by_rest == set()


async def test_a_row_of_rest_that_is_old_makes_nothing_fresh(place: VenuePlace) -> None:
    await place.use(rule("rate > 0.1%"))
    await place.pass_time(6, {"BTCUSDT": LOW})
    place.rest.rows["BTCUSDT"] = {"lastFundingRate": HIGH}
    place.rest.behind = 30_001
    await place.pass_time(60)
    assert place.engine.reading(place.engine.symbols["BTCUSDT"]).stale
    assert not [text for text in place.told() if "fired" in text]


async def test_nothing_is_seeded_that_is_fresh_unwanted_or_not_traded(place: VenuePlace) -> None:
    place.rest.statuses["DEADUSDT"] = "SETTLING"
    place.rest.rows |= {"DEADUSDT": {}, "XRPUSDT": {}, "BTCUSD_PERP": {}}
    await place.refresh()
    await place.use(rule("rate > 0.1%", symbols="BTCUSDT,DEADUSDT"))
    await place.pass_time(6, {"BTCUSDT": LOW})
    assert place.venue.second.by_rest == set()
    assert set(place.engine.symbols) == {"BTCUSDT"}


async def test_a_rule_on_all_is_seeded_with_all_that_trades(place: VenuePlace) -> None:
    await place.use(rule("rate > 0.1%", symbols="ALL"))
    await place.pass_time(6)
    assert place.venue.second.by_rest == {"BTCUSDT", "ETHUSDT"}


async def test_a_reconnect_is_followed_by_one_look(place: VenuePlace) -> None:
    await place.use(rule("rate > 0.1%"))
    await place.pass_time(20, {"BTCUSDT": LOW})
    assert place.rest.asked["premiumIndex"] == 1
    place.stream.show(reconnected_at=place.seconds)
    await place.pass_time(20, {"BTCUSDT": LOW})
    assert place.rest.asked["premiumIndex"] == 2


async def test_a_whole_rest_that_differs_brings_nothing_until_it_agrees(place: VenuePlace) -> None:
    await place.use(rule("rate > 0.1%", symbols="BTCUSDT,ETHUSDT"))
    place.rest.rows = {"BTCUSDT": {"lastFundingRate": "0.5"}, "ETHUSDT": {"lastFundingRate": "0.5"}}
    await place.pass_time(20, {"BTCUSDT": LOW})
    (said,) = place.told()
    assert "Stream and REST differ" in said
    assert "on 1 of 1 symbols" in said
    assert "Nothing is taken from REST" in said
    assert f"rate {LOW} in the stream, 0.5 by REST" in said
    assert "ETHUSDT" not in place.engine.symbols
    place.rest.rows = {"BTCUSDT": {}, "ETHUSDT": {}}
    await place.pass_time(70, {"BTCUSDT": LOW})
    assert place.told()[1:] == ["✅ Stream and REST agree again. It lasted 25s."]
    assert place.venue.second.by_rest == {"ETHUSDT"}


async def test_a_single_difference_is_told_and_the_rest_is_still_trusted(place: VenuePlace) -> None:
    names = [f"S{number}USDT" for number in range(20)]
    place.rest.statuses = dict.fromkeys([*names, "ETHUSDT"], "TRADING")
    place.rest.rows = {name: {} for name in place.rest.statuses}
    place.rest.rows["S3USDT"] = {"markPrice": "120"}
    await place.refresh()
    await place.use(rule("rate > 0.1%", symbols="ALL"))
    await place.pass_time(60, dict.fromkeys(names, LOW))
    (said,) = place.told()
    assert "on 1 of 20 symbols" in said
    assert "<b>S3USDT</b>: mark 100 in the stream, 120 by REST" in said
    assert "Nothing is taken" not in said
    assert place.venue.second.by_rest == {"ETHUSDT"}
    memory = place.engine.symbols["S3USDT"]
    assert memory.tick.mark == "100"


async def test_a_difference_that_is_gone_at_the_second_look_is_not_told(place: VenuePlace) -> None:
    await place.use(rule("rate > 0.1%"))
    place.rest.rows["BTCUSDT"] = {"indexPrice": "90"}
    await place.pass_time(6, {"BTCUSDT": LOW})
    assert place.rest.asked["premiumIndex"] == 1
    place.rest.rows["BTCUSDT"] = {}
    await place.pass_time(30, {"BTCUSDT": LOW})
    assert place.rest.asked["premiumIndex"] == 2
    assert place.told() == []


@pytest.mark.parametrize("status", [503, 429, 451])
async def test_a_rest_that_refuses_is_not_pressed_and_the_stream_goes_on(
    place: VenuePlace, status: int
) -> None:
    await place.use(rule("rate > 0.1%", symbols="BTCUSDT,ETHUSDT"))
    place.rest.down = status
    await place.pass_time(120, {"BTCUSDT": LOW})
    assert place.rest.asked["premiumIndex"] <= 6
    await place.second({"BTCUSDT": HIGH})
    assert place.told() == ["fired BTCUSDT"]
    place.rest.down = 0
    place.rest.rows["BTCUSDT"] = {"lastFundingRate": HIGH}
    await place.pass_time(130, {"BTCUSDT": HIGH})
    assert place.venue.second.by_rest == {"ETHUSDT"}


async def test_rows_that_are_repeated_out_of_order_are_not_compared_with_rest(
    place: VenuePlace,
) -> None:
    await place.use(rule("rate > 0.1%", symbols="BTCUSDT,ETHUSDT"))
    for _ in range(80):
        await place.second(BOTH)
        place.venue.second.heard(
            [tick(int(place.seconds) - 5, HIGH), tick(int(place.seconds), HIGH)]
        )
    assert place.rest.asked["premiumIndex"] == 1
    assert place.told() == []


async def test_rows_from_after_the_clock_was_set_back_are_compared_again(place: VenuePlace) -> None:
    place.seconds += 1
    second = place.venue.second
    second.heard([tick(1 + 60, HIGH)])
    second.heard([tick(1, LOW)])
    assert [row.rate for row in second._present(place.seconds).values()] == [LOW]


async def test_people_who_look_at_the_market_share_one_request(place: VenuePlace) -> None:
    await place.use(rule("rate > 0.1%"))
    for _ in range(3):
        await place.venue.quote()
    assert place.rest.asked["premiumIndex"] == 1


async def test_nothing_is_asked_before_rows_may_be_taken(place: VenuePlace) -> None:
    """A rate means nothing without the catalog, which is waited for first."""
    await place.use(rule("rate > 0.1%"))
    place.seconds += 60
    running = asyncio.create_task(place.venue.second.run())
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(running), 1.3)
    assert place.rest.asked["premiumIndex"] == 0
    consuming = asyncio.create_task(place.venue.consume())
    async with asyncio.timeout(5):
        while not place.rest.asked["premiumIndex"]:  # noqa: ASYNC110 - the double counts
            await asyncio.sleep(0.02)
    for task in (running, consuming):
        task.cancel()
    await asyncio.gather(running, consuming, return_exceptions=True)
