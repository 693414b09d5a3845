"""When the second source, premiumIndex, is asked: at starts, after reconnects, where rows lack."""

ROWS_FOR = 4.0  # s: rows have flowed for so long when every stream has had its turn (3 s at most)
WITHOUT_ROWS = 5.0  # s: no row for so long after a start or a reconnect: there may be none to come
# s between two questions while symbols lack rows. Below STALE (30 s): values that come by REST
# alone are never stale, and a `for` that is longer than that can still be earned.
REPEAT = 25.0
CONFIRM = 12.0  # s after which a difference is looked at again before anybody hears of it
RECHECK = 60.0  # s between two looks while the sources differ


class AskPlan:
    """Remembers what was asked and why it must be asked again; times are monotonic seconds."""

    def __init__(self, now: float) -> None:
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
        return (lacking or (self._uncompared and flowed)) and now - self._asked >= REPEAT

    def answered(self, now: float, *, compared: bool, differs: bool, told: bool) -> None:
        """An answer came. `told`: the difference is known to people already."""
        self._asked, self._opened = now, None
        self._uncompared = self._uncompared and not compared
        self._again = now + (RECHECK if told else CONFIRM) if differs else float("inf")

    def failed(self, now: float, wait: float) -> None:
        """No answer came; the venue, or the budget, asked for a wait of so many seconds."""
        self._asked = now + max(wait - REPEAT, 0.0)
        if self._opened is not None:
            self._opened = None
            self._uncompared, self._again = True, now + max(wait, REPEAT)
        elif self._again < float("inf"):
            self._again = now + max(wait, REPEAT)
