"""The REST side against a real HTTP server on loopback."""

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from bot.market.catalog import Catalog
from bot.market.rest import HALVES, LARGEST, MarketRest, RestError
from tests.market.rows import E0, T0, tick

EXCHANGE = {"symbols": [{"symbol": "A", "contractType": "PERPETUAL", "status": "TRADING"}]}
FUNDING = [
    {
        "symbol": "A",
        "fundingIntervalHours": 4,
        "adjustedFundingRateCap": "0.02000000",
        "adjustedFundingRateFloor": "-0.02000000",
        "updateTime": None,
    }
]
Answer = tuple[int, str, bytes]  # status, further headers, body


def until(hour: str) -> str:
    """The headers of an answer of ten o'clock that names a moment."""
    day = "Sun, 22 Nov 2026"
    return f"Date: {day} 10:00:00 GMT\r\nRetry-After: {day} {hour} GMT\r\n"


class Server:
    """Answers each path as the table says; a path that is not in it is not answered at all."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.root = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        if path in self.answers:
            status, headers, body = self.answers[path]
            lines = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}"
            writer.write(f"{lines}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()


def ok(body: object) -> Answer:
    return 200, "", body if isinstance(body, bytes) else json.dumps(body).encode()


@asynccontextmanager
async def rest(answers: dict[str, Answer], **clocks: Any) -> AsyncIterator[MarketRest]:
    double = Server({f"/fapi/v1/{name}": answer for name, answer in answers.items()})
    server = await asyncio.start_server(double.handle, "127.0.0.1", 0)
    root = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, MarketRest(root, trust_env=False, **clocks) as client:
        yield client


async def test_the_venues_time() -> None:
    async with rest({"time": ok({"serverTime": E0})}) as client:
        assert await client.server_time() == E0


async def test_the_market_at_one_moment_is_ticks() -> None:
    one = {
        "symbol": "A",
        "markPrice": "1.50",
        "indexPrice": "1.40",
        "estimatedSettlePrice": "1.30",
        "lastFundingRate": "0.00010000",
        "nextFundingTime": T0,
        "time": E0,
    }
    async with rest({"premiumIndex": ok([one])}) as client:
        assert await client.premium_index() == (
            tick("A", mark="1.50", index="1.40", settle="1.30", rate="0.00010000",
                 next_funding_time=T0),
        )  # fmt: skip


async def test_a_catalog_is_taken_whole() -> None:
    async with rest({"exchangeInfo": ok(EXCHANGE), "fundingInfo": ok(FUNDING)}) as client:
        taken = await client.take_catalog(Catalog())
    assert taken.problems == ()
    assert taken.catalog.trades("A") is True
    assert taken.catalog.funding["A"].interval_hours == 4


@pytest.mark.parametrize(
    "bad", [(503, "", b""), ok(b"nonsense"), ok({"symbols": []}), ok(17), ok({"symbols": 5})]
)
@pytest.mark.parametrize("half", ["exchangeInfo", "fundingInfo"])
async def test_a_half_that_fails_stays_as_it_was(half: str, bad: Answer) -> None:
    previous = Catalog().with_exchange_info(
        {"symbols": [{"symbol": "OLD", "contractType": "PERPETUAL", "status": "TRADING"}]}
    )
    previous = previous.with_funding_info([{"symbol": "OLD", "fundingIntervalHours": 1}])
    answers = {"exchangeInfo": ok(EXCHANGE), "fundingInfo": ok(FUNDING)} | {half: bad}
    async with rest(answers) as client:
        taken = await client.take_catalog(previous)
    assert len(taken.problems) == 1
    assert taken.came == set(HALVES) - {half}
    assert taken.catalog.contracts is not None
    fresh = {"OLD"} if half == "exchangeInfo" else {"A"}
    assert set(taken.catalog.contracts) == fresh
    assert set(taken.catalog.funding) == {"A", "OLD"} - fresh


@pytest.mark.parametrize(
    ("answer", "words", "retry_after"),
    [
        ((451, "", b""), "refuses this location (HTTP 451)", None),
        ((403, "", b"<html>"), "firewall refuses this address (HTTP 403)", None),
        ((429, "Retry-After: 7\r\n", b""), "too many requests (HTTP 429)", 7),
        ((418, "Retry-After: 300\r\n", b""), "banned", 300),
        ((418, "", b""), "banned", 120),
        (
            (
                418,
                until("12:00:00"),
                b"",
            ),
            "waiting 7200 s",
            7200,
        ),
        (
            (
                503,
                until("10:00:09"),
                b"",
            ),
            "fault (HTTP 503)",
            9,
        ),
        ((502, "", b"<html>"), "fault (HTTP 502)", None),
        (
            (400, "", b'{"code":-1121,"msg":"Invalid symbol."}'),
            "/fapi/v1/time: HTTP 400: Invalid symbol. (code -1121)",
            None,
        ),
        ((404, "", b"<html>"), "/fapi/v1/time: HTTP 404", None),
        ((301, "Location: http://127.0.0.1:1/\r\n", b""), "HTTP 301", None),
        (ok(b"{"), "answered no JSON", None),
        (ok(b"[" * 100_000), "answered no JSON", None),
        (ok(b'"\xff"'), "answered no JSON", None),
        (ok({}), "without a serverTime", None),
        (ok({"serverTime": "1"}), "without a serverTime", None),
        (ok([]), "without a serverTime", None),
        (ok({"serverTime": 1 << 53}), "without a serverTime", None),
        (ok({"serverTime": 10**320}), "without a serverTime", None),
        (ok(b'{"serverTime": 1' + b"0" * 5000 + b"}"), "answered no JSON", None),
        ((200, "Content-Encoding: br\r\n", b"1"), "was not asked for: br", None),
        ((200, "Content-Encoding: gzip\r\n", b"no gzip"), "answered broken gzip", None),
    ],
)
async def test_an_answer_that_does_not_help_is_sorted_and_named(
    answer: Answer, words: str, retry_after: float | None
) -> None:
    async with rest({"time": answer}) as client:
        with pytest.raises(RestError) as caught:
            await client.server_time()
    assert words in str(caught.value)
    assert caught.value.retry_after == retry_after
    assert caught.value.sent


async def test_a_connection_that_breaks_off_may_be_tried_again() -> None:
    async with rest({}) as client:
        with pytest.raises(RestError, match=r"/fapi/v1/time cannot be reached: \w"):
            await client.server_time()


@pytest.mark.parametrize(
    "root", ["http://127.0.0.1:1", "ftp://127.0.0.1", "127.0.0.1", "", "http://[bad"]
)
async def test_a_wrong_address_is_named(root: str) -> None:
    async with MarketRest(root, trust_env=False) as client:
        with pytest.raises(RestError) as caught:
            await client.server_time()
    assert str(caught.value)


async def test_a_half_that_lost_most_of_what_it_had_stays_as_it_was() -> None:
    rows = [{"symbol": f"S{n}", "contractType": "PERPETUAL", "status": "TRADING"} for n in range(9)]
    previous = Catalog().with_exchange_info({"symbols": rows}).with_funding_info(FUNDING)
    answers = {"exchangeInfo": ok({"symbols": rows[:4]}), "fundingInfo": ok([])}
    async with rest(answers) as client:
        taken = await client.take_catalog(previous)
        one = await client.take_catalog(previous, believed=["exchangeInfo"])
        believed = await client.take_catalog(previous, believed=HALVES)
    assert taken.catalog == previous
    assert taken.doubts == {
        "exchangeInfo": "exchangeInfo lost 5 of 9 trading contracts at once",
        "fundingInfo": "fundingInfo is empty; it had 1 rows",
    }
    assert list(one.doubts) == ["fundingInfo"]
    assert believed.doubts == {}
    assert believed.catalog.trades("S8") is False
    assert not believed.catalog.funding


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        ((429, "Retry-After: 7\r\n", b""), 7.0),
        ((418, "Retry-After: 300\r\n", b""), 300.0),
        (
            (
                418,
                until("12:00:00"),
                b"",
            ),
            7200.0,
        ),
        ((451, "", b""), 60.0),
        ((403, "", b""), 60.0),
        ((200, "X-MBX-USED-WEIGHT-1M: 2000\r\n", b'{"serverTime": 1}'), 20.0),
    ],
)
async def test_what_the_venue_says_of_its_limits_silences_every_request(
    answer: Answer, wait: float
) -> None:
    now = 1000.0
    answers = {"time": answer, "fundingInfo": ok(FUNDING)}
    async with rest(answers, monotonic=lambda: now, wall=lambda: 40.0) as client:
        with suppress(RestError):
            await client.server_time()
        with pytest.raises(RestError, match="/fapi/v1/fundingInfo waits") as caught:
            await client.funding_info()
        assert caught.value.retry_after == wait
        assert not caught.value.sent
        now += wait
        assert await client.funding_info() == FUNDING


async def test_a_second_look_at_the_market_waits_its_turn_without_a_request() -> None:
    now = 1000.0
    async with rest({"premiumIndex": ok([])}, monotonic=lambda: now) as client:
        await client.premium_index()
        now += 4
        with pytest.raises(RestError, match="waits 6 s"):
            await client.premium_index()
        now += 6
        await client.premium_index()


@pytest.mark.parametrize(("ahead", "took", "skew"), [(0, 0, 0.0), (7, 2, 8.0), (-90, 0, -90.0)])
async def test_the_skew_is_measured_at_the_middle_of_the_round_trip(
    ahead: float, took: float, skew: float
) -> None:
    # It looks before, for the budget twice, when the answer is there, and after.
    times = iter([0.0, 0.0, 0.0, took, took])
    async with rest(
        {"time": ok({"serverTime": E0})},
        monotonic=lambda: next(times),
        wall=lambda: E0 / 1000 + ahead,
    ) as client:
        await client.server_time()
        assert client.skew == pytest.approx(skew, abs=0.001)


async def test_an_answer_that_took_long_says_nothing_of_the_clocks() -> None:
    times = iter([0.0, 0.0, 0.0, 9.0, 9.0])
    async with rest({"time": ok({"serverTime": E0})}, monotonic=lambda: next(times)) as client:
        await client.server_time()
        assert client.skew is None


async def test_coin_margined_rows_of_the_premium_index_are_passed_over() -> None:
    names = ["BTCUSDT", "BTCUSD_PERP", "BTCUSDT_261225", "ETHUSD_261225", "ETHBTC", "币安人生USDT"]
    rows = [{"symbol": name, "time": E0} for name in names]
    async with rest({"premiumIndex": ok(rows)}) as client:
        kept = [tick.symbol for tick in await client.premium_index()]
    assert kept == ["BTCUSDT", "BTCUSDT_261225", "ETHBTC", "币安人生USDT"]


async def test_a_premium_index_that_is_no_json_is_an_error() -> None:
    async with rest({"premiumIndex": ok(b"[{")}) as client:
        with pytest.raises(RestError, match="answered no rows"):
            await client.premium_index()


async def test_a_time_that_is_none_makes_no_row_and_no_settlement() -> None:
    rows = [
        {"symbol": "A", "time": E0, "nextFundingTime": 1 << 53},
        {"symbol": "B", "time": 1 << 53},
        {"symbol": "C", "time": 10**320},
        {"symbol": "D", "time": E0, "nextFundingTime": 10**320},
        {"symbol": "E", "time": E0, "nextFundingTime": T0},
    ]
    async with rest({"premiumIndex": ok(rows)}) as client:
        kept = {tick.symbol: tick.next_funding_time for tick in await client.premium_index()}
    assert kept == {"A": 0, "D": 0, "E": T0}


async def test_numbers_that_no_catalog_has_are_unknown_in_it() -> None:
    funding = [
        {"symbol": "A", "fundingIntervalHours": 10**320, "adjustedFundingRateCap": 10**320},
        {"symbol": "B", "fundingIntervalHours": -1, "adjustedFundingRateCap": [[[]]]},
    ]
    async with rest({"exchangeInfo": ok(EXCHANGE), "fundingInfo": ok(funding)}) as client:
        taken = await client.take_catalog(Catalog())
    assert not taken.problems
    assert [(row.interval_hours, row.cap) for row in taken.catalog.funding.values()] == [
        (0, None), (0, None),
    ]  # fmt: skip


def packed(body: bytes) -> Answer:
    return 200, "Content-Encoding: gzip\r\n", gzip.compress(body)


async def test_a_packed_answer_is_unpacked() -> None:
    async with rest({"time": packed(b'{"serverTime": 17}')}) as client:
        assert await client.server_time() == 17


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("is_packed", [True, False])
async def test_an_answer_beyond_all_bounds_is_not_read(more: int, is_packed: bool) -> None:
    body = b" " * (LARGEST + more)
    words = "more than 16 MB" if more else "answered no JSON"
    async with rest({"exchangeInfo": packed(body) if is_packed else ok(body)}) as client:
        with pytest.raises(RestError, match=words):
            await client.exchange_info()


async def test_a_small_answer_that_unpacks_to_a_large_one_costs_no_memory() -> None:
    async with rest({"exchangeInfo": packed(b" " * (8 * LARGEST))}) as client:
        tracemalloc.start()
        with pytest.raises(RestError, match="more than 16 MB"):
            await client.exchange_info()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 * LARGEST
