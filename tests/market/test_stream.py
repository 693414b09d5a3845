"""The live stream against a real websocket server on loopback, faults included."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from bot.market.stream import MarketStream, StreamSettings
from tests.market.rows import frame, row, wrapped
from tests.market.streaming import running, stream_to, until
from tests.market.venue import RushedTime, venue


async def test_the_ticks_of_a_frame_are_one_batch() -> None:
    async with venue() as double, running(stream_to(double)) as stream:
        async with asyncio.timeout(30):
            batch = await stream.next_batch()
            assert [one.symbol for one in batch.ticks] == double.symbols
            following = [batch async for batch in _first(stream, 3)]
        times = [one.event_time for batch in following for one in batch.ticks]
        assert times == sorted(times)
        assert [len(batch.ticks) for batch in following] == [3, 3, 3]
        status = stream.status()
        assert status.connected_since is not None
        assert status.last_row is not None
        assert status.last_row >= status.connected_since
        assert (status.connects, status.problem, status.conflated) == (1, "", 0)
        assert status.rows >= 12
        assert double.addresses == ["/market/stream?streams=!markPrice@arr@1s"]


async def _first(stream: MarketStream, count: int) -> AsyncIterator[Any]:
    async for batch in stream.batches():
        yield batch
        count -= 1
        if not count:
            return


@pytest.mark.parametrize(
    ("symbols", "every_second", "names"),
    [
        (None, True, ["!markPrice@arr@1s"]),
        (None, False, ["!markPrice@arr"]),
        (["BTCUSDT"], True, ["btcusdt@markPrice@1s"]),
        (["BTCUSDT"], False, ["btcusdt@markPrice"]),
        (["币安人生USDT"], True, ["币安人生usdt@markPrice@1s"]),
    ],
)
async def test_each_of_the_venues_stream_names_brings_rows(
    symbols: list[str] | None, every_second: bool, names: list[str]
) -> None:
    async with venue() as double:
        stream = MarketStream(StreamSettings(double.route), symbols, every_second=every_second)
        async with running(stream), asyncio.timeout(30):
            batch = await stream.next_batch()
            assert [one.symbol for one in batch.ticks] == (symbols or double.symbols)
            address = quote(f"/market/stream?streams={'/'.join(names)}", safe="/?=!@")
            assert double.addresses == [address]
            assert stream.status().streams == tuple(names)


async def test_a_slow_consumer_sees_the_present_and_never_a_backlog() -> None:
    async with venue() as double, running(stream_to(double)) as stream:
        await until(lambda: stream.status().rows >= 60)
        batch = await stream.next_batch()
        assert sorted(one.symbol for one in batch.ticks) == sorted(double.symbols)
        status = stream.status()
        assert status.conflated == status.rows - 3
        assert len({one.event_time for one in batch.ticks}) == 1
        assert double.event_time - batch.ticks[0].event_time < 10


async def test_a_connection_that_is_silent_with_live_pongs_is_replaced() -> None:
    async with venue() as double:
        stream = stream_to(double, row_timeout=0.3, ping_interval=0.05)
        double.mute = True
        async with running(stream):
            begin = time.monotonic()
            await until(lambda: stream.status().connects >= 2)
            assert time.monotonic() - begin < 4  # half of what the setting is by default
            assert stream.status().problem == (
                "the connection is open, but no row came for 0.3 s; does BINANCE_STREAM_URL end in"
                " /market, and are the symbols' names right?"
            )
            assert stream.status().last_row is None
            double.mute = False
            async with asyncio.timeout(30):
                assert (await stream.next_batch()).ticks


async def test_acks_and_foreign_frames_are_no_sign_of_life() -> None:
    async with venue() as double:
        stream = stream_to(double, row_timeout=0.3)
        double.symbols = []  # empty arrays keep coming
        async with running(stream):
            await until(lambda: stream.status().connects >= 2)
            assert "no row came" in stream.status().problem


async def test_a_program_that_overslept_looks_for_waiting_rows_first() -> None:
    async with venue() as double, running(stream_to(double, row_timeout=0.2)) as stream:
        await until(lambda: stream.status().rows)
        rows = stream.status().rows
        time.sleep(1)  # noqa: ASYNC251 - the stall is what is tested
        await until(lambda: stream.status().rows > rows + 9)
        assert stream.status().connects == 1


async def test_a_black_hole_is_noticed_by_missing_pongs() -> None:
    async with venue() as double:
        stream = stream_to(double, ping_interval=0.1, ping_timeout=0.1, row_timeout=30.0)
        double.deaf = True
        async with running(stream):
            await until(lambda: stream.status().connects >= 2)
            assert "keepalive ping timeout" in stream.status().problem


async def test_a_server_that_accepts_and_closes_is_not_stormed() -> None:
    async with venue() as double:
        now = RushedTime()
        stream = MarketStream(StreamSettings(double.route), monotonic=now, sleep=now.sleep)
        double.close_at_once = True
        begin, connects = now(), list[float]()
        async with running(stream):
            while now() < begin + 1500:
                if len(connects) < stream.status().connects:
                    connects.append(now())
                await asyncio.sleep(0)
        assert len(connects) > 30
        for first in connects:
            assert sum(first <= one <= first + 300 for one in connects) <= 31  # one is being made
        assert stream.status().problem == (
            "the venue closed the connection (1008 (policy violation) Too many requests)"
        )


@pytest.mark.parametrize(
    ("refuse", "words", "least"),
    [
        ((451, {}), "refuses this location (HTTP 451)", 30),
        ((403, {}), "firewall refuses this address (HTTP 403)", 30),
        ((429, {"Retry-After": "77"}), "too many requests (HTTP 429); waiting 77 s", 77),
        ((418, {}), "banned this address for a while (HTTP 418); waiting 120 s", 120),
        ((503, {}), "the venue has a fault (HTTP 503)", 0),
        ((404, {}), "is BINANCE_STREAM_URL right?", 0),
        ((302, {"Location": "/elsewhere"}), "(HTTP 302)", 0),
    ],
)
async def test_a_refusal_is_named_and_survived(
    refuse: tuple[int, dict[str, str]], words: str, least: float
) -> None:
    async with venue() as double:
        now = RushedTime()
        stream = MarketStream(StreamSettings(double.route), monotonic=now, sleep=now.sleep)
        double.refuse = refuse
        begin = now()
        async with running(stream):
            await until(lambda: stream.status().connects >= 2)
            assert words in stream.status().problem
            assert now() - begin >= least
            assert len(double.addresses) <= stream.status().connects  # also where it redirects
            double.refuse = None
            async with asyncio.timeout(30):
                assert (await stream.next_batch()).ticks


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ("ws://127.0.0.1:1/market", "cannot connect: "),
        ("http://127.0.0.1:1/market", "BINANCE_STREAM_URL is no websocket address"),
        ("ws://127.0.0.1:x/market", "cannot connect: "),
        ("ws://[bad/market", "cannot connect: "),
    ],
)
async def test_what_cannot_be_reached_is_named_and_tried_again(route: str, words: str) -> None:
    now = RushedTime()
    stream = MarketStream(StreamSettings(route), monotonic=now, sleep=now.sleep)
    async with running(stream):
        await until(lambda: stream.status().connects >= 3)
        assert stream.status().problem.startswith(words)
        assert stream.status().connected_since is None


async def test_a_handshake_that_never_ends_times_out() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    route = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/market"
    now = RushedTime()
    settings = StreamSettings(route, open_timeout=0.1)
    async with server, running(MarketStream(settings, monotonic=now, sleep=now.sleep)) as stream:
        await until(lambda: stream.status().connects >= 2)
        assert "timed out" in stream.status().problem


async def test_many_symbols_are_asked_for_in_portions_and_slowly() -> None:
    symbols = [f"S{number}USDT" for number in range(520)]
    async with venue() as double:
        double.pause = 0.05
        begin = time.monotonic()
        stream = stream_to(double, symbols, streams_per_connection=600)
        async with running(stream):
            await until(lambda: len(double.requests) == 3)
            sizes = [len(one["params"]) for one in double.requests]
            assert sizes == [200, 200, 20]
            assert double.clients[0].request_times[-1] - begin >= 0.6  # three times 0.2 s
            seen: set[str] = set()
            async with asyncio.timeout(30):
                while len(seen) < 520:
                    seen.update(one.symbol for one in (await stream.next_batch()).ticks)


async def test_a_plan_made_while_the_line_was_down_is_used_by_the_next_connection() -> None:
    async with venue() as double:
        double.refuse = (503, {})
        async with running(stream_to(double)) as stream:
            await until(lambda: stream.status().connects >= 1)
            stream.set_symbols(["ETHUSDT"], every_second=True)
            await until(lambda: "ethusdt" in "".join(double.addresses[-1:]))
            double.refuse = None
            async with asyncio.timeout(30):
                assert {one.symbol for one in (await stream.next_batch()).ticks} == {"ETHUSDT"}
            assert double.addresses[-1] == "/market/stream?streams=ethusdt@markPrice@1s"


async def test_odd_frames_are_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bot.market.feed")
    async with venue() as double:
        refused = frame({"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 9})
        other = frame({"code": 2, "msg": "Invalid request"})
        mixed = wrapped([row(s="XUSDT"), row(st=2), row(E=0), {"e": "kline"}])
        double.first = [b"{", b"{", refused, refused, other, mixed, mixed]
        async with running(stream_to(double)) as stream:
            await until(lambda: stream.status().rows > 2)
            skipped = {"broken": 2, "coin-m": 2, "incomplete": 2, "foreign": 2}
            assert stream.status().skipped == skipped
    logged = [one.getMessage() for one in caplog.records if "logged once" in one.getMessage()]
    assert len(logged) == len(set(logged)) == 6
    assert any("Too many subscriptions (code 4)" in one for one in logged)


async def test_an_outage_is_logged_once_with_its_words(caplog: pytest.LogCaptureFixture) -> None:
    async with venue() as double:
        double.refuse = (451, {})
        async with running(stream_to(double)) as stream:
            await until(lambda: stream.status().connects >= 5)
    assert [one.getMessage()[:60] for one in caplog.records] == [
        "The feed was lost: the venue refuses this location (HTTP 451)"[:60]
    ]


async def test_stopping_closes_the_connection_quickly() -> None:
    async with venue() as double:
        async with running(stream_to(double)) as stream:
            await until(lambda: stream.status().rows)
            begin = time.monotonic()
        assert time.monotonic() - begin < 5
        await until(lambda: not double.connected)
        assert stream.status().connected_since is None


async def test_the_environments_proxy_is_not_used_on_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "all_proxy", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with venue() as double, running(stream_to(double)) as stream, asyncio.timeout(30):
        assert (await stream.next_batch()).ticks
