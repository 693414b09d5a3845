"""What turning a switch does at once. The other switches are read where they matter."""

from collections.abc import Callable, Mapping

from bot.simulator.connections import Connections
from bot.simulator.entrance import Entrance
from bot.simulator.faults import Faults
from bot.simulator.prices import Market
from bot.simulator.pushing import Pusher
from bot.simulator.universe import Changes


class Effects:
    """The deeds behind the switches; `lifetime` (s) holds while its switch is off."""

    def __init__(
        self,
        faults: Faults,
        market: Market,
        connections: Connections,
        pusher: Pusher,
        entrance: Entrance,
        *,
        lifetime: float,
    ) -> None:
        self._faults = faults
        self._market = market
        self._listed = market.universe
        self._connections = connections
        self._pusher = pusher
        self._entrance = entrance
        self._lifetime = lifetime
        relisting = dict.fromkeys(("drop", "delist", "unlist", "interval", "cap"), self._relist)
        self._deeds: Mapping[str, Callable[[bool], None]] = relisting | {
            "black-hole": self._set_black_hole,
            "close": self._close,
            "reset": self._reset,
            "shutdown-notice": self._announce_shutdown,
            "lifetime": self._set_lifetime,
            "lag": self._hurry,
            "reorder": self._forget_held,
            "rest-hang": self._hang_rest,
            "disagree": self._disagree,
            "settle": self._settle,
        }

    def of(self, name: str) -> None:
        """Does what a switch calls for that has just been turned on or off."""
        if name in self._deeds:
            self._deeds[name](name in self._faults)

    def _set_black_hole(self, on: bool) -> None:
        self._connections.set_black_hole(on=on)

    def _close(self, on: bool) -> None:
        if on:
            self._connections.close_all(self._faults.number("close"))

    def _reset(self, on: bool) -> None:
        if on:
            self._connections.reset_all()

    def _announce_shutdown(self, on: bool) -> None:
        if on:
            self._connections.announce_shutdown(self._faults.seconds("shutdown-notice"))

    def _set_lifetime(self, _: bool) -> None:
        self._connections.set_lifetime(self._faults.seconds("lifetime", self._lifetime))

    def _hurry(self, _: bool) -> None:
        self._connections.hurry()

    def _forget_held(self, _: bool) -> None:
        self._connections.forget_held()

    def _hang_rest(self, on: bool) -> None:
        if on:
            self._entrance.answering.clear()
        else:
            self._entrance.answering.set()

    def _disagree(self, _: bool) -> None:
        self._market.disagreeing = frozenset(self._faults.symbols("disagree"))

    def _settle(self, on: bool) -> None:
        """On a push, so that its row still has the old T and an E just past it."""
        now, period = self._pusher.now(), self._pusher.period
        self._market.times.take_back(now)
        if on:
            at = now + round(self._faults.seconds("settle") * 1000)
            self._market.times.add(-(-at // period) * period)

    def _relist(self, _: bool) -> None:
        changes = Changes(
            delisted=self._faults.symbols("delist"),
            unlisted=self._faults.symbols("unlist"),
            intervals=self._faults.intervals(),
            caps=self._faults.caps(),
        )
        self._market.relist(self._listed.with_changes(changes))
        self._pusher.take_symbols()
