"""The live stream: connections that are watched for rows, and replaced before they expire.

A reader only decodes and puts into an inbox, so that a slow consumer never delays a pong.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from bot.market.binance import BrokenFrameError, decode_frame, stream_request
from bot.market.feed import FeedRecord, FeedStatus
from bot.market.inbox import Batch, Inbox, Received
from bot.market.plan import (
    NAMES_IN_ADDRESS,
    change_of_streams,
    in_requests,
    is_loopback,
    plan_streams,
    stream_address,
)
from bot.market.reconnect import ConnectPolicy, Problem, refusal

MAX_FRAME = 8 << 20  # bytes; the whole market is 0.2 MB
LATE = 0.5  # s by which this program may oversleep before it doubts itself
REQUEST_SPACING = 0.2  # s; the venue cuts the line above ten requests a second


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Where the stream is and how it is watched; times in seconds."""

    route: str  # BINANCE_STREAM_URL: `/stream?streams=...` is appended
    streams_per_connection: int = 200  # more symbols than that share the array stream
    row_timeout: float = 8.0  # without a row for so long a connection counts as dead
    handover_after: float = 23 * 3600.0 + 50 * 60.0  # the venue closes after 24 h
    ping_interval: float = 5.0
    ping_timeout: float = 5.0
    open_timeout: float = 10.0
    close_timeout: float = 1.0
    use_proxy: bool = True  # as the environment names it; never for loopback


