"""How late rows come: their event time against the local clock, with the clocks' skew taken out.

Pure: the wall clock (ms since 1970) and the monotonic one (s) are arguments.
"""

from collections.abc import Sequence

from bot.market.tick import Tick

LATELY = 5.0  # s: the lag is the least one of the last 5 to 10 s, so that one late row is no alarm
SKEW_FROM = 1800.0  # s: an unknown skew is the least difference of the last 30 to 60 minutes
STEP = 200  # ms by which the clocks must part at once before it counts as a step of one of them
ODD = 60_000  # ms: an event time that is so far off at once is an oddity, until others agree
AGREEMENT = 10_000  # ms
AGREED_FOR = 5.0  # s


def told_time(ticks: Sequence[Tick]) -> int:
    """The time that a frame tells: the middle one of three rows, so that an odd one does not."""
    few = (ticks[0], ticks[len(ticks) // 2], ticks[-1])
    return sorted(tick.event_time for tick in few)[1]


class _Least:
    """The least of the values that came within the last one to two spans."""

    def __init__(self, span: float) -> None:
        self._span = span
        self.clear()

    def clear(self) -> None:
        self._since = float("-inf")
        self._before: int | None = None
        self.value: int | None = None  # ms
        self._present: int | None = None

    def add(self, value: int, now: float) -> None:
        if now - self._since >= self._span:
            late = now - self._since >= 2 * self._span
            self._before, self._present, self._since = None if late else self._present, None, now
        self._present = value if self._present is None else min(self._present, value)
        self.value = self._present if self._before is None else min(self._before, self._present)


class Lag:
    """Lag and skew of a feed.

    A step of the local clock (NTP, an operator) is told from a suspended machine by the rows: the
    event times keep pace with the monotonic clock in the first case, with the wall in the second.
    """

    def __init__(self) -> None:
        self._recent = _Least(LATELY)
        self._lowest = _Least(SKEW_FROM)
        self._told: int | None = None  # ms, on the clock without its steps
        self._stepped = 0  # ms by which the local clock was set ahead since the start
        self._apart: int | None = None  # wall minus monotonic, ms
        self._delay: int | None = None  # ms, of the row before: local clock minus event time
        self._event_time = 0
        self._odd: tuple[int, float] | None = None  # another delay, and since when rows have it

    @property
    def lag(self) -> float | None:
        """Seconds from the event time of rows to their coming; None before the first.

        Where nobody told the skew, the quickest row of late counts as one without a lag.
        """
        skew = self._skew()
        if self._recent.value is None or skew is None:
            return None
        return max(self._recent.value - skew, 0) / 1000

    @property
    def skew(self) -> float | None:
        """This machine's clock minus the venue's, seconds; None before the first row or word."""
        skew = self._skew()
        return None if skew is None else (skew + self._stepped) / 1000

    def tell(self, skew: int, wall: int, monotonic: float) -> None:
        """The skew as measured by other means at this moment, ms: REST knows it without a lag."""
        parted = self._parted(wall, monotonic)
        present = self._skew()
        if parted and present is not None:
            off = skew - self._stepped - present
            if abs(off - parted) < abs(off):
                self._stepped += parted
        self._told = skew - self._stepped

    def row(self, event_time: int, wall: int, monotonic: float) -> None:
        """The greatest event time (ms) of a frame, and when the frame came."""
        parted = self._parted(wall, monotonic)
        delay = wall - self._stepped - event_time
        if (
            parted
            and self._delay is not None
            and abs(delay - parted - self._delay) < abs(delay - self._delay)
        ):
            self._stepped += parted
            delay -= parted
        if self._is_odd(event_time, delay):
            if not self._is_agreed(delay, monotonic):
                return
            self._recent.clear()
            self._lowest.clear()
        self._odd = None
        self._delay, self._event_time = delay, event_time
        self._recent.add(delay, monotonic)
        self._lowest.add(delay, monotonic)

    def _skew(self) -> int | None:
        return self._told if self._told is not None else self._lowest.value

    def _parted(self, wall: int, monotonic: float) -> int:
        """By how much the wall clock ran away from the monotonic one since last time, ms."""
        apart, before = wall - round(monotonic * 1000), self._apart
        self._apart = apart
        if before is None or abs(apart - before) < STEP:
            return 0
        return apart - before

    def _is_odd(self, event_time: int, delay: int) -> bool:
        """Rows that are late wait in line; one that goes far back or comes from ahead does not."""
        lowest = self._lowest.value
        return lowest is not None and (event_time < self._event_time - ODD or delay < lowest - ODD)

    def _is_agreed(self, delay: int, now: float) -> bool:
        if self._odd is None or abs(delay - self._odd[0]) > AGREEMENT:
            self._odd = delay, now
        return now - self._odd[1] >= AGREED_FOR
