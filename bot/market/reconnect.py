"""When to connect again, and what a failed connection means, decided without a clock or socket.

The venue may ban an address that connects too often; its futures pages give no number, 300 in
5 minutes is its spot rule. This policy stays at a tenth of it. Why it is built as it is:
docs/decisions/0010-even-pace-of-connects.md.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz

LEAST_SPACING = 1.0  # s between the starts of two connects
AFTER_END = 0.5  # s from the end of a connection to the next connect
PACE = 11.0  # s between two starts, at most, unless the venue refuses on purpose
CONNECTS = 30  # at most, in any
WINDOW = 306.0  # s: five minutes, and the 5 s that a handshake may take until it counts
STEADY_AFTER = 60.0  # s of rows make a connection good
SLOW_FIRST, SLOWEST = 60.0, 240.0  # s, where the venue refuses as a matter of policy
LONGEST_BAN = 3 * 24 * 3600.0  # s; the venue's own maximum
_LONGEST_HEADER = 64  # characters


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a connection failed or ended, in words; `slow`: trying soon again is useless.

    `wait` is the least time in seconds that the venue asked for.
    """

    words: str
    slow: bool = False
    wait: float = 0.0


def refusal(status: int, retry_after: str | None = None, date: str | None = None) -> Problem:
    """The meaning of an HTTP status that answered the handshake, with two headers of the answer.

    Only 429 and 418 name a time that counts: with a 403 or a 5xx it is a proxy's guess.
    """
    if status == 451:
        return Problem(
            "the venue refuses this location (HTTP 451): it does not serve the country of this"
            " address; run the bot from elsewhere",
            slow=True,
        )
    if status == 403:
        return Problem("the venue's firewall refuses this address (HTTP 403)", slow=True)
    if status in (418, 429):
        wait = retry_after_seconds(retry_after, date)
        least = wait if wait is not None else 120.0 if status == 418 else 30.0
        what = "banned this address for a while" if status == 418 else "got too many requests"
        return Problem(f"the venue {what} (HTTP {status}); waiting {least:.0f} s", wait=least)
    if status >= 500:
        return Problem(f"the venue has a fault (HTTP {status})")
    return Problem(
        f"the server does not offer this stream (HTTP {status}); is BINANCE_STREAM_URL right?"
    )


def silence(seconds: float, *, had_rows: bool) -> Problem:
    """An open connection that brings nothing; one that never did has a likely cause."""
    words = f"the connection is open, but no row came for {seconds:g} s"
    if not had_rows:
        words += "; does BINANCE_STREAM_URL end in /market, and are the symbols' names right?"
    return Problem(words)


def retry_after_seconds(text: str | None, date: str | None = None) -> float | None:
    """A Retry-After header in seconds; None where it is missing or says nothing.

    One that is a moment counts from the answer's Date header: this machine's clock may be wrong.
    """
    if text is None or len(text) > _LONGEST_HEADER:
        return None
    if text.strip().isdecimal():
        return min(float(text), LONGEST_BAN)
    until, now = _moment(text), _moment(date or "")
    if until is None or now is None:
        return None
    return min(max(until - now, 0.0), LONGEST_BAN)


def _moment(text: str) -> float | None:
    """The seconds since 1970 of an HTTP date."""
    try:
        parts = parsedate_tz(text[:_LONGEST_HEADER])
        return None if parts is None else float(mktime_tz(parts))
    except (ValueError, OverflowError):
        return None


class ConnectPolicy:
    """Spacing between the starts of connects; seconds, monotonic.

    * At most 30 starts in any 5 minutes, whatever happens: handovers count too.
    * No start makes a later one wait for more than `PACE` after the one before it. So the bound
      of 30 never becomes a long silence; quick attempts are paid for by the pace of later ones.
    * The spacing doubles from 1 s with each failure. It is short again only after rows have
      flowed for a minute: a handshake proves nothing.
    * What the venue refuses on purpose waits: 429 and 418 as long as it says, 451 and 403 longer
      each time.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        """`random` gives numbers in [0, 1)."""
        self._random = random
        self._starts: deque[float] = deque(maxlen=CONNECTS)
        self._failures = 0
        self._refusals = 0  # slow ones, in a row
        self._not_before = 0.0
        self._barred_until = 0.0

    def due(self) -> float:
        """The earliest time of the next connect."""
        due = max(self._not_before, self._barred_until)
        if self._starts:
            due = max(due, self._starts[-1] + LEAST_SPACING)
        # If this start is at t, then those after it can be at t + PACE, t + 2 PACE and so on: the
        # one that needs the place of an earlier start must not come before that place is free.
        free = CONNECTS - len(self._starts)
        for later, start in enumerate(self._starts, start=free):
            due = max(due, start + WINDOW - later * PACE)
        return due

    def connecting(self, now: float) -> None:
        self._starts.append(now)

    def flowed(self, seconds: float) -> None:
        """A connection that is gone now brought rows for so long."""
        if seconds >= STEADY_AFTER:
            self._failures = self._refusals = 0

    def ended(self, started: float, now: float, problem: Problem) -> None:
        """A connect failed, or a connection ended, that was started at `started`."""
        if problem.slow:
            wait = min(SLOW_FIRST * 2.0 ** min(self._refusals, 16), SLOWEST)
            wait *= 0.8 + 0.2 * self._random()
            self._refusals += 1
        else:
            wait, self._refusals = problem.wait, 0
        self._barred_until = max(self._barred_until, now + wait)
        spacing = min(LEAST_SPACING * 2.0 ** min(self._failures, 16), PACE)
        spacing *= 0.9 + 0.1 * self._random()  # so that many bots do not come at the same time
        self._failures += 1
        self._not_before = max(started + spacing, now + AFTER_END)
