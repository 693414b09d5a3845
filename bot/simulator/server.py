"""A Binance-shaped server on one port: mark price streams by websocket, and REST.

    async with Simulator(SimulatorSettings(settlement_in=45)) as simulator:
        ...  # BINANCE_STREAM_URL=simulator.stream_url  BINANCE_REST_URL=simulator.rest_url

Routes: `/market/ws…`, `/market/stream…` deliver; the legacy `/ws…`, `/stream…` and `/public/…`
acknowledge and stay silent; `/fapi/v1/…` is REST; `/simulator/…` is the switchboard.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from bot.simulator.counts import Counts
from bot.simulator.faults import DISTORTIONS, Faults
from bot.simulator.prices import Market, Pin, Row, venue_offset
from bot.simulator.rest import Answer, Rest, refusal
from bot.simulator.session import Payloads, Session, parse_route, stream_names
from bot.simulator.switchboard import PREFIX, Switchboard
from bot.simulator.universe import Universe, build_universe

TRADFI_PHASE = 0.684  # of a period after the crypto rows, as seen on the venue
PONG_TIMEOUT = 600.0  # s
GOING_AWAY = 1001


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """What a simulated market is like; `faults` are NAME or NAME=VALUE of `faults.SWITCHES`."""

    seed: int = 1
    symbols: int = 330
    settlement_in: float | None = None  # s after the start, by shifting the venue's clock
    period: float = 1.0  # s between the pushes of the one-second streams
    host: str = "127.0.0.1"
    port: int = 0  # 0: any free one
    faults: tuple[str, ...] = ()
    lifetime: float = 86_400.0  # s a connection lives
    ping_every: float = 180.0  # s


@dataclass(eq=False)
class _Client:
    websocket: ServerConnection
    session: Session
    held: Mapping[bool, list[str]] = field(default_factory=lambda: {False: [], True: []})


class Simulator:
    """The server; every public method is to be called in the loop that runs it."""

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        self.settings = settings or SimulatorSettings()
        self.counts = Counts()
        # The monotonic clock runs on: a step of this machine's clock does not move the venue's.
        self._epoch = (time.time_ns() - time.monotonic_ns()) // 1_000_000  # ms
        self._period = max(round(self.settings.period * 1000), 1)  # ms
        self._offset = venue_offset(self._local(), self.settings.settlement_in)
        seed, now = self.settings.seed, self.now()
        self._listed = build_universe(seed, self.settings.symbols, now)
        self.market = Market(self._listed, seed, now, jitter=min(12, self._period // 4))
        self.rest = Rest(self.market)
        self.faults = Faults(self._listed.listings.__contains__, self._fault_changed)
        self._switchboard = Switchboard(self.faults, self.market, self.counts)
        self._names = stream_names(self._listed)
        self._by_phase = self._phases()
        self._clients: set[_Client] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reachable = asyncio.Event()
        self._reachable.set()
        self._server: Server | None = None
        self.port = 0
        self.host = self.settings.host

    @property
    def universe(self) -> Universe:
        return self.market.universe

    @property
    def stream_url(self) -> str:
        """What BINANCE_STREAM_URL is to be."""
        return f"ws://{self.host}:{self.port}/market"

    @property
    def rest_url(self) -> str:
        """What BINANCE_REST_URL is to be."""
        return f"http://{self.host}:{self.port}"

    def now(self) -> int:
        """The venue's time, ms."""
        return self._local() + self._offset

    def _local(self) -> int:
        return self._epoch + time.monotonic_ns() // 1_000_000

    async def start(self, host: str | None = None, port: int | None = None) -> None:
        """Listens; the crossers' script and the seconds to the settlement begin here.

        Raises:
            ValueError: the settings name a fault that does not exist or a wrong value.
            OSError: the address cannot be listened on.
        """
        self._offset = venue_offset(self._local(), self.settings.settlement_in)
        self.market.started = self.now()
        for text in self.settings.faults:
            self.faults.set_text(text)
        self.host = self.settings.host if host is None else host
        self._server = await serve(
            self._serve, self.host, self.settings.port if port is None else port,
            process_request=self._request, compression=None, ping_interval=None,
            open_timeout=None, close_timeout=1, server_header=None,
        )  # fmt: skip
        self.port = self._server.sockets[0].getsockname()[1]
        self._spawn(self._push_forever())

    async def stop(self) -> None:
        """Closes every connection (1001) and the port."""
        self.faults.clear()
        pending = list(self._tasks)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def set_row(
        self,
        symbol: str,
        *,
        mark: str | None = None,
        index: str | None = None,
        rate: str | None = None,
        settle: str | None = None,
        next_funding_time: int | None = None,
    ) -> None:
        """Pins values of a symbol's rows from the next push on, as the exact texts to send.

        Raises:
            ValueError: there is no such symbol.
        """
        self.market.pin(symbol, Pin(mark, index, settle, rate, next_funding_time))

    def free_row(self, symbol: str) -> None:
        """Lets a symbol follow the model again."""
        self.market.unpin(symbol)

    # --- stream

    async def _serve(self, websocket: ServerConnection) -> None:
        assert websocket.request is not None
        self.counts.connects.append(time.monotonic())
        if "accept-then-close" in self.faults:
            await websocket.close(self.faults.number("accept-then-close"))
            return
        route = parse_route(websocket.request.path)
        assert route is not None, "_request refuses other paths"
        client = _Client(websocket, Session(route, self._names))
        self._clients.add(client)
        pinging = asyncio.create_task(self._ping(websocket))
        try:
            async with asyncio.timeout(self.settings.lifetime):
                await self._converse(client)
        except TimeoutError:
            await self._reachable.wait()
            await websocket.close(GOING_AWAY)
        except ConnectionClosed:
            pass
        finally:
            self._clients.discard(client)
            pinging.cancel()

    async def _converse(self, client: _Client) -> None:
        async for message in client.websocket:
            await self._reachable.wait()
            self.counts.messages += 1
            reply = client.session.answer(message, time.monotonic())
            self.counts.busiest_second = max(self.counts.busiest_second, client.session.busiest)
            self.counts.most_streams = max(self.counts.most_streams, len(client.session.streams))
            if reply.text:
                await client.websocket.send(reply.text)
            if reply.close is not None:
                self.counts.closed.append(reply.close)
                await client.websocket.close(reply.close.code, reply.close.reason)

    async def _ping(self, websocket: ServerConnection) -> None:
        """The venue's own ping: every 3 min, the time as its payload, 10 min for the pong."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(self.settings.ping_every)
                await self._reachable.wait()
                pong = await websocket.ping(str(self.now()))
                try:
                    await asyncio.wait_for(pong, PONG_TIMEOUT)
                except TimeoutError:
                    await websocket.close(1008, "Pong timeout")

    async def _push_forever(self) -> None:
        at = (self.now() // self._period + 1) * self._period
        phases = ((0, False), (round(self._period * TRADFI_PHASE), True))
        while True:
            for phase, tradfi in phases:
                await asyncio.sleep(max(at + phase - self.now(), 0) / 1000)
                self._push(at + phase, tradfi=tradfi, third=at // self._period % 3 == 0)
            # A machine that slept does not catch up, as the venue would not.
            at = max(at + self._period, self.now() // self._period * self._period)

    def _push(self, at: int, *, tradfi: bool, third: bool) -> None:
        if "silent" in self.faults or "black-hole" in self.faults:
            return
        skew = self.faults.number("clock-jump")

        def row(symbol: str) -> Row:
            return self.market.row(symbol, at, skew=skew)

        payloads = Payloads(self._by_phase[tradfi], row, third=third)
        distortions = [change for name, change in DISTORTIONS.items() if name in self.faults]
        for client in list(self._clients):
            frames = list(client.session.frames(payloads))
            for distort in distortions if frames else ():
                frames = distort(frames, client.held[tradfi])
            for frame in frames:
                broadcast((client.websocket,), frame)
            self.counts.frames += len(frames)

    # --- plain HTTP, and the handshake

    async def _request(self, websocket: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        if path.startswith(PREFIX):
            return _response(self._switchboard.answer(request.path))
        await self._reachable.wait()
        if path.startswith("/fapi/"):
            return self._rest(path, request.path)
        if "refuse" in self.faults:
            self.counts.refused += 1
            return self._refusal("refuse")
        if parse_route(request.path) is None:
            return websocket.respond(HTTPStatus.NOT_FOUND, "Not Found\n")
        return None

    def _rest(self, path: str, target: str) -> Response:
        self.counts.rest[path] += 1
        if "rest-down" in self.faults:
            return self._refusal("rest-down")
        answer = self.rest.answer(target, self.now())
        self.counts.most_weight = max(self.counts.most_weight, self.rest.used_weight)
        return _response(answer)

    def _refusal(self, name: str) -> Response:
        wait = self.faults.number("retry-after", 5)
        return _response(refusal(self.faults.number(name), wait))

    # --- faults

    def _fault_changed(self, name: str) -> None:
        if name == "black-hole":
            self._set_black_hole(on=name in self.faults)
        elif name == "close" and name in self.faults:
            for client in self._clients:
                self._spawn(client.websocket.close(self.faults.number("close")))
        elif name == "reset" and name in self.faults:
            for client in self._clients:
                _reset(client.websocket)
        elif name in ("drop", "delist", "interval"):
            delisted, intervals = self.faults.symbols("delist"), self.faults.intervals()
            self.market.relist(self._listed.with_changes(delisted, intervals))
            self._by_phase = self._phases()

    def _set_black_hole(self, *, on: bool) -> None:
        for client in self._clients:
            transport = client.websocket.transport
            transport.pause_reading() if on else transport.resume_reading()
        self._reachable.clear() if on else self._reachable.set()

    def _phases(self) -> dict[bool, dict[str, None]]:
        """The symbols that have rows, by whether they come on the TradFi phase."""
        listings = self.universe.listings.values()
        dropped = set(self.faults.symbols("drop"))
        return {
            tradfi: {
                each.symbol: None
                for each in listings
                if each.tradfi == tradfi and each.symbol not in dropped
            }
            for tradfi in (False, True)
        }

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _response(answer: Answer) -> Response:
    phrases = {status.value: status.phrase for status in HTTPStatus}
    headers = Headers(answer.headers)
    headers["Content-Type"] = "application/json"
    headers["Content-Length"] = str(len(answer.body))
    headers["Connection"] = "close"
    return Response(answer.status, phrases.get(answer.status, "Refused"), headers, answer.body)


def _reset(websocket: ServerConnection) -> None:
    """Ends the TCP connection by RST."""
    raw = websocket.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    websocket.transport.abort()
