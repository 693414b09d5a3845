"""Which streams, under which address."""

import pytest

from bot.market.plan import plan_streams, stream_address, subjects


@pytest.mark.parametrize(
    ("symbols", "every_second", "limit", "plan"),
    [
        (None, True, 200, ("!markPrice@arr@1s",)),
        (None, False, 200, ("!markPrice@arr",)),
        ([], True, 200, ("!markPrice@arr@1s",)),
        (["B", "A", "B"], True, 2, ("a@markPrice@1s", "b@markPrice@1s")),
        (["ETHUSDT", "BTCUSDT"], False, 2, ("btcusdt@markPrice", "ethusdt@markPrice")),
        (["A", "B", "C"], True, 2, ("!markPrice@arr@1s",)),
        (["A"], True, 0, ("!markPrice@arr@1s",)),
    ],
)
def test_few_symbols_get_streams_of_their_own_and_many_share_the_array(
    symbols: list[str] | None, every_second: bool, limit: int, plan: tuple[str, ...]
) -> None:
    assert plan_streams(symbols, every_second=every_second, limit=limit) == plan


@pytest.mark.parametrize(
    ("route", "streams", "address"),
    [
        (
            "wss://fstream.binance.com/market",
            ["!markPrice@arr@1s"],
            "wss://fstream.binance.com/market/stream?streams=!markPrice@arr@1s",
        ),
        (
            "ws://h:1/",
            ["a@markPrice", "b@markPrice"],
            "ws://h:1/stream?streams=a@markPrice/b@markPrice",
        ),
        (
            "ws://h",
            ["币安人生usdt@markPrice"],
            "ws://h/stream?streams=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@markPrice",
        ),
        ("ws://h", ["a b&c#d/e"], "ws://h/stream?streams=a%20b%26c%23d%2Fe"),
    ],
)
def test_an_address_is_plain_ascii(route: str, streams: list[str], address: str) -> None:
    assert stream_address(route, streams) == address
    assert address.isascii()


@pytest.mark.parametrize(
    ("plan", "symbols"),
    [
        (["!markPrice@arr@1s"], None),
        (["btcusdt@markPrice", "币安人生usdt@markPrice@1s"], {"btcusdt", "币安人生usdt"}),
        ([], set()),
    ],
)
def test_a_plan_is_about_some_symbols_or_all_of_them(
    plan: list[str], symbols: set[str] | None
) -> None:
    assert subjects(plan) == symbols
