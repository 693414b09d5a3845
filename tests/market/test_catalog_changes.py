"""What is new in a catalog, and which catalogs are not believed."""

import random
from typing import Any

import pytest

from bot.market.catalog import Catalog
from bot.market.catalog_changes import (
    News,
    Terms,
    catalog_changes,
    contracts_doubt,
    funding_doubt,
)

TRADING = {"A": "TRADING"}


def catalog(contracts: dict[str, str] | None, funding: dict[str, Any] | None = None) -> Catalog:
    """`contracts`: symbol to status. `funding`: symbol to hours, or to (hours, cap, floor)."""
    made = Catalog()
    if contracts is not None:
        rows = [
            {"symbol": symbol, "contractType": "PERPETUAL", "status": status}
            for symbol, status in contracts.items()
        ]
        made = made.with_exchange_info({"symbols": rows})
    terms = {
        s: t if isinstance(t, tuple) else (t, "0.02", "-0.02") for s, t in (funding or {}).items()
    }
    return made.with_funding_info(
        [
            {
                "symbol": symbol,
                "fundingIntervalHours": hours,
                "adjustedFundingRateCap": cap,
                "adjustedFundingRateFloor": floor,
            }
            for symbol, (hours, cap, floor) in terms.items()
        ]
    )


def said(changes: list[Any]) -> list[str]:
    return [f"{change.news.name} {change.symbol}" for change in changes]


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        (catalog(TRADING), catalog(TRADING), []),
        (catalog(TRADING), catalog({"A": "SETTLING"}), ["GONE A"]),
        (catalog(TRADING), catalog({"B": "TRADING"}), ["GONE A", "LISTED B"]),
        (catalog({"A": "SETTLING"}), catalog({}), []),
        (catalog({"A": "SETTLING"}), catalog({"A": "CLOSE"}), []),
        (catalog({"A": "SETTLING"}), catalog(TRADING), ["AGAIN A"]),
        (catalog({"A": "PENDING_TRADING"}), catalog(TRADING), ["LISTED A"]),
        (catalog({}), catalog({"A": "PENDING_TRADING"}), []),
        # The first one ever tells nothing.
        (catalog(None), catalog(TRADING), []),
        (catalog(None), catalog(TRADING, {"A": 4}), []),
        (catalog(TRADING), catalog(TRADING, {"A": 4}), []),
        (catalog(TRADING, {"A": 8}), catalog(TRADING, {"A": 1}), ["INTERVAL A"]),
        # Without exchangeInfo intervals are told all the same, but not those of COIN-M.
        (catalog(None, {"A": 8}), catalog(None, {"A": 1}), ["INTERVAL A"]),
        (catalog(None, {"AUSD_PERP": 8}), catalog(None, {"AUSD_PERP": 1}), []),
        # What fundingInfo does not list pays every 8 h.
        (catalog(TRADING, {"A": 8, "B": 8}), catalog(TRADING, {"B": 8}), []),
        (catalog(TRADING, {"A": 4, "B": 8}), catalog(TRADING, {"B": 8}), ["INTERVAL A"]),
        (catalog(TRADING, {"B": 8}), catalog(TRADING, {"A": 4, "B": 8}), ["INTERVAL A"]),
        (catalog(TRADING, {"B": 8}), catalog(TRADING, {"A": 0, "B": 8}), []),
        # Of what is gone nothing else is told.
        (catalog(TRADING, {"A": 8}), catalog({"A": "SETTLING"}, {"A": 1}), ["GONE A"]),
        (catalog({}, {"A": 8}), catalog(TRADING, {"A": 1}), ["LISTED A"]),
        (
            catalog(TRADING, {"A": (8, "0.003", "-0.003")}),
            catalog(TRADING, {"A": (8, "0.00300", "-0.02")}),
            ["LIMITS A"],
        ),
        (
            catalog(TRADING, {"A": (8, "0.003", "-0.003")}),
            catalog(TRADING, {"A": (1, "0.02", "-0.02")}),
            ["INTERVAL A", "LIMITS A"],
        ),
        (
            catalog(TRADING, {"A": (8, "0.003", "-0.003")}),
            catalog(TRADING, {"A": (8, "0.0030", "")}),
            [],
        ),
    ],
)  # fmt: skip
def test_what_is_new(before: Catalog, after: Catalog, news: list[str]) -> None:
    assert said(catalog_changes(before, after)) == news


