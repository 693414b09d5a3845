import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.market.binance import decode_frame
from bot.simulator.funding_times import HOUR, next_funding, venue_offset
from bot.simulator.prices import Market, Pin
from bot.simulator.universe import CROSSERS, Changes, Crosser, build_universe

START = 1_795_363_155_000  # 45 s before 2026-11-22 16:00 UTC
SETTLEMENT = 1_795_363_200_000
UNIVERSE = build_universe(1, 330, START)
MARKET = Market(UNIVERSE, seed=1, started=START)
CROSSING = {crosser.symbol for crosser in CROSSERS}
symbols = st.sampled_from(sorted(UNIVERSE.listings))
times = st.integers(START - 10**9, START + 10**9)


def market() -> Market:
    return Market(UNIVERSE, seed=1, started=START)


def basis(symbol: str, at: int) -> float:
    row = MARKET.row(symbol, at)
    return float(row.mark_price) / float(row.index_price) - 1


@given(symbols, times)
def test_a_row_is_a_function_of_seed_symbol_and_time(symbol: str, at: int) -> None:
    assert MARKET.row(symbol, at) == MARKET.row(symbol, at)


def test_two_markets_of_one_seed_agree_and_of_two_seeds_do_not() -> None:
    row = MARKET.row("ETHUSDT", START)
    assert market().row("ETHUSDT", START) == row
    assert Market(UNIVERSE, seed=2, started=START).row("ETHUSDT", START) != row


@given(symbols, times)
def test_a_row_is_written_as_the_venue_writes_it(symbol: str, at: int) -> None:
    text = MARKET.row(symbol, at).json()
    row = json.loads(text)

    assert list(row) == ["e", "E", "s", "p", "ap", "P", "i", "r", "T", "st"]
    assert row["ap"] == row["p"]
    assert all(re.fullmatch(r"\d+\.\d{8}", row[key]) for key in "pPi")
    assert re.fullmatch(r"-?\d\.\d{8}", row["r"])
    assert row["r"] != "-0.00000000"
    assert " " not in text
    coin_margined = UNIVERSE.listings[symbol].coin_margined
    assert len(decode_frame(text.encode()).ticks) == (0 if coin_margined else 1)


@given(symbols, times)
@settings(max_examples=300)
def test_a_quiet_symbol_stays_below_what_the_module_promises(symbol: str, at: int) -> None:
    if symbol in CROSSING:
        return
    hours = UNIVERSE.listings[symbol].interval or 8
    assert abs(float(MARKET.row(symbol, at).rate)) * 8 / hours < 0.0005
    assert abs(basis(symbol, at)) < 0.0025


@given(symbols, times)
def test_event_times_rise_from_one_push_to_the_next(symbol: str, at: int) -> None:
    now, later = MARKET.row(symbol, at).event_time, MARKET.row(symbol, at + 1000).event_time
    assert at <= now <= at + 12
    assert now < later


@pytest.mark.parametrize("symbol", ["MATICUSDT", "BTCUSDT_261225"])
def test_a_dead_or_dated_contract_streams_on_with_no_funding(symbol: str) -> None:
    row = MARKET.row(symbol, START)
    assert (row.rate, row.next_funding_time) == ("0.00000000", 0)


@pytest.mark.parametrize(
    ("at", "hours", "expected"),
    [
        (SETTLEMENT - 1000, 8, SETTLEMENT),
        (SETTLEMENT, 8, SETTLEMENT),
        (SETTLEMENT + 1000, 8, SETTLEMENT + 8 * HOUR),
        (SETTLEMENT + 1000, 4, SETTLEMENT + 4 * HOUR),
        (SETTLEMENT + 1000, 1, SETTLEMENT + HOUR),
        (SETTLEMENT, 0, 0),
    ],
)
def test_the_funding_time_rolls_in_the_row_after_the_settlement(
    at: int, hours: int, expected: int
) -> None:
    assert next_funding(at, hours) == expected


