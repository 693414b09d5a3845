"""How the feed fares, in numbers and words: what the stream client writes down and people read."""

import logging
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from bot.market.binance import Frame
from bot.market.lag import Lag
from bot.market.reconnect import Problem
from bot.market.tick import Tick

log = logging.getLogger(__name__)
RATE_OVER = 9  # s: a whole number of pushes of the streams that speak each second or third
_KINDS = 100  # different things that are logged once each; a hostile venue could invent more
_NAMED = 10  # names of streams in one line of the log


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One open connection: since when (monotonic s), for how many streams, its rows so far."""

    since: float
    streams: int
    rows: int


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """The state of the feed at one moment; times are monotonic seconds, lengths are seconds.

    `skipped` counts by reason: foreign, coin-m, incomplete (rows), broken (frames). `problem` is
    the last one, also after it is over; a `last_row` later than `problem_at` says that it is.
    """

    connected_since: float | None = None  # None: not connected
    last_row: float | None = None  # came
    last_taken: float | None = None  # of those that came, the last that was news and decided on
    rows: int = 0
    conflated: int = 0
    repeated: int = 0  # rows that were no newer than one that waited
    connects: int = 0  # attempts, handovers included
    problem: str = ""
    problem_at: float | None = None
    skipped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    streams: tuple[str, ...] = ()  # those that are wanted
    links: tuple[LinkStatus, ...] = ()  # two during a handover, the older one first
    rows_per_second: float = 0.0  # over the last 9 s
    lag: float | None = None  # from a row's event time to its coming, the clocks' skew taken out
    skew: float | None = None  # this machine's clock minus the venue's
    unanswered: tuple[str, ...] = ()  # streams that were asked for and never gave a row
    handovers: int = 0  # connections that took over from one that was still open
    handed_over_at: float | None = None
    reconnects: int = 0  # connections opened for a lost one
    reconnected_at: float | None = None  # when the last of them was
    reconnect_reason: str = ""  # why that one was lost
    next_connect: float | None = None  # when the next attempt is due, while one waits


class _Rate:
    """Rows a second, from counts by whole seconds."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._counts: deque[tuple[int, int]] = deque(maxlen=RATE_OVER)
        self._present = (0, 0)  # the present second and its rows

    def add(self, rows: int, now: float) -> None:
        second, count = self._present
        if int(now) != second:
            self._counts.append(self._present)
            second, count = int(now), 0
        if self._first is None:
            self._first = second
        self._present = second, count + rows

    def at(self, now: float) -> float:
        """Over the last whole seconds; within the first second its rows so far."""
        if self._first is None:
            return 0.0
        present = int(now)
        span = min(present - self._first, RATE_OVER)
        if span <= 0:
            return float(self._present[1])
        counts = (*self._counts, self._present)
        return sum(rows for second, rows in counts if present - span <= second < present) / span


