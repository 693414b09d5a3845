"""What the live stream notices and says of itself: silence, refusals, reconnects, lag."""

import asyncio
import time
from typing import Any

import pytest

from bot.market.stream import MarketStream, StreamSettings
from bot.market.subscriptions import SILENT_AFTER
from tests.market.streaming import running, stream_to, until
from tests.market.venue import Venue, venue


class LeapingTime:
    """Monotonic seconds that a test lets pass; beside the real ones."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def leaping_stream(double: Venue, symbols: list[str]) -> tuple[MarketStream, LeapingTime]:
    now = LeapingTime()
    settings = StreamSettings(double.route, close_timeout=0.2)
    return MarketStream(settings, symbols, monotonic=now), now


async def test_a_stream_that_was_acknowledged_and_never_gives_is_named() -> None:
    async with venue() as double:
        double.mute_names = {"odd1usdt@markPrice@1s", "odd2usdt@markPrice@1s"}
        stream, now = leaping_stream(double, ["BTCUSDT", "ODD1USDT"])
        async with running(stream):
            await until(lambda: stream.status().rows)
            stream.set_symbols(["BTCUSDT", "ODD1USDT", "ODD2USDT"], every_second=True)
            await until(lambda: double.requests)
            rows = stream.status().rows
            await until(lambda: stream.status().rows > rows + 9)
            assert stream.status().unanswered == ()
            now.ahead = SILENT_AFTER + 1
            await until(lambda: len(stream.status().unanswered) == 2)
            assert set(stream.status().unanswered) == double.mute_names
            double.mute_names = {"odd2usdt@markPrice@1s"}
            await until(lambda: stream.status().unanswered == ("odd2usdt@markPrice@1s",))
            stream.set_symbols(["BTCUSDT"], every_second=True)
            assert stream.status().unanswered == ()
            assert stream.status().connects == 1


async def test_without_any_row_the_connection_is_at_fault_and_no_stream_is() -> None:
    async with venue() as double:
        double.mute = True
        stream, now = leaping_stream(double, ["BTCUSDT"])
        async with running(stream):
            await until(lambda: stream.status().links)
            now.ahead = SILENT_AFTER + 1
            stream.set_symbols(["BTCUSDT"], every_second=True)
            await asyncio.sleep(0.05)
            assert stream.status().unanswered == ()


@pytest.mark.parametrize(
    "answer",
    [{"error": {"code": 2, "msg": "Bad name"}}, {"code": 2, "msg": "Bad name"}],
    ids=["on the wire", "documented"],
)
async def test_a_refused_subscription_is_named_and_tried_again_at_once_on_the_next_connection(
    answer: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with venue() as double:
        name = "ethusdt@markPrice@1s"
        double.refuse_names = {name: answer}
        async with running(stream_to(double, ["BTCUSDT"])) as stream:
            await until(lambda: stream.status().rows)
            stream.set_symbols(["BTCUSDT", "ETHUSDT"], every_second=True)
            await until(lambda: stream.status().unanswered == (name,))
            assert f"Silent streams: {name} (Bad name (code 2))" in caplog.messages
            rows = stream.status().rows
            await until(lambda: stream.status().rows > rows + 30)
            assert len(double.requests) == 1
            double.reset()
            await until(lambda: stream.status().unanswered == ())
            assert double.sent[name] > 0


async def test_a_lost_connection_is_replaced_and_its_reason_kept() -> None:
    async with venue() as double, running(stream_to(double)) as stream:
        await until(lambda: stream.status().rows)
        assert stream.status().reconnected_at is None
        double.refuse = (503, {})
        (client,) = double.connected
        await client.connection.close(1001, "maintenance")
        await until(lambda: stream.status().connects >= 4)
        double.refuse = None
        await until(lambda: stream.status().links)
        status = stream.status()
        assert status.problem == "the venue has a fault (HTTP 503)"
        assert status.reconnect_reason == (
            "the venue closed the connection (1001 (going away) maintenance)"
        )
        assert status.reconnected_at is not None
        assert status.problem_at is not None
        assert status.reconnected_at >= status.problem_at
        assert status.handovers == 0


async def test_while_a_connect_waits_its_time_is_shown() -> None:
    async with venue() as double:
        double.refuse = (429, {"Retry-After": "77"})
        stream = MarketStream(StreamSettings(double.route))
        async with running(stream):
            await until(lambda: stream.status().next_connect is not None)
            due = stream.status().next_connect
            assert due is not None
            assert 70 < due - time.monotonic() <= 77
            stream.set_symbols(["BTCUSDT"], every_second=True)  # nothing hurries it
            await asyncio.sleep(0.05)
            assert stream.status().next_connect == due
            assert stream.status().connects == 1


async def test_a_ban_until_a_moment_counts_from_the_venues_date() -> None:
    async with venue() as double:
        date = {"Date": "Sun, 22 Nov 2026 14:58:30 GMT"}
        double.refuse = (418, {**date, "Retry-After": "Sun, 22 Nov 2026 15:00:00 GMT"})
        async with running(stream_to(double)) as stream:
            await until(lambda: "waiting 90 s" in stream.status().problem)


async def test_headers_that_come_twice_are_read_once() -> None:
    async with venue() as double:
        double.refuse = (
            429,
            [("Retry-After", "77"), ("Retry-After", "5"), ("Date", ""), ("Date", "")],
        )
        async with running(stream_to(double)) as stream:
            await until(lambda: "waiting 77 s" in stream.status().problem)


async def test_rows_a_second_lag_and_skew_are_measured() -> None:
    async with venue() as double:
        stream = MarketStream(
            StreamSettings(double.route), wall=lambda: (double.event_time + 2300) * 1000
        )
        async with running(stream):
            stream.tell_skew(300)
            await until(lambda: stream.status().rows > 30)
            status = stream.status()
            assert status.skew == 0.3
            assert status.lag == pytest.approx(2.0, abs=0.05)
            assert status.rows_per_second > 0
            (link,) = status.links
            assert (link.since, link.rows, link.streams) == (
                status.connected_since,
                status.rows,
                1,
            )


async def test_a_dead_peer_does_not_delay_what_follows() -> None:
    async with venue() as double:
        settings = StreamSettings(double.route, row_timeout=0.3, close_timeout=30.0)
        stream = MarketStream(settings)
        async with running(stream):
            await until(lambda: stream.status().rows)
            double.deaf = True
            last = time.monotonic()
            await until(lambda: stream.status().problem)
            assert stream.status().links == ()
            await until(lambda: stream.status().connects == 2)
            assert time.monotonic() - last < 5