class MarketStream:
    """The ticks of the wanted symbols for as long as `run` runs."""

    def __init__(
        self,
        settings: StreamSettings,
        symbols: Iterable[str] | None = None,
        *,
        every_second: bool = True,
        keep_frames: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`symbols`: None for all. `keep_frames`: batches come with the frames as they were sent.

        `sleep` is what passes the time between two connects.
        """
        self.settings = settings
        self.record = FeedRecord()
        self.inbox = Inbox(keep_frames=keep_frames)
        self.monotonic = monotonic
        self.plan: tuple[str, ...] = ()
        self._sleep = sleep
        self._policy = ConnectPolicy(random.random)
        self._links: set[_Link] = set()
        self.set_symbols(symbols, every_second=every_second)

    def set_symbols(self, symbols: Iterable[str] | None, *, every_second: bool) -> None:
        """What is wanted from now on; None for all. Open connections follow without a gap."""
        limit = self.settings.streams_per_connection
        self.plan = plan_streams(symbols, every_second=every_second, limit=limit)
        for link in self._links:
            link.wake.set()

    async def next_batch(self) -> Batch:
        """The ticks since the last time: a frame's, or the latest of each symbol of several."""
        return await self.inbox.take()

    async def batches(self) -> AsyncIterator[Batch]:
        """Every `next_batch`, without an end. One consumer at a time."""
        while True:
            yield await self.inbox.take()

    def status(self) -> FeedStatus:
        return self.record.status(conflated=self.inbox.conflated, streams=self.plan)

    async def run(self) -> None:
        """Keeps the feed alive until it is cancelled; connections are then closed in order."""
        async with asyncio.TaskGroup() as group:
            link = await self._open(group)
            while True:
                left = link.started + self.settings.handover_after - self.monotonic()
                await asyncio.wait({link.task}, timeout=max(left, 0.0))
                if link.task.done():
                    link = await self._open(group)
                else:
                    link = await self._hand_over(group, link)

    async def _open(self, group: asyncio.TaskGroup) -> "_Link":
        """Starts a connection as soon as the spacing allows."""
        while (wait := self._policy.due() - self.monotonic()) > 0:
            await self._sleep(wait)
        now = self.monotonic()
        self._policy.connecting(now)
        self.record.connecting()
        link = _Link(self, now)
        self._links.add(link)
        link.task = group.create_task(self._keep(link))
        return link

    async def _keep(self, link: "_Link") -> None:
        try:
            problem = await link.live()
        finally:
            self._links.discard(link)
            self.record.closed(link)
            self._policy.flowed(link.rows_for)
        now = self.monotonic()
        self._policy.ended(now, problem)
        self.record.ended(problem, now)

    async def _hand_over(self, group: asyncio.TaskGroup, old: "_Link") -> "_Link":
        """Opens a successor; the old connection goes when rows flow on the new one."""
        new = await self._open(group)
        flowing = group.create_task(new.flowing.wait())
        await asyncio.wait({new.task, flowing}, return_when=asyncio.FIRST_COMPLETED)
        flowing.cancel()
        if new.task.done():
            return old
        old.task.cancel()
        return new


class _Link:
    """One connection, from its handshake to its end."""

    task: asyncio.Task[None]

    def __init__(self, stream: MarketStream, started: float) -> None:
        self.started = started  # monotonic s
        self.flowing = asyncio.Event()  # set by the first row
        self.wake = asyncio.Event()  # the plan changed, or a stream gave its first row
        self.rows_for = 0.0  # s from the first row to the last
        self._first_row = 0.0
        self._stream = stream
        self._streams: set[str] = set()  # asked for on this connection
        self._giving: set[str] = set()  # of those, the ones that gave a row
        self._requests = 0
        self._last_request = started

    async def live(self) -> Problem:
        """Connects and reads; returns why that ended."""
        settings, streams = self._stream.settings, self._stream.plan[:NAMES_IN_ADDRESS]
        self._streams.update(streams)
        try:
            async with (
                connect(
                    stream_address(settings.route, streams),
                    proxy=_proxy(settings),
                    open_timeout=settings.open_timeout,
                    ping_interval=settings.ping_interval,
                    ping_timeout=settings.ping_timeout,
                    close_timeout=settings.close_timeout,
                    max_size=MAX_FRAME,
                ) as connection,
                asyncio.TaskGroup() as group,
            ):
                self._stream.record.opened(self, self._stream.monotonic())
                follower = group.create_task(self._follow_plan(connection))
                problem = await self._read(connection)
                follower.cancel()
        except InvalidStatus as error:
            response = error.response
            problem = refusal(response.status_code, response.headers.get("Retry-After"))
        except InvalidURI as error:
            problem = Problem(f"BINANCE_STREAM_URL is no websocket address: {error}", slow=True)
        except (OSError, WebSocketException, ValueError) as error:
            problem = Problem(f"cannot connect: {error or type(error).__name__}")
        return problem

    async def _read(self, connection: ClientConnection) -> Problem:
        loop, timeout = asyncio.get_running_loop(), self._stream.settings.row_timeout
        deadline = loop.time() + timeout
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    message = await connection.recv(decode=False)
            except TimeoutError:
                if loop.time() - deadline > LATE:  # we slept ourselves: rows may lie waiting
                    deadline = loop.time() + LATE
                    continue
                return Problem(f"the connection is open, but no row came for {timeout:g} s")
            except ConnectionClosed as error:
                return _closed(error)
            if self._take(message):
                deadline = loop.time() + timeout

    def _take(self, message: bytes) -> bool:
        """Hands the ticks of a frame on; False where it had none."""
        record = self._stream.record
        try:
            frame = decode_frame(message)
        except BrokenFrameError as error:
            record.broken(str(error))
            return False
        now = self._stream.monotonic()
        record.frame(frame, now)
        if not frame.ticks:
            return False
        self._stream.inbox.put(Received(time.time_ns() // 1000, message, frame.ticks))
        if frame.stream not in self._giving:
            self._giving.add(frame.stream)
            self.wake.set()
        if not self.flowing.is_set():
            self._first_row = now
            self.flowing.set()
            record.flows()
        self.rows_for = now - self._first_row
        return True

    async def _follow_plan(self, connection: ClientConnection) -> None:
        """Subscribes to what is missing, and leaves the rest once a wanted stream gave a row."""
        try:
            while True:
                self.wake.clear()
                wanted = self._stream.plan
                change = change_of_streams(self._streams, wanted)
                await self._request(connection, "SUBSCRIBE", change.add)
                self._streams.update(change.add)
                if not self._giving.isdisjoint(wanted):
                    await self._request(connection, "UNSUBSCRIBE", change.drop)
                    self._streams.difference_update(change.drop)
                    self._giving.difference_update(change.drop)
                await self.wake.wait()
        except ConnectionClosed:
            return  # the reader sees it too, and says why

    async def _request(
        self, connection: ClientConnection, method: str, names: tuple[str, ...]
    ) -> None:
        for portion in in_requests(names):
            wait = self._last_request + REQUEST_SPACING - self._stream.monotonic()
            await asyncio.sleep(max(wait, 0.0))
            self._last_request = self._stream.monotonic()
            self._requests += 1
            await connection.send(stream_request(method, portion, self._requests))


def _closed(error: ConnectionClosed) -> Problem:
    if error.rcvd is not None:
        return Problem(f"the venue closed the connection ({error.rcvd})")
    if error.sent is not None:
        return Problem(f"the connection was given up ({error.sent})")
    return Problem("the connection broke off")


def _proxy(settings: StreamSettings) -> Literal[True] | None:
    return True if settings.use_proxy and not is_loopback(settings.route) else None
