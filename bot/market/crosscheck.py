"""Whether two sources say the same of the market: the stream's rows, and those of premiumIndex.

The two are never of the very same moment, so each tolerance is the largest step that a sound market
takes in a few seconds. Rows that lie further apart (the stream is late as a whole, or REST is) are
compared as well, with a tolerance that grows with the time between them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from bot.market.number import Value, parse_number
from bot.market.tick import Tick

SAME = 5_000  # ms between the event times of rows that tell the same moment
COMPARABLE = 60_000  # ms; further apart the rows may both be right, whatever they say
# r is an average since the last settlement: in 5 s it moves by far less than 0.05 %.
RATE_TOLERANCE = Fraction(5, 10_000)
# p and i are smoothed over several markets: 1 % in 5 s is a crash, which the next check forgives.
PRICE_TOLERANCE = Fraction(1, 100)
MINUTE = 60_000  # ms: T has a jitter, and near T one source may have rolled before the other
LARGEST_SHARE = 0.1  # of the compared symbols may differ before the second source is in doubt


@dataclass(frozen=True, slots=True)
class Difference:
    """What the two say of one field (rate, mark, index, or T in ms), each in its own text."""

    symbol: str
    field: str
    stream: str
    rest: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a comparison: how many symbols were compared, and every difference."""

    compared: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that differ, in the order of the stream's rows."""
        return tuple(dict.fromkeys(difference.symbol for difference in self.differences))

    @property
    def trusts_rest(self) -> bool:
        """Whether REST may seed values: none, or no more than a tenth of the symbols differ."""
        return len(self.symbols) <= LARGEST_SHARE * self.compared


def compare_sources(stream: Mapping[str, Tick], rest: Mapping[str, Tick]) -> Verdict:
    """Compares the rows of the symbols that both know, as they came at about the same moment."""
    compared = 0
    differences: list[Difference] = []
    for symbol, ours in stream.items():
        theirs = rest.get(symbol)
        if theirs is None or abs(ours.event_time - theirs.event_time) > COMPARABLE:
            continue
        compared += 1
        differences += _differences(ours, theirs)
    return Verdict(compared, tuple(differences))


def _differences(ours: Tick, theirs: Tick) -> list[Difference]:
    found = []
    between = abs(ours.event_time - theirs.event_time)
    slack = Fraction(max(between, SAME), SAME)
    if not (_settles(ours, between) or _settles(theirs, between)):
        left, right = ours.next_funding_time, theirs.next_funding_time
        if abs(left - right) > MINUTE:
            # Of another moment, it may be another interval that one source alone has seen.
            if between <= SAME:
                found.append(Difference(ours.symbol, "T", str(left), str(right)))
        elif left and _apart(ours.rate, theirs.rate, RATE_TOLERANCE * slack, relative=False):
            found.append(Difference(ours.symbol, "rate", ours.rate, theirs.rate))
    for field in ("mark", "index"):
        pair = str(getattr(ours, field)), str(getattr(theirs, field))
        if _apart(*pair, PRICE_TOLERANCE * slack, relative=True):
            found.append(Difference(ours.symbol, field, *pair))
    return found


def _settles(tick: Tick, between: int) -> bool:
    """Within a minute of T the rate and T itself may have rolled in one source alone.

    So may they where the other's row lies beyond T, `between` ms away.
    """
    lag = between if between > SAME else 0
    return abs(tick.next_funding_time - tick.event_time) <= MINUTE + lag


def _apart(ours: str, theirs: str, tolerance: Fraction, *, relative: bool) -> bool:
    """Whether two numbers differ by more than is allowed; one that is none differs from nothing."""
    left, right = parse_number(ours), parse_number(theirs)
    if left is None or right is None:
        return False
    if relative and not (_positive(left) and _positive(right)):
        return False
    allowed = tolerance * abs(left.exact) if relative else tolerance
    return abs(left.exact - right.exact) > allowed


def _positive(value: Value) -> bool:
    return value.approx > 0
