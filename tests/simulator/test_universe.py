from collections import Counter
from datetime import date

import pytest

from bot.simulator.universe import CROSSERS, Changes, build_universe, next_quarters

AT = 1_795_363_200_000  # 2026-11-22 16:00 UTC


@pytest.mark.parametrize("count", [40, 330, 900])
def test_a_universe_has_exactly_as_many_symbols_as_asked_for(count: int) -> None:
    assert len(build_universe(1, count, AT).listings) == count


def test_a_universe_too_small_for_every_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="symbols: expected at least 28, got 5"):
        build_universe(1, 5, AT)


@pytest.mark.parametrize("count", [40, 330])
def test_every_kind_of_contract_is_there(count: int) -> None:
    listings = build_universe(1, count, AT).listings
    funded = Counter(each.interval for each in listings.values() if each.funded)

    assert {1, 4, 8} <= funded.keys()
    assert {"XAUUSDT", "TSLAUSDT"} <= {s for s, each in listings.items() if each.tradfi}
    assert listings["BTCUSDT_261225"].contract_type == "CURRENT_QUARTER"
    assert listings["BTCUSDT_270326"].contract_type == "NEXT_QUARTER"
    assert listings["MATICUSDT"].status == "SETTLING"
    assert listings["BTCUSD_PERP"].coin_margined
    assert {"币安人生USDT", "人生K线USDT", "1000PEPEUSDT", "BTCUSDC"} <= listings.keys()


def test_another_seed_makes_another_market_of_the_same_names() -> None:
    one, two = build_universe(1, 330, AT).listings, build_universe(2, 330, AT).listings
    assert list(one) == list(two)
    assert {s: each.price for s, each in one.items()} != {s: each.price for s, each in two.items()}


def test_every_crosser_is_listed_and_pays_funding() -> None:
    listings = build_universe(1, 40, AT).listings
    assert all(listings[crosser.symbol].funded for crosser in CROSSERS)


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2026, 11, 22), [date(2026, 12, 25), date(2027, 3, 26)]),
        (date(2026, 9, 24), [date(2026, 9, 25), date(2026, 12, 25)]),
        (date(2026, 9, 25), [date(2026, 12, 25), date(2027, 3, 26)]),
        (date(2026, 12, 31), [date(2027, 3, 26), date(2027, 6, 25)]),
    ],
)
def test_quarterlies_are_delivered_on_the_last_friday_of_the_quarter(
    today: date, expected: list[date]
) -> None:
    assert next_quarters(today, 2) == expected


def test_changes_touch_only_the_symbols_that_they_name() -> None:
    before = build_universe(1, 40, AT)
    after = before.with_changes(Changes(delisted=["ETHUSDT"], intervals={"BTCUSDT": 1})).listings

    assert after["ETHUSDT"].status == "SETTLING"
    assert after["BTCUSDT"].interval == 1
    changed = {symbol for symbol, each in after.items() if each != before.listings[symbol]}
    assert changed == {"ETHUSDT", "BTCUSDT"}
