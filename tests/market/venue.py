"""A loopback websocket server with the venue's ways and faults, and a clock that can be rushed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.market.rows import E0, row, wrapped


@dataclass(eq=False)
class Client:
    """One connection, as the server sees it."""

    connection: ServerConnection
    streams: list[str]
    most_streams: int
    mute_names: set[str]
    request_times: list[float] = field(default_factory=list)


class Venue:
    """Pushes a row of every subscribed symbol each `pause` seconds; faults are attributes.

    All connections get the same rows. E grows by one with each push.
    """

    def __init__(self) -> None:
        self.pause = 0.01
        self.symbols = ["BTCUSDT", "ETHUSDT", "币安人生USDT"]  # what the array stream carries
        self.mute = False  # acks and pongs, but no rows
        self.mute_names: set[str] = set()
        self.mute_new: set[str] = set()  # as mute_names, on connections opened from now on
        self.close_at_once = False
        self.refuse: tuple[int, dict[str, str] | list[tuple[str, str]]] | None = None
        self.refuse_names: dict[str, Any] = {}  # a SUBSCRIBE with one of these: this answer
        self.deaf = False  # reads and writes nothing more: no pongs
        self.first: list[bytes] = []  # sent before any row
        self.addresses: list[str] = []
        self.connected: list[Client] = []
        self.clients: list[Client] = []  # every one there ever was
        self.most_connected = 0
        self.requests: list[dict[str, Any]] = []
        self.sent: dict[str, int] = {}  # rows by stream
        self.port = 0
        self.event_time = E0

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
        query = parse_qs(urlsplit(connection.request.path if connection.request else "").query)
        streams = [name for name in query.get("streams", [""])[0].split("/") if name]
        client = Client(connection, streams, len(streams), self.mute_new)
        self.clients.append(client)
        if self.close_at_once:
            await connection.close(1008, "Too many requests")
            return
        with suppress(ConnectionClosed):
            for body in self.first:
                await connection.send(body.decode())
            self.connected.append(client)
            self.most_connected = max(self.most_connected, len(self.connected))
            async for message in connection:
                await self._obey(client, json.loads(message))
        if client in self.connected:
            self.connected.remove(client)

    async def _obey(self, client: Client, body: dict[str, Any]) -> None:
        self.requests.append(body)
        client.request_times.append(time.monotonic())
        refused = [self.refuse_names[name] for name in body["params"] if name in self.refuse_names]
        if refused and body["method"] == "SUBSCRIBE":
            with_id = {"id": body["id"]} if "error" in refused[0] else {}
            await client.connection.send(json.dumps({**refused[0], **with_id}))
            return
        for name in body["params"]:
            if body["method"] == "SUBSCRIBE":
                client.streams.append(name)
            elif name in client.streams:
                client.streams.remove(name)
        client.most_streams = max(client.most_streams, len(client.streams))
        await client.connection.send(json.dumps({"result": None, "id": body["id"]}))

    async def push_forever(self) -> None:
        while True:
            await asyncio.sleep(self.pause)
            self.event_time += 1
            for client in list(self.connected):
                if self.deaf:
                    client.connection.transport.pause_reading()
                elif not self.mute:
                    with suppress(ConnectionClosed):
                        await self._push(client)

    async def _push(self, client: Client) -> None:
        for name in list(client.streams):
            if name not in self.mute_names | client.mute_names:
                await client.connection.send(self._frame(name).decode(), text=True)
                self.sent[name] = self.sent.get(name, 0) + 1

    async def say(self, body: bytes) -> None:
        """Sends a frame to all that are connected."""
        for client in list(self.connected):
            await client.connection.send(body.decode())

    def reset(self) -> None:
        """Breaks off all connections."""
        for client in self.connected:
            client.connection.transport.abort()

    def _frame(self, name: str) -> bytes:
        if name.startswith("!"):
            return wrapped([row(s=one, E=self.event_time) for one in self.symbols], name)
        return wrapped(row(s=name.partition("@")[0].upper(), E=self.event_time), name)


@asynccontextmanager
async def venue() -> AsyncIterator[Venue]:
    double = Venue()
    server: Server
    async with serve(
        double.handle, "127.0.0.1", 0, process_request=double.answer, close_timeout=0.1
    ) as server:
        double.port = server.sockets[0].getsockname()[1]
        pushing = asyncio.create_task(double.push_forever())
        try:
            yield double
        finally:
            pushing.cancel()
            double.reset()


class RushedTime:
    """Monotonic seconds in which a sleep passes at once."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        self._ahead += seconds
        await asyncio.sleep(0)
