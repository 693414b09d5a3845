"""What one answer of the catalog says waits for a second one, or for a row."""

import pytest

from bot.market.catalog import PERPETUAL, Catalog
from bot.market.catalog_changes import CatalogChange, News, Terms
from bot.market.unconfirmed import (
    AGREED_AFTER,
    Unconfirmed,
    shows_gone,
    shows_hours,
    with_former,
)
from tests.market.rows import tick

HOUR = 3_600_000
MIDNIGHT = 1_700_006_400_000  # ms
SOON = AGREED_AFTER - 1
ONE, FOUR = 1, 4


def gone(status: str = "BREAK") -> CatalogChange:
    return CatalogChange(News.GONE, "A", status, Terms(8), Terms(8))


def pays(hours: int) -> CatalogChange:
    return CatalogChange(News.INTERVAL, "A", "TRADING", Terms(8), Terms(hours))


@pytest.mark.parametrize(
    ("answers", "waits"),
    [
        ([(0, [gone()])], True),
        ([(0, [gone()]), (SOON, [gone()])], True),
        ([(0, [gone()]), (AGREED_AFTER, [gone()])], False),
        ([(0, [gone()]), (AGREED_AFTER, [gone("SETTLING")])], False),
        ([(0, [gone()]), (SOON, []), (AGREED_AFTER, [gone()])], True),  # it traded in between
        ([(0, [gone()]), (SOON, [gone()]), (AGREED_AFTER, [gone()])], False),
        ([(0, [pays(ONE)]), (AGREED_AFTER, [pays(ONE)])], False),
        ([(0, [pays(ONE)]), (AGREED_AFTER, [pays(FOUR)])], True),
        ([(0, [pays(ONE)]), (AGREED_AFTER, [])], False),
    ],
)
def test_a_change_waits_until_a_later_answer_says_the_same(
    answers: list[tuple[float, list[CatalogChange]]], waits: bool
) -> None:
    unconfirmed = Unconfirmed()
    for now, changes in answers:
        unconfirmed.judge(changes, now, lambda change: False)
    assert unconfirmed.waiting == ({"A"} if waits else set())


def test_a_change_that_rows_show_does_not_wait() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.judge([gone(), pays(ONE)], 0.0, lambda change: change.news is News.GONE)
    assert unconfirmed.waiting == {"A"}
    unconfirmed.judge([gone(), pays(ONE)], 1.0, lambda change: True)
    assert unconfirmed.waiting == set()


@pytest.mark.parametrize(
    ("kind", "funding_time", "shown"),
    [(PERPETUAL, 0, True), (PERPETUAL, MIDNIGHT, False), ("CURRENT_QUARTER", 0, False)],
)
def test_a_perpetual_without_a_t_is_gone(kind: str, funding_time: int, shown: bool) -> None:
    assert shows_gone(kind, tick("A", next_funding_time=funding_time)) is shown
    assert not shows_gone(kind, None)


@pytest.mark.parametrize(
    ("before", "after", "at", "ahead", "shown"),
    [
        (8, 1, MIDNIGHT + 5 * HOUR, HOUR, True),  # 5 h is no hour of 8 h
        (8, 4, MIDNIGHT + 4 * HOUR, HOUR, True),
        (8, 4, MIDNIGHT + 5 * HOUR, HOUR, False),  # nor of 4 h
        (8, 1, MIDNIGHT + 8 * HOUR, HOUR, False),  # both settle then
        (8, 1, MIDNIGHT + 5 * HOUR + 15, HOUR, True),  # a jitter
        (8, 1, MIDNIGHT + 5 * HOUR - 15, HOUR, True),
        (4, 8, MIDNIGHT + 8 * HOUR, 7 * HOUR, True),  # too far away for 4 h
        (4, 8, MIDNIGHT + 8 * HOUR, 3 * HOUR, False),
        (8, 1, MIDNIGHT + 5 * HOUR, 5 * HOUR, False),  # too far away for 1 h
    ],
)
def test_t_shows_another_interval_where_it_fits_it_alone(
    before: int, after: int, at: int, ahead: int, shown: bool
) -> None:
    row = tick("A", at - ahead, next_funding_time=at)
    assert shows_hours(before, after, row) is shown


@pytest.mark.parametrize("row", [None, tick("A", next_funding_time=0)])
def test_without_t_nothing_is_shown(row: object) -> None:
    assert not shows_hours(8, 1, row)  # type: ignore[arg-type]


def contracts(**statuses: str) -> Catalog:
    rows = [
        {"symbol": s, "contractType": PERPETUAL, "status": status} for s, status in statuses.items()
    ]
    return Catalog().with_exchange_info({"symbols": rows})


def test_what_waits_is_as_it_was_and_everything_else_as_it_is() -> None:
    before = contracts(A="TRADING", B="TRADING", C="TRADING").with_funding_info(
        [{"symbol": "A", "fundingIntervalHours": 4}]
    )
    after = contracts(A="BREAK", B="BREAK", D="TRADING").with_funding_info(
        [{"symbol": s, "fundingIntervalHours": 1} for s in "AB"]
    )
    mixed = with_former(before, after, {"A"}, {"A", "B"})
    assert {s: row.status for s, row in (mixed.contracts or {}).items()} == {
        "A": "TRADING", "B": "BREAK", "D": "TRADING",
    }  # fmt: skip
    assert {s: row.interval_hours for s, row in mixed.funding.items()} == {"A": 4}
    assert with_former(before, after, (), ()) == after
