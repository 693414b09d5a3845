"""A loopback websocket server with the venue's ways and faults, and a clock that can be rushed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.market.rows import E0, row, wrapped


class Venue:
    """Sends a row of every subscribed symbol each `pause` seconds; faults are attributes."""

    def __init__(self) -> None:
        self.pause = 0.01
        self.symbols = ["BTCUSDT", "ETHUSDT", "币安人生USDT"]  # what the array stream carries
        self.mute = False  # acks and pongs, but no rows
        self.mute_names: set[str] = set()
        self.close_at_once = False
        self.refuse: tuple[int, dict[str, str]] | None = None
        self.deaf = False  # reads nothing more: no pongs
        self.first: list[bytes] = []  # sent before any row
        self.addresses: list[str] = []
        self.connected: list[ServerConnection] = []
        self.requests: list[dict[str, Any]] = []
        self.request_times: list[float] = []
        self.sent: dict[str, int] = {}  # rows by stream
        self.port = 0
        self.over = asyncio.Event()
        self._event_time = E0

    @property
    def route(self) -> str:
        return f"ws://127.0.0.1:{self.port}/market"

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.addresses.append(request.path)
        if self.refuse is None:
            return None
        status, headers = self.refuse
        return Response(status, "Refused", Headers(headers), b"no")

    async def handle(self, connection: ServerConnection) -> None:
        self.connected.append(connection)
        if self.close_at_once:
            await connection.close(1008, "Too many requests")
            return
        query = parse_qs(urlsplit(connection.request.path if connection.request else "").query)
        streams = [name for name in query.get("streams", [""])[0].split("/") if name]
        listener = asyncio.create_task(self._listen(connection, streams))
        try:
            with suppress(ConnectionClosed):
                for body in self.first:
                    await connection.send(body.decode())
                await self._speak(connection, streams)
        finally:
            listener.cancel()
            self.connected.remove(connection)

    async def _listen(self, connection: ServerConnection, streams: list[str]) -> None:
        with suppress(ConnectionClosed):
            async for message in connection:
                body = json.loads(message)
                self.requests.append(body)
                self.request_times.append(time.monotonic())
                for name in body["params"]:
                    if body["method"] == "SUBSCRIBE":
                        streams.append(name)
                    else:
                        streams.remove(name)
                await connection.send(json.dumps({"result": None, "id": body["id"]}))

    async def _speak(self, connection: ServerConnection, streams: list[str]) -> None:
        while True:
            await asyncio.sleep(self.pause)
            if self.deaf:
                connection.transport.pause_reading()
                await self.over.wait()
                connection.transport.abort()
            self._event_time += 1
            for name in [] if self.mute else list(streams):
                if name not in self.mute_names:
                    await connection.send(self._frame(name).decode(), text=True)
                    self.sent[name] = self.sent.get(name, 0) + 1

    def _frame(self, name: str) -> bytes:
        if name.startswith("!"):
            return wrapped([row(s=one, E=self._event_time) for one in self.symbols], name)
        return wrapped(row(s=name.partition("@")[0].upper(), E=self._event_time), name)


@asynccontextmanager
async def venue() -> AsyncIterator[Venue]:
    double = Venue()
    server: Server
    async with serve(
        double.handle, "127.0.0.1", 0, process_request=double.answer, close_timeout=0.1
    ) as server:
        double.port = server.sockets[0].getsockname()[1]
        try:
            yield double
        finally:
            double.over.set()


class RushedTime:
    """Monotonic seconds in which a sleep passes at once."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        self._ahead += seconds
        await asyncio.sleep(0)
