"""A second connection takes over from the first, on loopback: no gap, nothing twice."""

import asyncio
import time
from itertools import pairwise

import pytest

from bot.market.stream import MarketStream
from tests.market.rows import frame, wrapped
from tests.market.streaming import running, stream_to, until
from tests.market.venue import Venue, venue

NOTICE = {"e": "serverShutdown", "E": 1_791_382_992_684}


class Decided:
    """What an engine takes of the frames: rows newer than the symbol's last one."""

    def __init__(self, stream: MarketStream) -> None:
        self._stream = stream
        self.times: dict[str, list[int]] = {}
        self.longest_gap = 0.0  # s

    async def take_forever(self) -> None:
        last = time.monotonic()
        async for batch in self._stream.batches():
            self.longest_gap = max(self.longest_gap, time.monotonic() - last)
            last = time.monotonic()
            for tick in [tick for received in batch.frames for tick in received.ticks]:
                times = self.times.setdefault(tick.symbol, [])
                if not times or tick.event_time > times[-1]:
                    times.append(tick.event_time)

    def lost(self) -> int:
        """Pushes that are missing between a symbol's first and last row."""
        gaps = (b - a - 1 for times in self.times.values() for a, b in pairwise(times))
        return sum(gaps)


@pytest.mark.parametrize("symbols", [None, ["BTCUSDT", "ETHUSDT"]], ids=["array", "symbols"])
async def test_before_the_venues_end_a_second_connection_takes_over(
    symbols: list[str] | None,
) -> None:
    async with venue() as double:
        stream = stream_to(double, symbols, handover_after=0.5)
        decided = Decided(stream)
        async with running(stream):
            taking = asyncio.create_task(decided.take_forever())
            await until(lambda: stream.status().handovers >= 3)
            await until(lambda: len(double.connected) == 1)
            taking.cancel()
            status = stream.status()
        assert decided.lost() == 0
        assert min(map(len, decided.times.values())) > 20
        assert double.most_connected == 2
        assert (status.problem, status.reconnected_at) == ("", None)
        assert status.handed_over_at is not None
        assert len(status.links) == 1
        assert status.connects >= 4


async def test_both_connections_are_shown_while_there_are_two() -> None:
    async with venue() as double:
        stream = stream_to(double, ["BTCUSDT"], compared_for=60.0)
        async with running(stream):
            await until(lambda: stream.status().rows)
            await double.say(frame(NOTICE))
            await until(lambda: len(stream.status().links) == 2)
            await until(lambda: all(link.rows > 2 for link in stream.status().links))
            first, second = stream.status().links
            assert first.since < second.since
            assert (first.streams, second.streams) == (1, 1)
            assert stream.status().connected_since == first.since
            assert stream.status().handovers == 0


@pytest.mark.parametrize("notice", [frame(NOTICE), wrapped(NOTICE)], ids=["bare", "wrapped"])
async def test_the_venues_notice_is_heeded_once_a_connection(notice: bytes) -> None:
    async with venue() as double, running(stream_to(double)) as stream:
        await until(lambda: stream.status().rows)
        (first,) = double.connected
        for _ in range(5):
            await double.say(notice)
        await until(lambda: double.connected and first not in double.connected)
        rows = stream.status().rows
        await until(lambda: stream.status().rows > rows + 30)
        assert stream.status().handovers == 1
        assert stream.status().connects == 2
        assert stream.status().problem == ""


async def test_symbols_move_to_the_array_and_back_by_new_connections() -> None:
    async with venue() as double, running(stream_to(double)) as stream:
        await until(lambda: stream.status().rows)
        decided = Decided(stream)
        taking = asyncio.create_task(decided.take_forever())
        stream.set_symbols(["BTCUSDT"], every_second=True)
        await until(lambda: stream.status().handovers == 1 and len(double.connected) == 1)
        stream.set_symbols(None, every_second=True)
        await until(lambda: stream.status().handovers == 2 and len(double.connected) == 1)
        rows = double.sent["!markPrice@arr@1s"]
        await until(lambda: double.sent["!markPrice@arr@1s"] > rows + 5)
        taking.cancel()
        assert double.requests == []
        assert [one.streams for one in double.clients] == [
            ["!markPrice@arr@1s"],
            ["btcusdt@markPrice@1s"],
            ["!markPrice@arr@1s"],
        ]
        times = decided.times["BTCUSDT"]
        assert [b - a for a, b in pairwise(times)] == [1] * (len(times) - 1)


