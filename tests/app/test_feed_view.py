"""The feed as people see it, from plain figures and a small engine."""

from dataclasses import replace

import pytest

from bot.alerts.engine import Engine
from bot.app.feed_view import SymbolsView, feed_view, stale_symbols, symbols_view
from bot.app.feed_watch import NOT_TAKEN
from bot.chat.world import LinkView
from bot.market.catalog import Catalog
from bot.market.feed import FeedStatus, LinkStatus
from tests.alerts.build import rule
from tests.chat.world import NOW, exchange_info, tick

FLOWS = FeedStatus(
    connected_since=100.0,
    last_taken=199.5,
    problem="the connection broke off",
    links=(LinkStatus(100.0, 3, 900),),
    rows_per_second=3.0,
    lag=0.25,
    skew=-1.5,
    handed_over_at=150.0,
    reconnected_at=100.0,
    reconnect_reason="the connection broke off",
)


def test_seconds_of_the_steady_clock_become_ages_in_ms() -> None:
    seen = feed_view(FLOWS, SymbolsView(3, stale=("A",)), 140.0, 200.0)
    assert (seen.state, seen.row_age, seen.lag, seen.skew) == ("flows", 500, 250, -1_500)
    assert (seen.links, seen.reconnect_age) == ((LinkView(100_000, 3),), 100_000)
    assert (seen.handover_age, seen.catalog_age) == (50_000, 60_000)
    assert (seen.symbols, seen.stale) == (3, ("A",))
    assert seen.problem == ""  # it is over


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (FLOWS, "flows"),
        (replace(FLOWS, last_taken=190.0), "flows"),
        (replace(FLOWS, last_taken=189.9), "silent"),
        (replace(FLOWS, last_taken=None), "silent"),
        (replace(FLOWS, connected_since=None), "connecting"),
        (replace(FLOWS, connected_since=None, next_connect=260.0), "waiting"),
        (FeedStatus(), "connecting"),
    ],
)
def test_the_state_is_of_the_connection_and_its_rows(status: FeedStatus, state: str) -> None:
    seen = feed_view(status, SymbolsView(), None, 200.0)
    assert seen.state == state
    assert seen.problem == ("" if state == "flows" else status.problem)
    assert seen.next_connect == (60_000 if state == "waiting" else None)


def test_rows_that_come_and_are_no_news_are_the_reason() -> None:
    useless = replace(FLOWS, last_row=199.9, last_taken=150.0)
    seen = feed_view(useless, SymbolsView(), None, 200.0)
    assert (seen.state, seen.row_age, seen.problem) == ("silent", 50_000, NOT_TAKEN)


ARRAY = ("!markPrice@arr@1s",)


def engine(*symbols: str, catalog: bool = True) -> Engine:
    made = Engine((), Catalog().with_exchange_info(exchange_info()) if catalog else Catalog())
    made.on_frame([tick(symbol, "0.0001") for symbol in symbols])
    return made


def test_symbols_without_rows_are_stale_and_those_by_rest_are_told_apart() -> None:
    made = engine("BTCUSDT", "ETHUSDT", "SOLUSDT")
    made.advance(NOW + 31_000)
    made.on_frame([tick("ETHUSDT", "0.0001", at=NOW + 31_000)])
    assert stale_symbols(made, ARRAY) == ["BTCUSDT", "SOLUSDT"]
    seen = symbols_view(made, ARRAY, {"SOLUSDT"})
    assert seen == SymbolsView(3, stale=("BTCUSDT",), by_rest=("SOLUSDT",))


def test_only_what_the_streams_should_bring_counts() -> None:
    made = engine("BTCUSDT", "币安人生USDT", "1000PEPEUSDT")
    made.advance(NOW + 31_000)
    streams = ("btcusdt@markPrice@1s", "币安人生usdt@markPrice@1s")
    assert symbols_view(made, streams) == SymbolsView(2, stale=("BTCUSDT", "币安人生USDT"))


def test_a_contract_that_does_not_trade_counts_only_where_a_rule_names_it() -> None:
    made = engine("BTCUSDT", "LUNAUSDT")
    made.advance(NOW + 31_000)
    assert symbols_view(made, ARRAY) == SymbolsView(1, stale=("BTCUSDT",))
    made.replace_rules([rule("rate > 1%", symbols="LUNAUSDT")])
    assert symbols_view(made, ARRAY).gone == ("LUNAUSDT",)


def test_without_a_catalog_everything_counts() -> None:
    assert symbols_view(engine("LUNAUSDT", catalog=False), ARRAY) == SymbolsView(1)
