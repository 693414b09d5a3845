"""What reached the program, and which of it may be believed: judged without the program's code.

The rules are those of the issue and of `docs/feed.md`, read as widely as they can be read where a
moment decides: such a row is doubtful. It may justify an alert, and obliges to none.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import Enum

AHEAD = 60_000  # ms; further ahead of the venue's clock a row is bad until several agree
AGREED = 5.0  # s for which rows must agree before the clock follows them
SAME_TIME = 10_000  # ms within which rows tell the same time
ASKED_FOR = 1.0  # s that an answer of REST may need to take effect
MARGIN = 1_500  # ms around a limit within which it is open on which side a row falls
COIN_MARGINED = 2


@dataclass(frozen=True, slots=True)
class Row:
    """A mark price row as it reached the program. `at` is local monotonic seconds."""

    at: float
    symbol: str
    event_time: int  # ms
    rate: str
    funding: int  # T, ms
    rest: bool = False  # from premiumIndex, not from the stream
    link: int = 0  # the connection that brought it

    @property
    def value(self) -> Decimal | None:
        """The rate; None where there is none, also of a contract that pays no funding."""
        if self.funding <= 0:
            return None
        try:
            return Decimal(self.rate)
        except InvalidOperation:
            return None


@dataclass(frozen=True, slots=True)
class VenueTime:
    """The venue's time (ms) as REST told it."""

    at: float  # local monotonic s
    time: int

    def carried(self, at: float) -> int:
        return self.time + round((at - self.at) * 1000)


class Grade(Enum):
    """GOOD: must be decided on. DOUBTFUL: may be. BAD: must not be."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Judged:
    row: Row
    grade: Grade
    why: str = ""


def rows_of_message(body: bytes, at: float, link: int) -> list[Row]:
    """The mark price rows of one websocket message; anything else has none."""
    try:
        message = json.loads(body)
    except ValueError:
        return []
    if isinstance(message, dict) and "data" in message:
        message = message["data"]
    rows = message if isinstance(message, list) else [message]
    return [
        Row(at, row["s"], row["E"], str(row.get("r", "")), _time(row.get("T")), link=link)
        for row in rows
        if isinstance(row, dict)
        and row.get("e") == "markPriceUpdate"
        and row.get("st") != COIN_MARGINED
        and isinstance(row.get("s"), str)
        and _time(row.get("E"))
    ]


def rows_of_premium_index(body: bytes, at: float) -> list[Row]:
    """The rows of a premiumIndex answer."""
    try:
        answer = json.loads(body)
    except ValueError:
        return []
    rows = answer if isinstance(answer, list) else [answer]
    return [
        Row(
            at, row["symbol"], row["time"], str(row.get("lastFundingRate", "")),
            _time(row.get("nextFundingTime")), rest=True,
        )
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("symbol"), str) and _time(row.get("time"))
    ]  # fmt: skip


def venue_time(body: bytes, at: float) -> list[VenueTime]:
    """What an answer of /fapi/v1/time says."""
    try:
        time = _time(json.loads(body).get("serverTime"))
    except (ValueError, AttributeError):
        return []
    return [VenueTime(at, time)] if time else []


def _time(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


@dataclass
class _Clock:
    """A reading of the venue's clock: the greatest event time, carried on."""

    event_time: int = 0
    at: float = 0.0

    def now(self, at: float) -> int:
        return self.event_time + round((at - self.at) * 1000) if self.event_time else 0

    def follow(self, row: Row) -> None:
        if row.event_time > self.now(row.at):
            self.event_time, self.at = row.event_time, row.at


@dataclass
class _Claim:
    """Another time that rows from the future tell."""

    since: float
    event_time: int
    at: float
    symbols: set[str] = field(default_factory=set)

    def fits(self, row: Row) -> bool:
        carried = self.event_time + (row.at - self.at) * 1000
        return abs(row.event_time - carried) <= SAME_TIME and row.at - self.at <= 2 * AGREED


class Judge:
    """Grades rows in the order in which they reached the program."""

    def __init__(self, stale: int, times: Sequence[VenueTime] = ()) -> None:
        """`stale` is the program's setting, ms; `times` are what REST said, in their order."""
        self._stale = stale
        self._times = times
        self._least = _Clock()  # what the program's clock has reached surely ...
        self._most = _Clock()  # ... and what it may have reached
        self._sure: dict[str, int] = {}  # by symbol: the greatest E surely taken ...
        self._maybe: dict[str, int] = {}  # ... and possibly taken
        self._claim: _Claim | None = None

    def all(self, rows: Iterable[Row]) -> Iterator[Judged]:
        for row in rows:
            grade, why = self._grade(row)
            if grade is Grade.GOOD and row.rest:
                grade, why = Grade.DOUBTFUL, "the program need not ask REST"
            self._note(row, grade, why)
            yield Judged(row, grade, why)

    def _grade(self, row: Row) -> tuple[Grade, str]:
        if row.event_time <= self._sure.get(row.symbol, 0):
            return Grade.BAD, "repeated"
        ahead = self._ahead(row)
        if ahead is not Grade.GOOD:
            return ahead, "ahead"
        late = self._least.now(row.at) - row.event_time
        if late > self._stale + MARGIN:
            return Grade.BAD, "stale"
        if row.event_time <= self._maybe.get(row.symbol, 0):
            return Grade.DOUBTFUL, "repeated"
        if self._most.now(row.at) - row.event_time > self._stale - MARGIN:
            return Grade.DOUBTFUL, "stale"
        return Grade.GOOD, ""

    def _ahead(self, row: Row) -> Grade:
        clock = self._least.now(row.at)
        if not clock or row.event_time <= clock + AHEAD - MARGIN:
            return Grade.GOOD
        if row.event_time <= clock + AHEAD + MARGIN:
            return Grade.DOUBTFUL
        if self._claim is None or not self._claim.fits(row):
            self._claim = _Claim(row.at, row.event_time, row.at)
        self._claim.symbols.add(row.symbol)
        self._claim.event_time, self._claim.at = row.event_time, row.at
        return self._believed(row, self._claim)

    def _believed(self, row: Row, claim: _Claim) -> Grade:
        """Whether a row from another time counts: REST decides, if it was asked, else agreement."""
        age = row.at - claim.since
        told = [time for time in self._times if claim.since - ASKED_FOR <= time.at <= row.at]
        known = [time for time in told if row.at - time.at > ASKED_FOR]
        if known:
            agrees = abs(known[-1].carried(row.at) - row.event_time) <= AHEAD
            several = len(claim.symbols) > 1
            return Grade.GOOD if agrees and several else Grade.DOUBTFUL if agrees else Grade.BAD
        if told and abs(told[-1].carried(row.at) - row.event_time) <= AHEAD:
            return Grade.DOUBTFUL
        if age > AGREED + 2 * MARGIN / 1000 and len(claim.symbols) > 1:
            return Grade.GOOD
        return Grade.DOUBTFUL if age > AGREED - MARGIN / 1000 else Grade.BAD

    def _note(self, row: Row, grade: Grade, why: str) -> None:
        if grade is not Grade.BAD:
            self._most.follow(row)
        if grade is not Grade.BAD or why == "stale":  # a stale row still moves the symbol's E
            self._maybe[row.symbol] = max(row.event_time, self._maybe.get(row.symbol, 0))
        if grade is Grade.GOOD or why == "stale":
            self._sure[row.symbol] = max(row.event_time, self._sure.get(row.symbol, 0))
        if grade is Grade.GOOD:
            self._least.follow(row)