async def test_an_exchange_beyond_the_limit_needs_another_connection() -> None:
    async with venue() as double:
        stream = stream_to(double, ["AUSDT", "BUSDT", "CUSDT"], streams_per_connection=4)
        async with running(stream):
            await until(lambda: stream.status().rows)
            stream.set_symbols(["AUSDT", "BUSDT", "DUSDT"], every_second=True)  # fits: 4 with C
            await until(lambda: len(double.requests) == 2)
            assert stream.status().connects == 1
            stream.set_symbols(["AUSDT", "EUSDT", "FUSDT"], every_second=True)  # 5 would be there
            await until(lambda: stream.status().handovers == 1 and len(double.connected) == 1)
            assert sorted(double.connected[0].streams) == [
                "ausdt@markPrice@1s",
                "eusdt@markPrice@1s",
                "fusdt@markPrice@1s",
            ]
        assert max(one.most_streams for one in double.clients) == 4
        assert double.most_connected == 2


async def test_a_successor_without_rows_does_not_replace_a_connection_that_has_them() -> None:
    async with venue() as double:
        stream = stream_to(double, handover_after=0.3, row_timeout=0.5)
        async with running(stream):
            await until(lambda: stream.status().rows)
            (first,) = double.connected
            double.refuse = (503, {})
            await until(lambda: len(double.addresses) >= 4)
            double.refuse, double.mute_new = None, {"!markPrice@arr@1s"}
            await until(lambda: len(double.clients) >= 3)
            await until(lambda: "no row came" in stream.status().problem)
            assert first in double.connected
            assert stream.status().reconnected_at is None
            double.mute_new = set()
            await until(lambda: double.connected and first not in double.connected)
            assert stream.status().handovers >= 1


async def test_a_symbol_that_is_missing_on_the_successor_holds_it_up() -> None:
    async with venue() as double:
        names = ["BTCUSDT", "ETHUSDT"]
        stream = stream_to(double, names)
        async with running(stream):
            await until(lambda: len(double.sent) == 2)
            double.clients[0].streams += ["xrpusdt@markPrice@1s"]  # not wanted: not waited for
            double.mute_new = {"ethusdt@markPrice@1s"}
            await double.say(frame(NOTICE))
            await until(lambda: len(stream.status().links) == 2)
            rows = stream.status().links[1].rows
            await until(lambda: stream.status().links[1].rows > rows + 50)
            assert stream.status().handovers == 0
            double.mute_new.clear()
            await until(lambda: stream.status().handovers == 1)


async def test_a_successor_takes_over_at_once_when_the_old_connection_dies() -> None:
    async with venue() as double:
        stream = stream_to(double, compared_for=60.0)
        async with running(stream):
            await until(lambda: stream.status().rows)
            await double.say(frame(NOTICE))
            await until(lambda: len(stream.status().links) == 2)
            double.clients[0].connection.transport.abort()
            await until(lambda: stream.status().reconnected_at is not None)
            rows = stream.status().rows
            await until(lambda: stream.status().rows > rows + 9)
            status = stream.status()
            assert (status.connects, status.handovers, len(status.links)) == (2, 0, 1)
            assert status.reconnect_reason == status.problem != ""


async def test_a_plan_that_changes_again_during_a_handover_is_followed() -> None:
    async with venue() as double:
        stream = stream_to(double, ["BTCUSDT"], compared_for=0.5)
        async with running(stream):
            await until(lambda: stream.status().rows)
            stream.set_symbols(None, every_second=True)
            await until(lambda: len(stream.status().links) == 2)
            stream.set_symbols(["BTCUSDT", "ETHUSDT"], every_second=True)  # fits on the first
            await until(lambda: len(double.connected) == 1 and len(double.requests) == 1)
            assert double.connected == double.clients[:1]
            assert stream.status().handovers == 0
            stream.set_symbols(None, every_second=True)
            await until(lambda: len(stream.status().links) == 2)
            stream.set_symbols(None, every_second=False)  # fits on the second
            await until(lambda: stream.status().handovers == 1)
            await until(lambda: double.connected[-1].streams == ["!markPrice@arr"])
        assert double.most_connected == 2


async def test_plans_that_change_all_the_time_keep_every_limit() -> None:
    async with venue() as double:
        double.symbols = [f"S{number}USDT" for number in range(130)]
        stream = stream_to(double, streams_per_connection=6, compared_for=0.0)
        async with running(stream):
            for number in range(120):
                few = [f"S{number + one}USDT" for one in range(number % 6 + 1)]
                stream.set_symbols(None if number % 7 == 0 else few, every_second=number % 3 > 0)
                await asyncio.sleep(0.02)
            wanted = set(stream.plan)
            await until(lambda: set(settled(double)) == wanted, seconds=50)
            assert stream.status().unanswered == ()
        assert double.most_connected <= 2
        assert max(one.most_streams for one in double.clients) <= 6
        for one in double.clients:
            times = one.request_times
            assert all(b - a > 1.0 for a, b in zip(times, times[8:], strict=False))


def settled(double: Venue) -> list[str]:
    return double.connected[0].streams if len(double.connected) == 1 else []
