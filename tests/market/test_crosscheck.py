"""Two sources compared: what may differ, what must not, and when REST is in doubt."""

from typing import Any

import pytest

from bot.market.crosscheck import Difference, Verdict, compare_sources
from bot.market.tick import Tick
from tests.market.rows import E0, T0, tick

S, MINUTE = 1000, 60_000


def row(symbol: str = "BTCUSDT", at: int = E0, **changes: Any) -> Tick:
    values = {"mark": "100", "index": "100", "rate": "0.0001", "next_funding_time": T0}
    return tick(symbol, at, **(values | changes))


def compared(ours: Tick, theirs: Tick) -> Verdict:
    return compare_sources({ours.symbol: ours}, {theirs.symbol: theirs})


@pytest.mark.parametrize(
    ("ours", "theirs", "fields"),
    [
        (row(), row(), []),
        (row(), row(rate="0.0006"), []),
        (row(), row(rate="0.00060001"), ["rate"]),
        (row(rate="-0.0003"), row(rate="0.0003"), ["rate"]),
        (row(), row(mark="101"), []),
        (row(), row(mark="101.01"), ["mark"]),
        (row(), row(index="98.9"), ["index"]),
        (row(), row(mark="200", index="200"), ["mark", "index"]),
        (row(), row(next_funding_time=T0 + MINUTE), []),  # T has a jitter
        (row(), row(next_funding_time=T0 + MINUTE + 1), ["T"]),
        (row(), row(next_funding_time=0), ["T"]),
        (row(next_funding_time=0), row(next_funding_time=0, rate="0.1"), []),
        (row(), row(rate=""), []),
        (row(), row(mark="", index="0"), []),
        (row(mark="x"), row(mark="5"), []),
        (row(mark="0"), row(mark="5"), []),
    ],
)
def test_rows_of_the_same_moment_differ_beyond_a_tolerance(
    ours: Tick, theirs: Tick, fields: list[str]
) -> None:
    verdict = compared(ours, theirs)
    assert verdict.compared == 1
    assert [difference.field for difference in verdict.differences] == fields


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        # One has settled, the other has not yet.
        (
            row(at=T0 + 2 * S, rate="0.01", next_funding_time=T0 + 8 * 60 * MINUTE),
            row(at=T0 - S, next_funding_time=T0),
        ),
        (row(at=T0 - MINUTE), row(at=T0 - MINUTE, rate="0.01")),
        # The stream is a minute late: it has not seen the settlement that was a second ago.
        (
            row(at=T0 - 59 * S),
            row(at=T0 + S, rate="0.01", next_funding_time=T0 + 8 * 60 * MINUTE),
        ),
        (
            row(at=T0 - 59 * S - MINUTE),
            row(at=T0 - MINUTE, rate="0.01"),
        ),
    ],
)
def test_near_a_settlement_neither_rate_nor_t_is_compared(ours: Tick, theirs: Tick) -> None:
    assert compared(ours, theirs) == Verdict(1)


@pytest.mark.parametrize(("apart", "count"), [(0, 1), (60 * S, 1), (-60 * S, 1), (60 * S + 1, 0)])
def test_rows_that_are_more_than_a_minute_apart_are_not_compared(apart: int, count: int) -> None:
    assert compared(row(), row(at=E0 + apart, mark="100")).compared == count


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("apart", "changes", "fields"),
    [
        (5 * S, {"mark": "101"}, []),
        (5 * S, {"mark": "101.01"}, ["mark"]),
        (24 * S, {"mark": "104.8"}, []),
        (24 * S, {"mark": "104.9"}, ["mark"]),
        (24 * S, {"rate": "0.0025"}, []),
        (24 * S, {"rate": "0.00251"}, ["rate"]),
        (5 * S, {"next_funding_time": T0 - 7 * 60 * MINUTE}, ["T"]),
        (6 * S, {"next_funding_time": T0 - 7 * 60 * MINUTE}, []),  # it pays each hour now
        (60 * S, {"rate": "0.5", "mark": "300"}, ["rate", "mark"]),
    ],
)
def test_the_further_apart_rows_are_the_more_they_may_differ(
    apart: int, sign: int, changes: dict[str, Any], fields: list[str]
) -> None:
    verdict = compared(row(), row(at=E0 + sign * apart, **changes))
    assert verdict.compared == 1
    assert [difference.field for difference in verdict.differences] == fields


def test_a_difference_shows_both_texts() -> None:
    (difference,) = compared(row(), row(rate="0.01")).differences
    assert difference == Difference("BTCUSDT", "rate", "0.0001", "0.01")


def test_a_symbol_that_one_source_alone_has_is_not_compared() -> None:
    assert compare_sources({"A": row("A")}, {"B": row("B")}) == Verdict()


@pytest.mark.parametrize(
    ("symbols", "wrong", "trusted"),
    [(0, 0, True), (1, 0, True), (1, 1, False), (9, 1, False), (10, 1, True), (10, 2, False),
     (700, 70, True), (700, 71, False)],
)  # fmt: skip
def test_more_than_a_tenth_of_the_symbols_put_rest_in_doubt(
    symbols: int, wrong: int, trusted: bool
) -> None:
    names = [f"S{number}" for number in range(symbols)]
    stream = {name: row(name) for name in names}
    rest = {name: row(name) for name in names}
    rest |= {name: row(name, mark="300", rate="0.5") for name in names[:wrong]}
    verdict = compare_sources(stream, rest)
    assert (verdict.compared, len(verdict.symbols)) == (symbols, wrong)
    assert verdict.trusts_rest is trusted
