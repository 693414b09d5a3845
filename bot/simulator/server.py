"""A Binance-shaped server on one port: mark price streams by websocket, and REST.

    async with Simulator(SimulatorSettings(settlement_in=45)) as simulator:
        ...  # BINANCE_STREAM_URL=simulator.stream_url  BINANCE_REST_URL=simulator.rest_url

Routes: `/market/ws…`, `/market/stream…` deliver; the legacy `/ws…`, `/stream…` and `/public/…`
acknowledge and stay silent; `/fapi/v1/…` is REST; `/simulator/…` is the switchboard.
"""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve

from bot.simulator.connections import Connections
from bot.simulator.counts import Counts
from bot.simulator.effects import Effects
from bot.simulator.entrance import Entrance
from bot.simulator.faults import Faults
from bot.simulator.funding_times import venue_offset
from bot.simulator.prices import Market, Pin
from bot.simulator.pushing import Pusher
from bot.simulator.rest import Rest
from bot.simulator.session import Session, parse_route, stream_names
from bot.simulator.switchboard import Switchboard
from bot.simulator.universe import Universe, build_universe


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


class Simulator:
    """The server; every public method is to be called in the loop that runs it."""

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        self.settings = settings or SimulatorSettings()
        self.counts = Counts()
        # The monotonic clock runs on: a step of this machine's clock does not move the venue's.
        self._epoch = (time.time_ns() - time.monotonic_ns()) // 1_000_000  # ms
        period = max(round(self.settings.period * 1000), 1)  # ms
        self._offset = venue_offset(self._local(), self.settings.settlement_in)
        seed, now = self.settings.seed, self.now()
        listed = build_universe(seed, self.settings.symbols, now)
        self.market = Market(listed, seed, now, jitter=min(12, period // 4))
        self.rest = Rest(self.market)
        self.faults = Faults(listed.listings, self._fault_changed)
        self._connections = Connections(
            self.counts, self.now, self.settings.lifetime, self.settings.ping_every
        )
        self._pusher = Pusher(self.market, self.faults, self._connections, self.now, period)
        switchboard = Switchboard(self.faults, self.market, self.counts)
        self._entrance = Entrance(
            self.now, self.rest, self.faults, self.counts, self._connections, switchboard
        )
        self._effects = Effects(
            self.faults, self.market, self._connections, self._pusher, self._entrance,
            lifetime=self.settings.lifetime,
        )  # fmt: skip
        self._names = stream_names(listed)
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

    def _fault_changed(self, name: str) -> None:
        self._effects.of(name)

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
            process_request=self._entrance.process, compression=None, ping_interval=None,
            open_timeout=None, close_timeout=1, server_header=None,
        )  # fmt: skip
        self.port = self._server.sockets[0].getsockname()[1]
        self._connections.spawn(self._pusher.run())

    async def stop(self) -> None:
        """Closes every connection (1001) and the port."""
        self.faults.clear()
        await self._connections.stop()
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

    async def _serve(self, websocket: ServerConnection) -> None:
        assert websocket.request is not None
        self.counts.connects.append(time.monotonic())
        if "accept-then-close" in self.faults:
            await websocket.close(self.faults.number("accept-then-close"))
            return
        route = parse_route(websocket.request.path)
        assert route is not None, "the entrance refuses other paths"
        await self._connections.serve(websocket, Session(route, self._names))
