"""When a new connection is opened for an old one, and when it may take over: decided purely."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from bot.market.plan import subjects
from bot.market.subscriptions import Subscriptions
from bot.market.tick import Tick

COMPARED_FOR = 3.5  # s at least: within it every stream of the old one spoke, the slow ones too
GIVEN_UP_AFTER = 10.0  # s from the first row of the new one, whatever is missing on it
LATELY = 10.0  # s: a symbol that the old one brought no longer ago must come on the new one


class Connection(Protocol):
    """What is looked at of a connection; times are monotonic seconds."""

    started: float
    leaving: bool  # the venue said that it goes
    is_over: bool
    carries: Subscriptions


Wanted = frozenset[str] | None  # symbols in lower case; None for all
AnyConnection = TypeVar("AnyConnection", bound=Connection)


class Overlap:
    """What two connections bring side by side; times are monotonic seconds.

    A symbol has moved over when its first row on the new connection is no newer than its last one
    on the old: what came before is from the old one, everything after comes on the new one, and
    no row lies between.
    """

    def __init__(self, since: float, compared_for: float = COMPARED_FOR) -> None:
        self._since = since
        self._compared_for = compared_for
        self._last: dict[str, tuple[int, float]] = {}  # E and arrival, of the old one's rows
        self._first: dict[str, int] = {}  # E, of the new one's
        self._flows_since: float | None = None

    def on_old(self, ticks: Iterable[Tick], now: float) -> None:
        for tick in ticks:
            self._last[tick.symbol] = tick.event_time, now

    def on_new(self, ticks: Iterable[Tick], now: float) -> None:
        if self._flows_since is None:
            self._flows_since = now
        for tick in ticks:
            self._first.setdefault(tick.symbol, tick.event_time)

    def complete(self, wanted: Wanted, now: float) -> bool:
        """Whether the old connection may go; `wanted` are the symbols that must have moved."""
        if self._flows_since is None:
            return False
        if now - self._flows_since >= GIVEN_UP_AFTER:
            return True
        return now - self._since >= self._compared_for and not self.missing(wanted, now)

    def missing(self, wanted: Wanted, now: float) -> list[str]:
        """The wanted symbols that the old one brought lately and that did not move."""
        return [
            symbol
            for symbol, (event_time, arrived) in self._last.items()
            if now - arrived <= LATELY
            and (wanted is None or symbol.lower() in wanted)
            and self._first.get(symbol, event_time + 1) > event_time
        ]


@dataclass(frozen=True, slots=True)
class Turn(Generic[AnyConnection]):
    """What a look at the connections led to.

    `close` is to be closed. `took_over`: another connection counts now; `handed_over`: and the
    one before it was still alive.
    """

    close: AnyConnection | None = None
    took_over: bool = False
    handed_over: bool = False


class Pair(Generic[AnyConnection]):
    """The connection that counts, and the one that is to take over from it."""

    def __init__(self, handover_after: float, compared_for: float) -> None:
        """`handover_after` is the age, in seconds, at which a connection is replaced."""
        self.current: AnyConnection | None = None
        self.successor: AnyConnection | None = None
        self._overlap: Overlap | None = None  # while there are two
        self._handover_after = handover_after
        self._compared_for = compared_for

    def add(self, connection: AnyConnection, now: float) -> None:
        """A connection is being opened, because `wants` said so."""
        if self.current is None:
            self.current = connection
        else:
            self.successor = connection
            self._overlap = Overlap(now, self._compared_for)

    def wants(self, plan: Sequence[str], now: float) -> bool:
        """Whether another connection is to be opened."""
        if self.successor is not None:
            return False
        return self.current is None or self._is_leaving(self.current, plan, now)

    def rows(self, connection: AnyConnection, ticks: Iterable[Tick], now: float) -> None:
        """Rows came; they are looked at only while there are two connections."""
        if self._overlap is None:
            return
        if connection is self.successor:
            self._overlap.on_new(ticks, now)
        elif connection is self.current:
            self._overlap.on_old(ticks, now)

    def look(self, plan: Sequence[str], now: float) -> Turn[AnyConnection]:
        """Brings the two in line with what happened to them and with what is wanted."""
        if self.current is not None and self.current.is_over:
            self.current = None
        successor = self.successor
        if successor is None:
            return Turn()
        if successor.is_over or not successor.carries.fits(plan):
            self.successor = self._overlap = None
            return Turn(close=successor)
        if self.current is None:
            return self._take_over()
        if not self._is_leaving(self.current, plan, now):
            self.successor = self._overlap = None
            return Turn(close=successor)
        wanted = _both(subjects(plan), subjects(self.current.carries.names))
        if self._overlap is not None and self._overlap.complete(wanted, now):
            return self._take_over()
        return Turn()

    def _take_over(self) -> Turn[AnyConnection]:
        before, self.current = self.current, self.successor
        self.successor = self._overlap = None
        return Turn(close=before, took_over=True, handed_over=before is not None)

    def _is_leaving(self, connection: AnyConnection, plan: Sequence[str], now: float) -> bool:
        expired = now - connection.started >= self._handover_after
        return connection.leaving or expired or not connection.carries.fits(plan)


def _both(some: Wanted, others: Wanted) -> Wanted:
    if some is None or others is None:
        return others if some is None else some
    return some & others