def test_the_row_at_the_settlement_may_lie_past_it_and_the_rate_does_not_reset() -> None:
    at, after = MARKET.row("BTCUSDT", SETTLEMENT), MARKET.row("BTCUSDT", SETTLEMENT + 1000)
    assert at.event_time > at.next_funding_time == SETTLEMENT
    assert after.next_funding_time == SETTLEMENT + 8 * HOUR
    assert after.rate == at.rate


@pytest.mark.parametrize("symbol", ["BTCUSDT", "XAUUSDT", "人生K线USDT", "ADAUSDT"])
@pytest.mark.parametrize("before", [SETTLEMENT, SETTLEMENT - 316])  # the two phases of the push
def test_the_rate_stands_still_over_a_settlement(symbol: str, before: int) -> None:
    assert MARKET.row(symbol, before).rate == MARKET.row(symbol, before + 1000).rate


@pytest.mark.parametrize("crosser", CROSSERS, ids=lambda crosser: crosser.symbol)
@pytest.mark.parametrize("cycle", [0, 1])
def test_a_crosser_is_at_its_level_between_its_times_and_quiet_around_them(
    crosser: Crosser, cycle: int
) -> None:
    def value(seconds: float) -> float:
        at = START + round((seconds + cycle * 60) * 1000)
        if crosser.field == "rate":
            return float(MARKET.row(crosser.symbol, at).rate)
        return basis(crosser.symbol, at)

    near = pytest.approx
    assert value(crosser.up_at - 1) == near(crosser.quiet, abs=0.0004)
    assert value(crosser.up_at + 1) == near(crosser.level, abs=0.0004)
    assert value(crosser.down_at - 1) == near(crosser.level, abs=0.0004)
    assert value(crosser.down_at + 1) == near(crosser.quiet, abs=0.0004)


def test_before_the_start_no_script_runs() -> None:
    assert MARKET.row("DOGEUSDT", START - 50_000).rate == "0.00010000"


def test_pins_are_sent_as_typed_until_they_are_freed() -> None:
    pinned = market()
    free = pinned.row("BTCUSDT", START)
    pinned.pin("BTCUSDT", Pin(rate="0.00050000"))
    pinned.pin("BTCUSDT", Pin(mark="1", next_funding_time=7))
    row = pinned.row("BTCUSDT", START)

    assert (row.rate, row.mark_price, row.next_funding_time) == ("0.00050000", "1", 7)
    assert row.index_price == free.index_price
    pinned.unpin("BTCUSDT")
    assert pinned.row("BTCUSDT", START) == free


def test_a_pin_of_an_unknown_symbol_is_refused() -> None:
    with pytest.raises(ValueError, match="the simulated market has no 'NOPE'"):
        market().pin("NOPE", Pin(rate="1"))


def test_the_market_is_neither_at_rest_nor_all_moving_nor_one_sided() -> None:
    rows = [MARKET.row(s, START) for s, each in UNIVERSE.listings.items() if each.interval == 8]
    moving = [row for row in rows if row.next_funding_time and row.rate != "0.00010000"]
    assert 0.1 < len(moving) / len(rows) < 0.6
    assert any(float(row.rate) > 0.0001 for row in moving)
    assert any(float(row.rate) < 0 for row in moving)


def test_an_interval_changes_without_a_settlement() -> None:
    changed = market()
    before = changed.row("BTCUSDT", SETTLEMENT + 1000)
    changed.relist(UNIVERSE.with_changes(Changes(intervals={"BTCUSDT": 1})))
    after = changed.row("BTCUSDT", SETTLEMENT + 1000)

    assert before.next_funding_time - after.next_funding_time == 7 * HOUR
    assert after.mark_price == before.mark_price


@given(st.integers(10**12, 2 * 10**12), st.integers(1, 3000))
def test_a_shifted_clock_settles_everything_within_a_second_of_the_wish(
    local: int, seconds: int
) -> None:
    offset = venue_offset(local, seconds)
    settlement = next_funding(local + offset, 8)
    assert offset % 1000 == 0
    assert 0 <= settlement - (local + offset) - seconds * 1000 < 1000


def test_an_unshifted_clock_is_the_local_one() -> None:
    assert venue_offset(123_456, None) == 0
