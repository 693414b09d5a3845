"""What may be asked of the venue's REST side, and when: decided without a clock or a socket.

Source: the venue's "Limits" page: 2400 weight per UTC minute and address (other programs may share
it), answered as X-MBX-USED-WEIGHT-1M; fundingInfo and fundingRate share 500 requests in 5 minutes;
429 and 418 name a Retry-After. This budget stays far below all of it.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

WEIGHTS: Mapping[str, int] = {"time": 1, "exchangeInfo": 1, "premiumIndex": 10, "fundingInfo": 0}
OWN_WEIGHT = 100  # in any 60 s, of the venue's 2400
SPACING: Mapping[str, float] = {"premiumIndex": 10.0}  # s between two of a kind
FUNDING_CALLS = 50  # of fundingInfo in any 5 minutes, of the venue's 500
VENUE_WEIGHT = 2400  # a UTC minute
HEEDED_SHARE = 0.8  # of it in use by all programs at this address: this one waits
SLOW_FIRST, SLOWEST = 60.0, 240.0  # s, after a refusal that only somebody's doing can end
_MINUTE, _FIVE_MINUTES = 60.0, 300.0  # s


@dataclass(frozen=True, slots=True)
class Hold:
    """How long a request has to wait (s), and why."""

    wait: float
    reason: str


class RestBudget:
    """Times are monotonic seconds, unless they say otherwise."""

    def __init__(self) -> None:
        self._spent: deque[tuple[float, int]] = deque()
        self._funding: deque[float] = deque()
        self._last: dict[str, float] = {}
        self._silent_until = float("-inf")
        self._silent_reason = ""
        self._refusals = 0

    def hold(self, name: str, now: float) -> Hold | None:
        """What keeps a request (`time`, `premiumIndex` …) from being sent now; None: nothing."""
        if now < self._silent_until:
            return Hold(self._silent_until - now, self._silent_reason)
        spacing = self._last.get(name, float("-inf")) + SPACING.get(name, 0.0) - now
        if spacing > 0:
            return Hold(spacing, f"one {name} in {SPACING[name]:g} s is enough")
        if name == "fundingInfo":
            return self._funding_hold(now)
        return self._weight_hold(WEIGHTS.get(name, 1), now)

    def spend(self, name: str, now: float) -> None:
        """A request goes out; refused ones cost as well."""
        self._last[name] = now
        if name == "fundingInfo":
            self._funding.append(now)
        else:
            self._spent.append((now, WEIGHTS.get(name, 1)))

    def used(self, weight: int, now: float, utc: float) -> None:
        """The weight that this address has used in the venue's minute; `utc`: s since 1970."""
        if weight > HEEDED_SHARE * VENUE_WEIGHT:
            reason = f"this address has used {weight} of the venue's {VENUE_WEIGHT} a minute"
            self._silence(now + _MINUTE - utc % _MINUTE, reason)

    def refused(self, wait: float, now: float, words: str, *, slow: bool) -> None:
        """The venue refused: nothing is asked for `wait` s; `slow`: ever more seldom."""
        if slow:
            wait = max(wait, min(SLOW_FIRST * 2.0 ** min(self._refusals, 8), SLOWEST))
            self._refusals += 1
        self._silence(now + wait, words)

    def answered(self) -> None:
        """The venue answered as it should."""
        self._refusals = 0

    def _silence(self, until: float, reason: str) -> None:
        if until > self._silent_until:
            self._silent_until, self._silent_reason = until, reason

    def _weight_hold(self, weight: int, now: float) -> Hold | None:
        while self._spent and self._spent[0][0] <= now - _MINUTE:
            self._spent.popleft()
        over = sum(cost for _, cost in self._spent) + weight - OWN_WEIGHT
        if over <= 0:
            return None
        freed = accumulate(cost for _, cost in self._spent)
        at = next(at for (at, _), total in zip(self._spent, freed, strict=True) if total >= over)
        return Hold(at + _MINUTE - now, f"its own {OWN_WEIGHT} weight a minute are used")

    def _funding_hold(self, now: float) -> Hold | None:
        while self._funding and self._funding[0] <= now - _FIVE_MINUTES:
            self._funding.popleft()
        if len(self._funding) < FUNDING_CALLS:
            return None
        reason = f"its own {FUNDING_CALLS} requests in 5 minutes are used"
        return Hold(self._funding[0] + _FIVE_MINUTES - now, reason)
