"""When contracts settle: on the grid of their interval, and at moments that a switch adds."""

from bisect import bisect_left, insort

HOUR = 3_600_000  # ms
SETTLEMENTS = 8 * HOUR  # the longest interval; every shorter one settles then as well


class FundingTimes:
    """The settlements of all funded contracts; times in ms, intervals in hours."""

    def __init__(self) -> None:
        self._added: list[int] = []

    def add(self, at: int) -> None:
        """Adds a settlement of every funded contract."""
        if at not in self._added:
            insort(self._added, at)

    def take_back(self, now: int) -> None:
        """Takes back the added ones that have not come yet."""
        del self._added[bisect_left(self._added, now) :]

    def next(self, at: int, hours: int) -> int:
        """T as a row of a moment carries it: the row at the settlement itself has the old T."""
        regular = next_funding(at, hours)
        place = bisect_left(self._added, at)
        if regular and place < len(self._added):
            return min(regular, self._added[place])
        return regular

    def last(self, at: int, hours: int) -> int:
        """The latest settlement before a moment; 0 for a contract that pays no funding."""
        regular = next_funding(at, hours)
        place = bisect_left(self._added, at)
        if regular and place:
            return max(regular - hours * HOUR, self._added[place - 1])
        return regular - hours * HOUR

    def between(self, start: int, end: int, hours: int) -> list[int]:
        """The settlements from `start` to `end`, both included, oldest first."""
        if not hours:
            return []
        regular = range(next_funding(start, hours), end + 1, hours * HOUR)
        added = (at for at in self._added if start <= at <= end)
        return sorted({*regular, *added})


def next_funding(at: int, hours: int) -> int:
    """The first moment of the grid at or after another; 0 for 0 hours."""
    if not hours:
        return 0
    interval = hours * HOUR
    return -(-at // interval) * interval


def venue_offset(local: int, settlement_in: float | None) -> int:
    """What to add to the local clock (ms) so that all intervals settle in that many seconds.

    Whole seconds, so the settlement may come up to 1 s later; 0 with None.
    """
    if settlement_in is None:
        return 0
    return -(local + round(settlement_in * 1000)) % SETTLEMENTS // 1000 * 1000
