"""A listener on the wire between the program and its venue, which writes down what passes.

It knows neither the program's code nor the simulator's: it forwards bytes, in both directions and
with every way in which a connection can end, and reads along.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.chaos.delivered import (
    Row,
    VenueTime,
    rows_of_message,
    rows_of_premium_index,
    venue_time,
)
from tests.chaos.wire import CLOSE, TEXT, Frame, FrameReader, HeadReader

TIME, PREMIUM_INDEX = "/fapi/v1/time", "/fapi/v1/premiumIndex"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: the end of a connection is an RST


@dataclass(eq=False)
class Link:
    """One websocket connection of the program. Times are local monotonic seconds."""

    number: int
    opened: float
    target: str
    status: int = 0  # of the handshake's answer; 0: none came
    retry_after: float = 0.0  # s, as the answer said
    rows: int = 0
    first_row: float | None = None
    last_row: float | None = None
    left: float | None = None  # when the program ended it, by a close frame or by hanging up
    ended: float | None = None
    sent: list[tuple[float, str]] = field(default_factory=list)  # messages of the program


@dataclass(frozen=True)
class Asked:
    """One REST request."""

    at: float
    path: str
    target: str
    status: int = 0  # 0: no answer came


class Tap:
    """Listens on a port of its own; `stream_url` and `rest_url` stand in for the venue's."""

    def __init__(self, venue_port: int, host: str = "127.0.0.1") -> None:
        self.links: list[Link] = []
        self.asked: list[Asked] = []
        self.rows: list[Row] = []
        self.times: list[VenueTime] = []
        self._venue = (host, venue_port)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._changed = asyncio.Event()

    @property
    def stream_url(self) -> str:
        return f"ws://{self._venue[0]}:{self._port}/market"

    @property
    def rest_url(self) -> str:
        return f"http://{self._venue[0]}:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        return {"BINANCE_STREAM_URL": self.stream_url, "BINANCE_REST_URL": self.rest_url}

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Tap"]:
        self._server = await asyncio.start_server(self._serve, self._venue[0], 0)
        self._port = self._server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._server.close()

    async def wait_for(self, predicate: Callable[[], object], within: float) -> None:
        """Waits until the predicate holds, looked at whenever something passed."""
        async with asyncio.timeout(within):
            while not predicate():
                self._changed.clear()
                await self._changed.wait()

    def stream_rows(self, begun: float = float("-inf")) -> list[Row]:
        """The rows that the stream brought from a time on."""
        return [row for row in self.rows if not row.rest and row.at >= begun]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection(*self._venue)
        except OSError:
            writer.transport.abort()
            return
        passage = _Passage(self, (reader, writer), upstream)
        self.passing(None)
        await passage.run()

    def passing(self, row: Row | None) -> None:
        if row is not None:
            self.rows.append(row)
        self._changed.set()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Passage:
    """One TCP connection through the tap."""

    def __init__(self, tap: Tap, program: Ends, venue: Ends) -> None:
        self._tap = tap
        self._program = program
        self._venue = venue
        self._request, self._answer = HeadReader(), HeadReader()
        self._from_program, self._from_venue = FrameReader(), FrameReader()
        self._body = b""
        self._link: Link | None = None
        self._begun = time.monotonic()

    async def run(self) -> None:
        """Both directions, until either ends."""
        up = asyncio.create_task(self._pump(self._program, self._venue, self._up))
        down = asyncio.create_task(self._pump(self._venue, self._program, self._down))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if up.done() and self._link is not None and self._link.left is None:
                self._link.left = time.monotonic()
        finally:
            for task in (up, down):
                task.cancel()
            results = await asyncio.gather(up, down, return_exceptions=True)
            hard = any(isinstance(result, ConnectionError) for result in results)
            self._end(hard=hard)

    async def _pump(self, source: Ends, sink: Ends, read_along: Callable[[bytes], None]) -> None:
        while data := await source[0].read(1 << 16):
            sink[1].write(data)
            read_along(data)
            self._tap.passing(None)
            await sink[1].drain()

    def _end(self, *, hard: bool) -> None:
        for _, writer in (self._program, self._venue):
            raw = writer.transport.get_extra_info("socket")
            if hard and raw is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
            else:
                writer.close()
        if self._link is not None:
            self._link.ended = time.monotonic()
        elif self._request.head is not None:
            self._note_request()
        self._tap.passing(None)

    def _up(self, data: bytes) -> None:
        known = self._request.head
        rest = self._request.feed(data)
        head = self._request.head
        if known is None and head is not None and "upgrade" in head.headers:
            number = len(self._tap.links)
            self._link = Link(number, time.monotonic(), head.target)
            self._tap.links.append(self._link)
        if self._link is not None:
            for frame in self._from_program.feed(rest):
                self._sent(self._link, frame)

    def _sent(self, link: Link, frame: Frame) -> None:
        now = time.monotonic()
        if frame.opcode == TEXT:
            link.sent.append((now, frame.payload.decode()))
        elif frame.opcode == CLOSE and link.left is None:
            link.left = now

    def _down(self, data: bytes) -> None:
        rest = self._answer.feed(data)
        head = self._answer.head
        if head is None:
            return
        if self._link is None:
            self._body += rest
            return
        self._link.status = head.status
        self._link.retry_after = float(head.headers.get("retry-after", 0))
        if head.status == 101:
            for frame in self._from_venue.feed(rest):
                self._received(self._link, frame)

    def _received(self, link: Link, frame: Frame) -> None:
        if frame.opcode != TEXT or link.left is not None:
            return  # what comes after the program's goodbye reaches nobody
        now = time.monotonic()
        for row in rows_of_message(frame.payload, now, link.number):
            link.rows += 1
            link.first_row = link.first_row if link.first_row is not None else now
            link.last_row = now
            self._tap.passing(row)

    def _note_request(self) -> None:
        request, answer, now = self._request.head, self._answer.head, time.monotonic()
        assert request is not None
        path = urlsplit(request.target).path
        status = answer.status if answer is not None else 0
        self._tap.asked.append(Asked(self._begun, path, request.target, status))
        if path == TIME and status == 200:
            self._tap.times += venue_time(self._body, now)
        if path == PREMIUM_INDEX and status == 200:
            for row in rows_of_premium_index(self._body, now):
                self._tap.passing(row)
