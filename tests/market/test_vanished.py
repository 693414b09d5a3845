"""Rows that lack in an answer: what is kept, for how long, and what says otherwise."""

import pytest

from bot.market.catalog import Catalog
from bot.market.reading import HOUR
from bot.market.tick import Tick
from bot.market.vanished import (
    Vanished,
    vanished_contracts,
    vanished_doubt,
    vanished_funding,
    with_vanished,
)

NOW = 1_700_000_000_000


def listed(*symbols: str, kind: str = "PERPETUAL", status: str = "TRADING") -> Catalog:
    rows = [{"symbol": name, "contractType": kind, "status": status} for name in symbols]
    return Catalog().with_exchange_info({"symbols": rows})


def paying(catalog: Catalog, **hours: int) -> Catalog:
    rows = [{"symbol": name, "fundingIntervalHours": span} for name, span in hours.items()]
    return catalog.with_funding_info(rows)


def row(until: int | None) -> Tick | None:
    """A row now whose T comes in so many ms; 0: it has none."""
    return None if until is None else Tick("A", NOW, next_funding_time=until and NOW + until)


@pytest.mark.parametrize(
    ("kind", "until", "lives"),
    [
        ("PERPETUAL", HOUR, True),
        ("TRADIFI_PERPETUAL", HOUR, True),
        ("PERPETUAL", -1_000, True),  # the row before T rolls
        ("PERPETUAL", 0, False),
        ("PERPETUAL", -2 * HOUR, None),
        ("PERPETUAL", None, None),
        ("CURRENT_QUARTER", 0, None),  # it never had a T
    ],
)
def test_a_contract_lives_while_its_rows_have_a_t_to_come(
    kind: str, until: int | None, lives: bool | None
) -> None:
    before = listed("A", "B", kind=kind)
    found = vanished_contracts(before, listed("B"), lambda symbol: row(until))
    assert found == {"A": lives}


def test_what_did_not_trade_may_leave_at_once() -> None:
    before = listed("A", status="SETTLING")
    assert vanished_contracts(before, listed("B"), lambda symbol: row(HOUR)) == {}


@pytest.mark.parametrize(
    ("until", "traded", "lives"),
    [
        (3 * HOUR, True, None),
        (4 * HOUR + 20, True, None),  # a row just before T that has the next T already
        (4 * HOUR + 120_000, True, False),
        (None, True, None),
        (0, True, None),
        (HOUR, False, False),
    ],
)
def test_an_interval_is_over_where_t_is_further_or_nothing_trades(
    until: int | None, traded: bool, lives: bool | None
) -> None:
    before = paying(listed("A", "B"), A=4, B=4)
    after = paying(listed(*("A" * traded), "B"), B=4)
    assert vanished_funding(before, after, lambda symbol: row(until)) == {"A": lives}


@pytest.mark.parametrize(
    ("lives", "kept"),
    [
        ([None] * 4, [True, True, False, False]),
        ([None, True, None, None], [True, True, True, True]),
        ([True] * 4, [True, True, True, True]),
        ([False], [False]),
        ([None, False], [True, False]),
    ],
)
def test_three_answers_in_a_row_and_four_minutes_are_believed(
    lives: list[bool | None], kept: list[bool]
) -> None:
    vanished, found = Vanished(), []
    for number, one in enumerate(lives):
        vanished.judge({"A": one}, number * 120.0)
        found.append("A" in vanished.kept)
    assert found == kept


def test_three_answers_within_a_minute_are_too_few_and_one_that_has_it_begins_anew() -> None:
    vanished = Vanished()
    for second in (0, 20, 40, 200):
        vanished.judge({"A": None}, second)
        assert vanished.kept == {"A"}
    vanished.judge({}, 240)
    for second in (260, 380):
        vanished.judge({"A": None}, second)
        assert vanished.kept == {"A"}


def test_without_doubt_only_what_lives_is_kept() -> None:
    vanished = Vanished()
    vanished.judge({"A": None, "B": True}, 0.0, doubting=False)
    assert vanished.kept == {"B"}


def test_kept_rows_are_as_they_were_and_in_their_places() -> None:
    before, after = paying(listed("A", "B", "C"), A=1), paying(listed("C", "B", "D"), B=2)
    made = with_vanished(before, after, {"A"}, {"A"})
    assert list(made.contracts or ()) == ["A", "B", "C", "D"]
    assert {name: funding.interval_hours for name, funding in made.funding.items()} == {
        "A": 1,
        "B": 2,
    }


def test_a_half_that_nobody_knows_is_kept_unknown() -> None:
    assert with_vanished(Catalog(), paying(Catalog(), A=1), (), ()).contracts is None


@pytest.mark.parametrize(("count", "doubted"), [(0, False), (4, False), (5, True)])
def test_few_rows_that_lack_are_no_doubt(count: int, doubted: bool) -> None:
    words = vanished_doubt("exchangeInfo", "abcdef"[:count], "x" * 30)
    assert words == ("exchangeInfo lacks 5 of 30 rows that it had" if doubted else "")
