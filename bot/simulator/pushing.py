"""The push of rows: twice a period, crypto contracts first and TradFi contracts later."""

import asyncio
from collections.abc import Callable

from bot.simulator.connections import Connections
from bot.simulator.distortions import DISTORTIONS
from bot.simulator.faults import Faults
from bot.simulator.payloads import Payloads
from bot.simulator.prices import Market, Row

TRADFI_PHASE = 0.684  # of a period after the crypto rows, as seen on the venue


class Pusher:
    """Sends every connection what it subscribed to; `period` and `now()` are ms."""

    def __init__(
        self,
        market: Market,
        faults: Faults,
        connections: Connections,
        now: Callable[[], int],
        period: int,
    ) -> None:
        self.period = period
        self.now = now
        self._market = market
        self._faults = faults
        self._connections = connections
        self._by_phase: dict[bool, dict[str, None]] = {}
        self.take_symbols()

    def take_symbols(self) -> None:
        """Looks anew which symbols have rows, and on which phase."""
        listings = self._market.universe.listings.values()
        dropped = set(self._faults.symbols("drop"))
        self._by_phase = {
            tradfi: {
                each.symbol: None
                for each in listings
                if each.tradfi == tradfi and each.symbol not in dropped
            }
            for tradfi in (False, True)
        }

    async def run(self) -> None:
        """Pushes until it is cancelled."""
        at = (self.now() // self.period + 1) * self.period
        phases = ((0, False), (round(self.period * TRADFI_PHASE), True))
        while True:
            for phase, tradfi in phases:
                await asyncio.sleep(max(at + phase - self.now(), 0) / 1000)
                self._push(at + phase, tradfi=tradfi, third=at // self.period % 3 == 0)
            # A machine that slept does not catch up, as the venue would not.
            at = max(at + self.period, self.now() // self.period * self.period)

    def _push(self, at: int, *, tradfi: bool, third: bool) -> None:
        if "silent" in self._faults or "black-hole" in self._faults:
            return
        skew = self._faults.number("clock-jump")

        def row(symbol: str) -> Row:
            return self._market.row(symbol, at, skew=skew)

        payloads = Payloads(self._by_phase[tradfi], row, third=third)
        distortions = [change for name, change in DISTORTIONS.items() if name in self._faults]
        lag = self._faults.seconds("lag")
        for client in list(self._connections.open):
            frames = list(client.session.frames(payloads))
            for distort in distortions if frames else ():
                frames = distort(frames, client.held[tradfi])
            self._connections.send(client, frames, lag)
