"""REST beside the stream: what it brings, when it is asked, and what a difference leads to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from bot.app import second_source
from bot.market.inbox import Batch
from bot.market.tick import Tick
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


@pytest.mark.parametrize("ahead", [24_000, 31_000, 51_000, 59_000])
@pytest.mark.parametrize("whole", [True, False])
async def test_a_rest_ahead_of_a_stream_that_flows_makes_none_of_its_rows_late(
    place: VenuePlace, ahead: int, whole: bool
) -> None:
    """ETHUSDT lacks rows all the time, so REST is asked again and again."""
    await place.use(rule("rate > 0.1%", symbols="BTCUSDT,ETHUSDT"))
    del place.rest.rows["ETHUSDT"]
    await place.pass_time(10, {"BTCUSDT": LOW})
    for second in range(200):
        place.rest.behind = -ahead if whole else 0
        place.rest.rows["ETHUSDT"] = {"time": place.rest.now + 1_000 + ahead}
        rate = HIGH if second > 100 else LOW
        place.rest.rows["BTCUSDT"] = {"lastFundingRate": rate}
        await place.second({"BTCUSDT": rate})
        assert not place.engine.reading(place.engine.symbols["BTCUSDT"]).stale
        assert "ETHUSDT" not in place.engine.symbols
    assert place.rest.asked["premiumIndex"] >= 4
    assert place.engine.repeated == 0
    assert place.told() == ["fired BTCUSDT"]


@pytest.mark.parametrize(("ahead", "comes"), [(2_000, True), (2_001, False)])
async def test_what_the_stream_lacks_may_lead_its_clock_by_two_seconds(
    place: VenuePlace, ahead: int, comes: bool
) -> None:
    await place.use(rule("rate > 0.1%", symbols="BTCUSDT,ETHUSDT"))
    place.rest.behind = -ahead
    await place.pass_time(20, {"BTCUSDT": LOW})
    assert place.rest.asked["premiumIndex"] == 1
    assert ("ETHUSDT" in place.engine.symbols) is comes


async def test_a_stream_that_is_late_as_a_whole_is_compared_and_never_replaced(
    place: VenuePlace,
) -> None:
    await place.use(rule("rate > 0.1%", symbols="BTCUSDT,ETHUSDT"))
    await place.pass_time(10, BOTH)
    place.rest.rows["BTCUSDT"] = {"markPrice": "103", "lastFundingRate": "0.0015"}
    for number in range(120):
        place.seconds += 1
        place.rest.now += 1_000
        if number == 20:
            place.stream.show(reconnected_at=place.seconds)
        if number > 22:
            place.stream.show(last_row=place.seconds)
            late = int(place.seconds) - 20
            rows = tuple(tick(late, LOW, symbol) for symbol in BOTH)
            await place.venue._take(Batch(rows))
        await place.venue.heartbeat()
        await place.venue.second.look()
    assert place.venue.second.by_rest == set()
    assert place.rest.asked["premiumIndex"] == 2
    assert not [text for text in place.told() if "differ" in text]
    place.stream.show(reconnected_at=place.seconds)
    place.rest.rows["BTCUSDT"] = {"lastFundingRate": "0.5"}
    for _ in range(30):
        place.seconds += 1
        place.rest.now += 1_000
        place.stream.show(last_row=place.seconds)
        await place.venue._take(Batch((tick(int(place.seconds) - 20, LOW),)))
        await place.venue.second.look()
    assert [text for text in place.told() if "on 1 of 1 symbols" in text]


async def test_a_first_answer_that_was_slow_does_not_keep_later_ones_out(place: VenuePlace) -> None:
    """Without a stream the clock is REST's own: it may catch up."""
    await place.use(rule("rate > 0.1%"))
    place.rest.behind = 8_000
    await place.pass_time(6)
    place.rest.behind = 0
    await place.pass_time(60)
    assert not place.engine.reading(place.engine.symbols["BTCUSDT"]).stale
    assert place.engine.symbols["BTCUSDT"].tick.event_time > place.rest.now - 27_000


@pytest.mark.parametrize("stale_after", [13_000, 20_000, 28_000])
async def test_values_by_rest_are_not_stale_however_soon_values_are(stale_after: int) -> None:
    async with a_venue_place(stale_after) as place:
        await place.refresh()
        await place.use(rule("rate > 0.1%", hold=60_000))
        place.rest.rows["BTCUSDT"] = {"lastFundingRate": HIGH}
        await place.pass_time(6)
        for _ in range(100):
            await place.second()
            assert not place.engine.reading(place.engine.symbols["BTCUSDT"]).stale
        assert "fired BTCUSDT" in place.told()


async def test_each_symbol_that_rest_does_not_know_is_left_alone_for_a_minute(
    place: VenuePlace,
) -> None:
    """Two lack rows from different moments on: neither forgets the other's minute."""
    place.rest.statuses |= {"NEWUSDT": "TRADING", "OLDUSDT": "TRADING"}
    await place.refresh()
    await place.use(rule("rate > 0.1%", symbols="BTCUSDT,NEWUSDT,OLDUSDT"))
    await place.pass_time(10, {"BTCUSDT": LOW, "OLDUSDT": LOW})
    before = place.rest.asked["premiumIndex"]
    await place.pass_time(600, {"BTCUSDT": LOW})
    assert place.rest.asked["premiumIndex"] - before <= 2 * 600 // 60
    place.rest.rows["NEWUSDT"] = {}
    await place.pass_time(100, {"BTCUSDT": LOW})
    for _ in range(60):
        await place.second({"BTCUSDT": LOW})
        assert not place.engine.reading(place.engine.symbols["NEWUSDT"]).stale


async def test_a_person_does_not_wait_for_a_look_that_hangs(
    place: VenuePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_source, "QUOTE_WITHIN", 0.05)
    hanging = asyncio.Event()

    async def hang() -> tuple[Tick, ...]:
        hanging.set()
        await asyncio.Event().wait()
        return ()

    monkeypatch.setattr(place.venue._rest, "premium_index", hang)
    place.seconds += 6
    looking = asyncio.create_task(place.venue.second.look())
    await hanging.wait()
    async with asyncio.timeout(5):
        await place.venue.second.quote()  # while another one asks
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await place.venue.second.quote()  # while it asks itself
    assert place.venue.second.quotes == {}


async def test_a_persons_look_does_not_put_off_the_one_after_a_reconnect_by_much(
    place: VenuePlace,
) -> None:
    await place.use(rule("rate > 0.1%"))
    await place.pass_time(30, {"BTCUSDT": LOW})
    place.stream.show(reconnected_at=place.seconds)
    await place.venue.second.quote()
    asked = place.rest.asked["premiumIndex"]
    await place.pass_time(12, {"BTCUSDT": LOW})
    assert place.rest.asked["premiumIndex"] == asked + 1


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
