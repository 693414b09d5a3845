"""When the second source, premiumIndex, is asked: at starts, after reconnects, where rows lack."""

ROWS_FOR = 4.0  # s: rows have flowed for so long when every stream has had its turn (3 s at most)
WITHOUT_ROWS = 5.0  # s: no row for so long after a start or a reconnect: there may be none to come
REPEAT = 25.0  # s between two questions while symbols lack rows, where STALE allows as much
SOONEST = 10.0  # s; the budget allows no less
CONFIRM = 12.0  # s after which a difference is looked at again before anybody hears of it
RECHECK = 60.0  # s between two looks while the sources differ


def repeat_within(stale_after: int) -> float:
    """The seconds between two questions for values that are stale after so long (ms).

    Values that come by REST alone are then never stale, and a `for` that is longer can still be
    earned. Where they are stale in less than 13 s that cannot be: the budget has its limit.
    """
    return max(min(REPEAT, stale_after / 1000 - 3.0), SOONEST)


class AskPlan:
    """Remembers what was asked and why it must be asked again; times are monotonic seconds."""

    def __init__(self, now: float, repeat: float = REPEAT) -> None:
        """`repeat`: s between two questions while symbols lack rows."""
        self.repeat = repeat
        self._opened: float | None = now  # a start or a reconnect that was not looked at yet
        self._flowing: float | None = None  # since when rows flow after it
        self._uncompared = True
        self._asked = float("-inf")
        self._again = float("inf")

    def reopened(self, now: float) -> None:
        """The stream was lost and is connected again."""
        self._opened, self._flowing = now, None

    def is_due(self, now: float, last_row: float | None, *, lacking: bool) -> bool:
        """Whether to ask now. `last_row`: the stream's; `lacking`: wanted symbols have no row."""
        opened = float("-inf") if self._opened is None else self._opened
        if self._flowing is None and last_row is not None and last_row >= opened:
            self._flowing = last_row
        flowed = self._flowing is not None and now - self._flowing >= ROWS_FOR
        if self._opened is not None:
            alone = self._flowing is None and now - self._opened >= WITHOUT_ROWS
            return (flowed or alone) and now - self._asked >= ROWS_FOR
        if now >= self._again:
            return True
        return (lacking or (self._uncompared and flowed)) and now - self._asked >= self.repeat

    def answered(self, now: float, *, compared: bool, differs: bool, told: bool) -> None:
        """An answer came. `told`: the difference is known to people already."""
        self._asked, self._opened = now, None
        self._uncompared = self._uncompared and not compared
        self._again = now + (RECHECK if told else CONFIRM) if differs else float("inf")

    def failed(self, now: float, wait: float, *, sent: bool) -> None:
        """No answer came; the venue asked for a wait (s), or the budget where nothing was sent."""
        later = max(wait, self.repeat) if sent else wait
        self._asked = now + later - self.repeat
        if self._opened is not None:
            self._opened, self._uncompared, self._again = None, True, now + later
        elif self._again < float("inf"):
            self._again = now + later