@pytest.mark.parametrize(
    ("before", "after", "taught", "terms"),
    [
        ({"A": 4}, {"A": 1}, {}, [(4, 1)]),
        ({"A": 4, "B": 8}, {"B": 8}, {"A": 4}, []),  # the steps of T still say 4 h
        ({"A": 4, "B": 8}, {"B": 8}, {"A": 1}, [(4, 1)]),
        ({"B": 8}, {"A": 4, "B": 8}, {"A": 4}, []),
    ],
)
def test_the_steps_of_t_speak_for_what_is_not_listed(
    before: dict[str, int], after: dict[str, int], taught: dict[str, int], terms: list[Any]
) -> None:
    found = catalog_changes(catalog(TRADING, before), catalog(TRADING, after), taught)
    assert [(change.before.hours, change.after.hours) for change in found] == terms


def test_a_change_carries_the_venues_word_and_both_terms() -> None:
    before = catalog({"A": "TRADING"}, {"A": (8, "0.003", "-0.003")})
    (gone,) = catalog_changes(before, catalog({"A": "SETTLING"}, {}))
    assert (gone.status, gone.before.hours, gone.after) == ("SETTLING", 8, Terms(8))
    (vanished,) = catalog_changes(before, catalog({}, {}))
    assert vanished.status == ""


def test_the_strongest_comes_first() -> None:
    before = catalog(
        {"G": "TRADING", "R": "SETTLING", "I": "TRADING", "C": "TRADING"},
        {"I": 8, "C": (8, "0.003", "-0.003")},
    )
    contracts = {"L": "TRADING", "C": "TRADING", "I": "TRADING", "R": "TRADING"}
    after = catalog(contracts, {"I": 1, "C": (8, "0.02", "-0.02")})
    assert said(catalog_changes(before, after)) == [
        "GONE G", "AGAIN R", "INTERVAL I", "LIMITS C", "LISTED L",
    ]  # fmt: skip


def test_changes_there_and_back_are_each_others_opposite() -> None:
    """Any two catalogs: what one way is gone is there (again) on the way back."""
    draw = random.Random(3)
    states = ["TRADING", "SETTLING", "PENDING_TRADING", None]
    opposite = {News.GONE: {News.AGAIN, News.LISTED}, News.INTERVAL: {News.INTERVAL}}
    for _ in range(200):
        pair = []
        for _ in range(2):
            chosen = {name: draw.choice(states) for name in "ABCDEFGH"}
            contracts = {name: status for name, status in chosen.items() if status is not None}
            pair.append(catalog(contracts, {name: draw.choice([1, 4, 8]) for name in "ABCX"}))
        first, second = pair
        there = {(c.symbol, c.news) for c in catalog_changes(first, second)}
        back = {(c.symbol, c.news) for c in catalog_changes(second, first)}
        for symbol, news in there:
            assert news not in opposite or any((symbol, o) in back for o in opposite[news])


def many(count: int, status: str = "TRADING") -> dict[str, str]:
    return {f"S{number}": status for number in range(count)}


@pytest.mark.parametrize(
    ("before", "after", "doubted"),
    [
        (many(100), many(100), False),
        (many(100), many(50), False),
        (many(100), many(49), True),
        (many(100), many(100, "BREAK"), True),
        (many(100), many(40) | {f"N{number}": "TRADING" for number in range(60)}, True),
        (many(4), many(0), False),  # so few may well have left
        (many(5), many(0), True),
        (many(100, "SETTLING"), many(0), False),
    ],
)
def test_a_list_that_lost_most_of_what_traded_is_not_believed(
    before: dict[str, str], after: dict[str, str], doubted: bool
) -> None:
    assert bool(contracts_doubt(catalog(before), catalog(after))) is doubted


def test_a_first_list_is_believed() -> None:
    assert contracts_doubt(Catalog(), catalog(many(1))) == ""
    assert funding_doubt(Catalog(), Catalog()) == ""


@pytest.mark.parametrize(
    ("before", "after", "doubted"),
    [(100, 100, False), (100, 50, False), (100, 49, True), (1, 0, True), (3, 1, False)],
)
def test_fundings_that_mostly_left_are_not_believed(before: int, after: int, doubted: bool) -> None:
    first, second = (catalog(None, dict.fromkeys(many(count), 8)) for count in (before, after))
    assert bool(funding_doubt(first, second)) is doubted
