"""The live clock: the venue's event time, carried on by the monotonic clock between rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.market.tick import Tick

AHEAD = 60_000  # ms: a row further ahead of the clock is bad, or the clock is
BEHIND = 30_000  # ms: rows that are all further behind it are late, or the clock is wrong
AGREEMENT = 10_000  # ms: rows whose times lie this close tell the same time
FOLLOW_AFTER = 5.0  # s: how long rows must agree before the clock follows them
FORGOTTEN_AFTER = 10.0  # s: without another row a claim is given up; streams send every 1 or 3 s
SILENT_AFTER = 60.0  # s: a symbol that was not heard for so long has no say
_CLAIMS = 8  # other times considered at once; a venue with more has none that is right


@dataclass(frozen=True, slots=True)
class Admitted:
    """The rows that may be decided on, in their order; how many were refused as too far ahead.

    `followed` is by how many ms the clock jumped after rows that agreed, negative where it went
    back; 0: it did not. `doubtful`: rows tell another time, and REST should be asked for it.
    """

    ticks: tuple[Tick, ...]
    rejected: int = 0
    followed: int = 0
    doubtful: bool = False


@dataclass(slots=True)
class _Claim:
    """Another time that rows tell: since when, the latest of them, and by which symbols."""

    since: float  # monotonic s
    event_time: int  # ms
    arrived: float  # monotonic s
    symbols: set[str] = field(default_factory=set)

    def at(self, monotonic: float) -> int:
        return self.event_time + _ms(monotonic - self.arrived)


class VenueClock:
    """The greatest accepted E plus the monotonic time since that row arrived, never backwards.

    The rules:

    * Before the first accepted row the clock is what was handed in: the local time, or the
      venue's REST time once `guess` has it. That only says which rows are too far ahead.
    * A row up to a minute ahead of the clock is accepted, however old it is: staleness is decided
      elsewhere. The first accepted row sets the clock, backwards too: a REST or local time that
      is ahead of the stream is simply wrong. From then on it goes back in one case alone.
    * A row more than a minute ahead is rejected and becomes a claim. Rows agree with a claim while
      they lie within 10 s of its time, carried on; 10 s without one end it. A claim that is 5 s
      old is followed, and its rows accepted from then on, when at least two symbols make it (one,
      where no other symbol was heard within the last minute) and more symbols make it than have
      told the clock's own time since it began. So a single crazy symbol among good ones never
      moves the clock, a venue that jumps as a whole does after 5 s, and so does a single symbol
      that is alone.
    * While rows claim another time, the venue's REST time decides where it was told since the
      claim began: it is followed at once where REST agrees with it within a minute, and not at
      all where REST does not. Streams that err for a while then cost nothing when they come back.
    * Where no row lies within 30 s of the clock for 5 s, and REST tells the time of the rows, the
      clock was wrong and goes back to them. Without REST's word it never goes back: rows that
      are late look the same.
    * The rows of one batch are judged against the clock as it stood when the batch came, so that
      they cannot lift each other over the minute.
    """

    def __init__(self, start: int, monotonic: float) -> None:
        """The clock before any row: `start` in ms since 1970, `monotonic` in seconds."""
        self.started = False  # True from the first accepted row on
        self._event_time = start
        self._arrived = monotonic
        self._floor = start  # what was said before
        self._in_line: dict[str, float] = {}  # symbol: when it last told the clock's own time
        self._claims: list[_Claim] = []
        self._told: tuple[int, float] | None = None  # by REST: ms, monotonic s
        self._behind_since: float | None = None  # monotonic s; None: rows keep up with the clock

    def tell(self, venue_time: int, monotonic: float) -> None:
        """The venue's REST time (ms), as measured at this moment."""
        self._told = venue_time, monotonic

    def guess(self, start: int, monotonic: float) -> None:
        """The venue's REST time (ms); it counts only before the first accepted row."""
        if not self.started:
            self._event_time, self._arrived, self._floor = start, monotonic, start

    def now(self, monotonic: float) -> int:
        """The time in ms since 1970."""
        self._floor = max(self._floor, self._event_time + _ms(monotonic - self._arrived))
        return self._floor

    def admit(self, ticks: Sequence[Tick], monotonic: float) -> Admitted:
        """Sorts the rows of one batch and lets the clock follow those that it accepts."""
        limit = self.now(monotonic) + AHEAD
        accepted = tuple([tick for tick in ticks if tick.event_time <= limit])
        for tick in accepted:
            self._in_line[tick.symbol] = monotonic
        followed = 0
        if len(accepted) < len(ticks):
            self._claims = [
                claim for claim in self._claims if monotonic - claim.arrived <= FORGOTTEN_AFTER
            ]
            for tick in ticks:
                if tick.event_time > limit:
                    self._claim(tick, monotonic)
            followed = self._follow(monotonic)
            if followed:
                limit = self._floor + AHEAD
                accepted = tuple([tick for tick in ticks if tick.event_time <= limit])
        rejected = len(ticks) - len(accepted)
        if accepted:
            newest = max(tick.event_time for tick in accepted)
            followed = followed or self._go_back(newest, monotonic)
            self._accept(newest, monotonic)
        return Admitted(accepted, rejected, followed, bool(rejected) or self._is_behind)

    def _accept(self, event_time: int, monotonic: float) -> None:
        if not self.started:
            self.started = True
            self._event_time, self._arrived, self._floor = event_time, monotonic, event_time
        elif event_time > self._event_time:
            self._event_time, self._arrived = event_time, monotonic

    @property
    def _is_behind(self) -> bool:
        return self._behind_since is not None

    def _go_back(self, newest: int, monotonic: float) -> int:
        """Sets the clock back to rows that REST confirms; returns by how much (ms), negative."""
        before = self.now(monotonic)
        if not self.started or newest >= before - BEHIND:
            self._behind_since = None
            return 0
        if self._behind_since is None:
            self._behind_since = monotonic
        told = self._told_since(self._behind_since, monotonic)
        lasts = monotonic - self._behind_since >= FOLLOW_AFTER
        if not lasts or told is None or abs(told - newest) > BEHIND:
            return 0
        self._event_time, self._arrived, self._floor = newest, monotonic, newest
        self._behind_since, self._claims = None, []
        self._in_line.clear()
        return newest - before

    def _claim(self, tick: Tick, monotonic: float) -> None:
        for claim in self._claims:
            if abs(tick.event_time - claim.at(monotonic)) <= AGREEMENT:
                claim.symbols.add(tick.symbol)
                if tick.event_time > claim.event_time:
                    claim.event_time, claim.arrived = tick.event_time, monotonic
                break
        else:
            if len(self._claims) == _CLAIMS:
                self._claims.remove(min(self._claims, key=_weight))
            self._claims.append(_Claim(monotonic, tick.event_time, monotonic, {tick.symbol}))
        self._in_line.pop(tick.symbol, None)

    def _follow(self, monotonic: float) -> int:
        """Moves the clock to a claim that is strong enough; returns by how much (ms)."""
        heard = {symbol for claim in self._claims for symbol in claim.symbols}
        heard.update(
            symbol for symbol, last in self._in_line.items() if monotonic - last <= SILENT_AFTER
        )
        for claim in self._claims:
            rivals = sum(last >= claim.since for last in self._in_line.values())
            makers = len(claim.symbols)
            told = self._told_since(claim.since, monotonic)
            if told is not None and abs(told - claim.at(monotonic)) > AHEAD:
                continue
            old = told is not None or monotonic - claim.since >= FOLLOW_AFTER
            if old and makers >= min(2, len(heard)) and makers > rivals:
                before = self._floor
                self.started = True
                self._event_time, self._arrived = claim.event_time, claim.arrived
                self._claims = []
                return self.now(monotonic) - before
        return 0

    def _told_since(self, since: float, monotonic: float) -> int | None:
        """REST's time carried on to now; None where it was last told before `since`."""
        if self._told is None or self._told[1] < since:
            return None
        return self._told[0] + _ms(monotonic - self._told[1])


def _weight(claim: _Claim) -> tuple[int, float]:
    return len(claim.symbols), claim.arrived


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
