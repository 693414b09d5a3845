"""Which streams, under which address."""

import pytest

from bot.market.plan import Change, change_of_streams, in_requests, plan_streams, stream_address


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
    ("present", "wanted", "change"),
    [
        (["a"], ["a"], Change((), ())),
        (["b", "a"], ["c", "a", "d"], Change(("c", "d"), ("b",))),
        ([], ["a"], Change(("a",), ())),
        (["b", "a"], [], Change((), ("a", "b"))),
    ],
)
def test_a_change_names_what_to_add_and_what_to_drop(
    present: list[str], wanted: list[str], change: Change
) -> None:
    assert change_of_streams(present, wanted) == change


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (200, [200]), (401, [200, 200, 1])]
)
def test_a_request_carries_at_most_two_hundred_names(count: int, sizes: list[int]) -> None:
    portions = in_requests([str(number) for number in range(count)])
    assert [len(portion) for portion in portions] == sizes
    assert [name for portion in portions for name in portion] == [str(n) for n in range(count)]
