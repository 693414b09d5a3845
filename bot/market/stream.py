"""The live stream: connections that are watched for rows, and replaced before they expire.

A reader only decodes and puts into an inbox, so that a slow consumer never delays a pong.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from bot.market.binance import BrokenFrameError, Frame, decode_frame, stream_request
from bot.market.feed import FeedRecord, FeedStatus, LinkStatus, Progress
from bot.market.handover import Pair
from bot.market.inbox import Batch, Inbox, Received
from bot.market.lag import Lag, told_time
from bot.market.plan import NAMES_IN_ADDRESS, is_loopback, plan_streams, stream_address
from bot.market.reconnect import ConnectPolicy, Problem, refusal, silence
from bot.market.stream_settings import StreamSettings
from bot.market.subscriptions import Request, Subscriptions
from bot.market.tick import Tick

__all__ = ["MarketStream", "StreamSettings"]

MAX_FRAME = 1 << 20  # bytes; the whole market is 0.2 MB, and more of garbage would cost seconds
LATE = 0.5  # s by which this program may oversleep before it doubts itself
REQUEST_SPACING = 0.2  # s; the venue cuts the line above ten messages a second, pongs included
LOOK_EVERY, LOOK_CLOSER = 1.0, 0.1  # s between looks at the connections; during a handover
MOST_LINKS = 2
log = logging.getLogger(__name__)


class MarketStream:
    """The ticks of the wanted symbols for as long as `run` runs.

    One connection counts. A second one is opened to take over from it, and does so when it brings
    what the first one brings, or when the first one ends.
    """

    def __init__(  # noqa: PLR0913 - three of them are the ways of time, for tests
        self,
        settings: StreamSettings,
        symbols: Iterable[str] | None = None,
        *,
        every_second: bool = True,
        keep_frames: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = lambda: time.time_ns() // 1000,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`symbols`: None for all. `keep_frames`: batches come with the frames as they were sent.

        `wall` is this machine's clock, µs since 1970. `sleep` is what passes the time between two
        connects.
        """
        self.settings = settings
        self.record = FeedRecord()
        self.inbox = Inbox(keep_frames=keep_frames)
        self.lag = Lag()  # fed by the rows; read it here or in `status`, tell it by `tell_skew`
        self.monotonic = monotonic
        self.plan: tuple[str, ...] = ()
        self._wall = wall
        self._sleep = sleep
        self._policy = ConnectPolicy(random.random)
        self._links: list[_Link] = []  # every one that is not over yet, the oldest first
        self._pair: Pair[_Link] = Pair(settings.handover_after, settings.compared_for)
        self._stirred = asyncio.Event()  # something happened that may call for a decision
        self.set_symbols(symbols, every_second=every_second)

    def set_symbols(self, symbols: Iterable[str] | None, *, every_second: bool) -> None:
        """What is wanted from now on; None for all. Connections follow without a gap."""
        limit = self.settings.streams_per_connection
        self.plan = plan_streams(symbols, every_second=every_second, limit=limit)
        self.record.wanted(self.plan)
        for link in self._links:
            link.wake.set()
        self._stirred.set()

    def tell_skew(self, skew: int) -> None:
        """This machine's clock minus the venue's, ms, as measured just now by other means."""
        self.lag.tell(skew, self._wall() // 1000, self.monotonic())

    def taken(self) -> None:
        """The consumer decided on rows of the last batch: they were new, and of the present."""
        self.record.last_taken = self.monotonic()

    async def next_batch(self) -> Batch:
        """The ticks since the last time: a frame's, or the latest of each symbol of several."""
        return await self.inbox.take()

    async def batches(self) -> AsyncIterator[Batch]:
        """Every `next_batch`, without an end. One consumer at a time."""
        while True:
            yield await self.inbox.take()

    def status(self) -> FeedStatus:
        links = tuple(
            LinkStatus(link.opened_at, len(link.carries.names), link.rows)
            for link in self._links
            if link.opened_at is not None
        )
        return self.record.status(
            self.monotonic(),
            conflated=self.inbox.conflated,
            repeated=self.inbox.repeated,
            streams=self.plan,
            links=links,
            lag=self.lag,
        )

    async def run(self) -> None:
        """Keeps the feed alive until it is cancelled; connections are then closed in order."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._stirred.clear()
                self._look()
                await self._act(group)

    def _look(self) -> None:
        now, pair = self.monotonic(), self._pair
        turn = pair.look(self.plan, now)
        if turn.close is not None:
            turn.close.task.cancel()
        if turn.handed_over:
            self.record.handed_over(now)
        current = pair.current
        if turn.took_over and current is not None and current.opened_at is not None:
            self.record.opened(now)
        if current is not None and current.carries.forgive(now):
            current.wake.set()
        if current is not None and current.rows:
            self.record.silent(current.carries.unanswered(now) & frozenset(self.plan))

    async def _act(self, group: asyncio.TaskGroup) -> None:
        """Opens a connection where one is wanted and due, or lets some time pass.

        One that still closes counts as one: the venue never sees more than two.
        """
        now, due = self.monotonic(), self._policy.due()
        if len(self._links) >= MOST_LINKS or not self._pair.wants(self.plan, now):
            closely = self._pair.successor is not None
            self.record.next_connect = None
            await self._until(asyncio.sleep(LOOK_CLOSER if closely else LOOK_EVERY))
        elif due > now:
            self.record.next_connect = due
            await self._until(self._sleep(due - now))
        else:
            self._open(group, now)

    async def _until(self, time_passes: Awaitable[object]) -> None:
        """Waits for that, or until something happens that may call for a decision."""
        waits = [asyncio.ensure_future(time_passes), asyncio.ensure_future(self._stirred.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def _open(self, group: asyncio.TaskGroup, now: float) -> None:
        self._policy.connecting(now)
        self.record.connecting()
        link = _Link(self, now)
        self._links.append(link)
        self._pair.add(link, now)
        link.task = group.create_task(self._keep(link))

    async def _keep(self, link: "_Link") -> None:
        try:
            problem = await link.live()
        finally:
            link.is_over = True
            self._links.remove(link)
            self._policy.flowed(link.rows_for)
            self._stirred.set()
        now = self.monotonic()
        self._policy.ended(link.started, now, problem)
        self.record.ended(problem, now, spare=link is not self._pair.current)

    # --- what a connection tells

    def opened(self, link: "_Link", now: float) -> None:
        if link is self._pair.current:
            self.record.opened(now)

    def leaving(self) -> None:
        self._stirred.set()

    def take(self, link: "_Link", message: bytes, ticks: tuple[Tick, ...], now: float) -> None:
        """The rows of one frame."""
        at = self._wall()
        self.inbox.put(Received(at, message, ticks))
        self.lag.row(told_time(ticks), at // 1000, now)
        self._pair.rows(link, ticks, now)


class _Link:
    """One connection, from its handshake to its end."""

    task: asyncio.Task[None]

    def __init__(self, stream: MarketStream, started: float) -> None:
        settings = stream.settings
        self.started = started  # monotonic s
        self.opened_at: float | None = None  # monotonic s
        self.flows_since: float | None = None  # monotonic s
        self.rows_for = 0.0  # s from the first row to the last
        self.rows = 0
        self.leaving = False  # the venue said so
        self.is_over = False
        self.wake = asyncio.Event()  # the plan changed, or a stream gave its first row
        self._progress = Progress()
        self._address = stream.plan[:NAMES_IN_ADDRESS]
        self.carries = Subscriptions(self._address, settings.streams_per_connection, started)
        self._stream = stream
        self._last_request = started

    async def live(self) -> Problem:
        """Connects and reads; returns why that ended."""
        try:
            return await self._converse()
        except InvalidStatus as error:
            answer = error.response
            wait, date = _first(answer.headers, "Retry-After"), _first(answer.headers, "Date")
            return refusal(answer.status_code, wait, date)
        except InvalidURI as error:
            return Problem(f"BINANCE_STREAM_URL is no websocket address: {error}", slow=True)
        except (OSError, WebSocketException, ValueError, EOFError) as error:
            return Problem(f"cannot connect: {error or type(error).__name__}")
        except Exception as error:  # whatever a library raises, the feed goes on
            log.exception("A connection failed oddly", extra={"action": "feed_lost"})
            return Problem(f"cannot connect: {type(error).__name__}")

    async def _converse(self) -> Problem:
        settings = self._stream.settings
        async with (
            _Connect(
                stream_address(settings.route, self._address),
                proxy=_proxy(settings),
                open_timeout=settings.open_timeout,
                ping_interval=settings.ping_interval,
                ping_timeout=settings.ping_timeout,
                close_timeout=settings.close_timeout,
                max_size=MAX_FRAME,
            ) as connection,
            asyncio.TaskGroup() as group,
        ):
            self.opened_at = self._stream.monotonic()
            self.carries.opened(self.opened_at)
            self._stream.opened(self, self.opened_at)
            follower = group.create_task(self._follow_plan(connection))
            problem = await self._read(connection)
            follower.cancel()
            connection.transport.abort()  # a dead peer would not answer a close
        return problem

    async def _read(self, connection: ClientConnection) -> Problem:
        loop, timeout = asyncio.get_running_loop(), self._stream.settings.row_timeout
        deadline, excused = loop.time() + timeout, False
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    message = await connection.recv(decode=False)
            except TimeoutError:
                if not excused and loop.time() - deadline > LATE:
                    deadline, excused = loop.time() + LATE, True  # we slept: rows may lie waiting
                    continue
                return silence(timeout, had_rows=self.rows > 0)
            except ConnectionClosed as error:
                return _closed(error)
            if self._take(message):
                deadline, excused = loop.time() + timeout, False

    def _take(self, message: bytes) -> bool:
        """Hands the ticks of a frame on; False where it had none, or only what came before."""
        stream, now = self._stream, self._stream.monotonic()
        try:
            frame = decode_frame(message)
        except BrokenFrameError as error:
            stream.record.broken(str(error))
            return False
        stream.record.frame(frame, now)
        if not frame.ticks:
            self._heed(frame, now)
            return False
        stream.take(self, message, frame.ticks, now)
        self.rows += len(frame.ticks)
        if frame.stream not in self.carries.giving and (new := self.carries.gave(frame.stream)):
            stream.record.gave(new)
            self.wake.set()
        if self.flows_since is None:
            self.flows_since = now
            stream.record.flows()
        self.rows_for = now - self.flows_since
        return self._progress.is_news(frame.ticks)

    def _heed(self, frame: Frame, now: float) -> None:
        """What the venue says beside the rows."""
        if frame.answer is not None:
            refused = self.carries.answered(frame.answer, now)
            if refused:
                self._stream.record.silent(frozenset(refused), frame.answer.error)
        if frame.leaving:
            self.leaving = True
            self._stream.leaving()

    async def _follow_plan(self, connection: ClientConnection) -> None:
        """Subscribes to what is missing, and leaves what is not needed any more."""
        try:
            while True:
                self.wake.clear()
                request = self._next_request()
                wait = self._last_request + REQUEST_SPACING - self._stream.monotonic()
                if request is None:
                    await self.wake.wait()
                elif wait > 0:
                    await asyncio.sleep(wait)
                else:
                    number = self.carries.next_id
                    self._last_request = self._stream.monotonic()
                    self.carries.sent(request, self._last_request)
                    await connection.send(stream_request(request.method, request.names, number))
        except ConnectionClosed:
            return  # the reader sees it too, and says why

    def _next_request(self) -> Request | None:
        plan = self._stream.plan
        return self.carries.next_request(plan) if self.carries.fits(plan) else None


class _Connect(connect):
    """A handshake is one connect: redirects, which the venue has none of, are not followed."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _closed(error: ConnectionClosed) -> Problem:
    if error.rcvd is not None:
        return Problem(f"the venue closed the connection ({error.rcvd})")
    if error.sent is not None:
        return Problem(f"the connection was given up ({error.sent})")
    return Problem("the connection broke off")


def _first(headers: Headers, name: str) -> str | None:
    """A header that may have been sent more than once."""
    return next(iter(headers.get_all(name)), None)


def _proxy(settings: StreamSettings) -> Literal[True] | None:
    return True if settings.use_proxy and not is_loopback(settings.route) else None