class Progress:
    """Whether time goes on in the frames of one connection: a repetition is no sign of life."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}  # by symbol: E, of rows that led or ended a frame

    def is_news(self, ticks: Sequence[Tick]) -> bool:
        """It is told by the outermost rows, so that a single odd one does not decide."""
        before, ends = self._before, (ticks[0], ticks[-1])
        news = any(tick.event_time > before.get(tick.symbol, 0) for tick in ends)
        before.update((tick.symbol, tick.event_time) for tick in ends)
        return news


class FeedRecord:
    """What happened to the feed so far; every kind of oddity is logged once.

    Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self.connects = 0
        self.handovers = 0
        self.handed_over_at: float | None = None
        self.reconnects = 0
        self.reconnected_at: float | None = None
        self.reconnect_reason = ""
        self.next_connect: float | None = None
        self.rows = 0
        self.last_row: float | None = None
        self.last_taken: float | None = None
        self.skipped: Counter[str] = Counter()
        self.problem = ""
        self.problem_at: float | None = None
        self._lost = ""  # why the feed is without a connection, until one is open
        self._unanswered: frozenset[str] = frozenset()
        self._rate = _Rate()
        self._logged: set[str] = set()
        self._told = ""  # the problem that was logged last, until rows flow

    def connecting(self) -> None:
        self.connects += 1
        self.next_connect = None

    def opened(self, now: float) -> None:
        """The connection that counts is open."""
        if self._lost:
            self.reconnects += 1
            self.reconnected_at, self.reconnect_reason, self._lost = now, self._lost, ""

    def handed_over(self, now: float) -> None:
        self.handovers += 1
        self.handed_over_at = now
        log.info("Another connection took over", extra={"action": "feed_handed_over"})

    def ended(self, problem: Problem, now: float, *, spare: bool) -> None:
        """A connection ended; `spare`: another one goes on."""
        self.problem, self.problem_at = problem.words, now
        level = logging.DEBUG if problem.words == self._told else logging.WARNING
        self._told = problem.words
        if spare:
            words = "A second connection failed, the first goes on: %s"
        else:
            words = "The feed was lost: %s"
            self._lost = self._lost or problem.words
        log.log(level, words, problem.words, extra={"action": "feed_lost"})

    def flows(self) -> None:
        self._told = ""
        log.info("Rows flow", extra={"action": "feed_flows"})

    def frame(self, frame: Frame, now: float) -> None:
        if frame.ticks:
            self.rows += len(frame.ticks)
            self.last_row = now
            self._rate.add(len(frame.ticks), now)
        if frame.skipped:
            self.skipped.update(frame.skipped)
            for reason in frame.skipped:
                self._once(logging.INFO, reason, "Rows are passed over")
        if frame.answer is not None and frame.answer.error:
            self._once(logging.WARNING, frame.answer.error, "The venue refused a request")
        if frame.leaving:
            log.info("The venue says that it closes", extra={"action": "feed_notice"})

    def broken(self, reason: str) -> None:
        self.skipped["broken"] += 1
        self._once(logging.WARNING, reason, "A frame is broken")

    def silent(self, names: frozenset[str], words: str = "acknowledged, but no row came") -> None:
        """Streams that were asked for in vain; each is logged once until it gives a row."""
        new = sorted(names - self._unanswered)
        self._unanswered |= names
        if new:
            more = f" and {len(new) - _NAMED} more" if len(new) > _NAMED else ""
            shown = ", ".join(new[:_NAMED]) + more
            log.warning("Silent streams: %s (%s)", shown, words, extra={"action": "feed_silent"})

    def gave(self, names: frozenset[str]) -> None:
        """Streams that brought their first row on a connection."""
        self._unanswered -= names

    def wanted(self, plan: tuple[str, ...]) -> None:
        """Other streams are wanted."""
        self._unanswered &= frozenset(plan)

    def status(
        self,
        now: float,
        *,
        conflated: int,
        repeated: int,
        streams: tuple[str, ...],
        links: tuple[LinkStatus, ...],
        lag: Lag,
    ) -> FeedStatus:
        return FeedStatus(
            connected_since=links[0].since if links else None,
            last_row=self.last_row,
            last_taken=self.last_taken,
            rows=self.rows,
            conflated=conflated,
            repeated=repeated,
            connects=self.connects,
            problem=self.problem,
            problem_at=self.problem_at,
            skipped=MappingProxyType(dict(self.skipped)),
            streams=streams,
            links=links,
            rows_per_second=self._rate.at(now),
            lag=lag.lag,
            skew=lag.skew,
            unanswered=tuple(sorted(self._unanswered)),
            handovers=self.handovers,
            handed_over_at=self.handed_over_at,
            reconnects=self.reconnects,
            reconnected_at=self.reconnected_at,
            reconnect_reason=self.reconnect_reason,
            next_connect=self.next_connect,
        )

    def _once(self, level: int, kind: str, sentence: str) -> None:
        if kind not in self._logged and len(self._logged) < _KINDS:
            self._logged.add(kind)
            log.log(level, "%s: %s (logged once)", sentence, kind, extra={"action": "feed_odd"})
