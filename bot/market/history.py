"""What a field was before: the ticks of the last minutes, or the first tick of each minute.

A window of up to 10 minutes is decided on every tick; above that only the first known tick of
each UTC minute is kept.
"""

from bisect import bisect_left, bisect_right
from fractions import Fraction
from math import fsum

from bot.market.number import Value

MINUTE = 60_000  # ms
FINE_WINDOW = 10 * MINUTE  # the longest window that sees every tick


class Series:
    """The known values of one field of one symbol, in order of their event times (ms).

    `span` is the longest look-back (ms). Older values go, except the latest at or before the
    look-back's edge: it is what `change` compares with and what makes a window full.
    """

    __slots__ = ("_latest", "_start", "_times", "_values", "coarse", "span")

    def __init__(self, span: int, *, coarse: bool) -> None:
        self.span = span
        self.coarse = coarse
        self._times: list[int] = []
        self._values: list[Value] = []
        self._start = 0  # entries before it are dropped, in bulk, when they are many
        self._latest: tuple[int, Value] | None = None

    def add(self, time: int, value: Value) -> bool:
        """Takes a known value; True where it was kept as a sample."""
        self._latest = (time, value)
        if self.coarse and self._times and time // MINUTE == self._times[-1] // MINUTE:
            return False
        self._times.append(time)
        self._values.append(value)
        edge = time - self.span
        while self._start + 1 < len(self._times) and self._times[self._start + 1] <= edge:
            self._start += 1
        if self._start > 1024 and self._start * 2 > len(self._times):
            del self._times[: self._start], self._values[: self._start]
            self._start = 0
        return True

    def at_or_before(self, time: int) -> Value | None:
        """The latest sample at or before a time."""
        position = bisect_right(self._times, time, self._start) - 1
        return self._values[position] if position >= self._start else None

    def between(self, first: int, last: int) -> list[Value]:
        """The samples with first <= time <= last; a coarse series adds the present tick once."""
        begin = bisect_left(self._times, first, self._start)
        end = bisect_right(self._times, last, begin)
        values = self._values[begin:end]
        if self.coarse and self._latest is not None:
            time, value = self._latest
            if first <= time <= last and (begin == end or self._times[end - 1] != time):
                values.append(value)
        return values

    def samples(self) -> list[tuple[int, Value]]:
        """What is kept, oldest first."""
        return list(zip(self._times[self._start :], self._values[self._start :], strict=True))


def change(now: Value, base: Value, *, relative: bool) -> Value | None:
    """The present value minus the earlier one; for prices relative: p / p0 - 1."""
    if not relative:
        return Value(now.approx - base.approx, _difference, now, base)
    if base.approx == 0:
        return None
    return Value(now.approx / base.approx - 1, _relative, now, base)


def minimum(values: list[Value]) -> Value:
    return Value(min(value.approx for value in values), _minimum, values)


def maximum(values: list[Value]) -> Value:
    return Value(max(value.approx for value in values), _maximum, values)


def average(values: list[Value]) -> Value:
    """The plain mean of the window's values."""
    return Value(fsum(value.approx for value in values) / len(values), _average, values)


def _difference(now: Value, base: Value) -> Fraction:
    return now.exact - base.exact


def _relative(now: Value, base: Value) -> Fraction:
    return now.exact / base.exact - 1


def _minimum(values: list[Value]) -> Fraction:
    return min(value.exact for value in values)


def _maximum(values: list[Value]) -> Fraction:
    return max(value.exact for value in values)


def _average(values: list[Value]) -> Fraction:
    return sum((value.exact for value in values), Fraction(0)) / len(values)
