"""A contract that is no longer traded: its alerts end, for good, and as what they are."""

from typing import Any

import pytest

from bot.alerts.engine import Engine
from bot.alerts.lifecycle import Kind
from bot.market.catalog import Catalog
from bot.rules.rule import Rule
from tests.alerts.build import START, T, rule, tick

HIGH, LOW = "0.002", "0.0001"


def catalog(**statuses: str) -> Catalog:
    rows = [
        {"symbol": symbol, "contractType": "PERPETUAL", "status": status}
        for symbol, status in statuses.items()
    ]
    return Catalog().with_exchange_info({"symbols": rows})


TRADES = catalog(BTCUSDT="TRADING", ETHUSDT="TRADING")
GONE = [catalog(BTCUSDT="SETTLING", ETHUSDT="TRADING"), catalog(ETHUSDT="TRADING")]


def ended(engine: Engine) -> list[tuple[str, bool]]:
    return [(end.symbol, end.gone) for end in engine.changes().ended]


@pytest.mark.parametrize("after", GONE)
@pytest.mark.parametrize("symbols", ["BTCUSDT", "BTC*", "ALL", "perp"])
@pytest.mark.parametrize("options", [{}, {"keep": 60_000}, {"repeat": 1_000}, {"cooldown": 9_000}])
def test_its_alerts_end_silently_and_nothing_comes_after(
    after: Catalog, symbols: str, options: dict[str, Any]
) -> None:
    live = Engine((rule("rate > 0.1% or basis > 1%", symbols=symbols, **options),), TRADES)
    assert [event.kind for event in live.on_frame([tick(0, HIGH)])] == [Kind.FIRED]
    live.on_frame([tick(1, "0", next_funding_time=0)])
    assert live.take_doubted()
    live.replace_catalog(after)
    assert ended(live) == [("BTCUSDT", True)]
    for second in range(2, 120):
        assert live.on_frame([tick(second, "0", mark="500", next_funding_time=0)]) == []
        assert live.advance(START + second * 1000 + 500) == []
    assert ended(live) == []


def test_a_rule_that_leaves_a_symbol_that_trades_is_not_gone() -> None:
    live = Engine((rule("rate > 0.1%", symbols="ALL"),), TRADES)
    live.on_frame([tick(0, HIGH)])
    live.replace_rules([rule("rate > 0.1%", symbols="ALL,!BTCUSDT")])
    assert ended(live) == [("BTCUSDT", False)]


@pytest.mark.parametrize("after", GONE)
def test_what_an_earlier_run_left_of_it_ends_without_a_row(after: Catalog) -> None:
    one = rule("rate > 0.1%", symbols="ALL")
    before = Engine((one,), TRADES)
    before.on_frame([tick(0, HIGH), tick(0, HIGH, "ETHUSDT")])
    live = Engine((one,), TRADES)
    live.restore(before.changes().states, [], START)
    live.replace_catalog(after)
    assert ended(live) == [("BTCUSDT", True)]
    assert live.on_frame([tick(2, HIGH, "ETHUSDT")]) == []  # still firing, told before


def test_it_fires_again_when_it_trades_again() -> None:
    live = Engine((rule("rate > 0.1%"),), TRADES)
    live.on_frame([tick(0, HIGH)])
    live.replace_catalog(GONE[0])
    live.replace_catalog(TRADES)
    assert [event.kind for event in live.on_frame([tick(9, HIGH)])] == [Kind.FIRED]


@pytest.mark.parametrize(
    ("times", "doubted"),
    [
        ([T, T], False),
        ([T, 0], True),  # what is no longer traded pays no funding
        ([0, 0], False),
        ([0, T], False),
    ],
)
def test_a_t_that_is_there_no_more_is_doubted_without_any_interval(
    times: list[int], doubted: bool
) -> None:
    live = Engine((), TRADES)
    for second, until in enumerate(times):
        live.on_frame([tick(second, next_funding_time=until)])
    assert live.take_doubted() is doubted


def rules_about(*rules: Rule, catalog: Catalog) -> list[str]:
    return [each.name for each in Engine(rules, Catalog()).about("BTCUSDT", catalog)]


def test_who_is_concerned_is_asked_of_the_catalog_in_which_it_trades() -> None:
    rules = [rule("rate > 1%", name=text, symbols=text) for text in ("BTCUSDT", "ALL", "ETHUSDT")]
    assert rules_about(*rules, catalog=TRADES) == ["BTCUSDT", "ALL"]
    assert rules_about(*rules, catalog=GONE[0]) == []
