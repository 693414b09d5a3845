"""How the feed fares, in numbers and words: what the stream client writes down and people read."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bot.market.binance import Frame
from bot.market.reconnect import Problem

log = logging.getLogger(__name__)
_KINDS = 100  # different things that are logged once each; a hostile venue could invent more


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
    last_row: float | None = None
    rows: int = 0
    conflated: int = 0
    connects: int = 0  # attempts, handovers included
    problem: str = ""
    problem_at: float | None = None
    skipped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    streams: tuple[str, ...] = ()  # those that are wanted
    links: tuple[LinkStatus, ...] = ()  # two during a handover, the older one first
    rows_per_second: float = 0.0  # over the last 10 s
    lag: float | None = None  # from a row's event time to its coming, the clocks' skew taken out
    skew: float | None = None  # this machine's clock minus the venue's
    unanswered: tuple[str, ...] = ()  # streams that were asked for and never gave a row
    handovers: int = 0  # connections that took over from one that was still open
    handed_over_at: float | None = None
    reconnected_at: float | None = None  # when a connection was last opened for a lost one
    reconnect_reason: str = ""  # why that one was lost
    next_connect: float | None = None  # when the next attempt is due, while one waits


class FeedRecord:
    """What happened to the feed so far; every kind of oddity is logged once."""

    def __init__(self) -> None:
        self.connects = 0
        self.rows = 0
        self.last_row: float | None = None
        self.skipped: Counter[str] = Counter()
        self.problem = ""
        self.problem_at: float | None = None
        self._open: dict[object, float] = {}
        self._logged: set[str] = set()
        self._told = ""  # the problem that was logged last, until rows flow

    def connecting(self) -> None:
        self.connects += 1

    def opened(self, link: object, now: float) -> None:
        self._open[link] = now

    def closed(self, link: object) -> None:
        self._open.pop(link, None)

    def ended(self, problem: Problem, now: float) -> None:
        self.problem, self.problem_at = problem.words, now
        level = logging.DEBUG if problem.words == self._told else logging.WARNING
        self._told = problem.words
        log.log(level, "The feed was lost: %s", problem.words, extra={"action": "feed_lost"})

    def flows(self) -> None:
        self._told = ""
        log.info("Rows flow", extra={"action": "feed_flows"})

    def frame(self, frame: Frame, now: float) -> None:
        if frame.ticks:
            self.rows += len(frame.ticks)
            self.last_row = now
        if frame.skipped:
            self.skipped.update(frame.skipped)
            for reason in frame.skipped:
                self._once(logging.INFO, reason, "Rows are passed over")
        if frame.answer is not None and frame.answer.error:
            self._once(logging.WARNING, frame.answer.error, "The venue refused a request")

    def broken(self, reason: str) -> None:
        self.skipped["broken"] += 1
        self._once(logging.WARNING, reason, "A frame is broken")

    def status(self, *, conflated: int, streams: tuple[str, ...]) -> FeedStatus:
        return FeedStatus(
            connected_since=min(self._open.values(), default=None),
            last_row=self.last_row,
            rows=self.rows,
            conflated=conflated,
            connects=self.connects,
            problem=self.problem,
            problem_at=self.problem_at,
            skipped=MappingProxyType(dict(self.skipped)),
            streams=streams,
        )

    def _once(self, level: int, kind: str, sentence: str) -> None:
        if kind not in self._logged and len(self._logged) < _KINDS:
            self._logged.add(kind)
            log.log(level, "%s: %s (logged once)", sentence, kind, extra={"action": "feed_odd"})
