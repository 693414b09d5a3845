"""When to connect again, and what a failed connection means, decided without a clock or socket.

The venue may ban an address that connects too often; its futures pages give no number, 300 in
5 minutes is its spot rule. This policy stays at a tenth of it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

LEAST_SPACING = 1.0  # s between the starts of two connects
MOST_SPACING = 20.0  # s, after many failures in a row
SLOWEST = 300.0  # s, where the venue refuses as a matter of policy
CONNECTS = 30  # at most, in any
WINDOW = 301.0  # s: five minutes, and one so that both ends never count
STEADY_AFTER = 60.0  # s of rows make a connection good
LONGEST_BAN = 3 * 24 * 3600.0  # s; the venue's own maximum


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a connection failed or ended, in words; `slow`: trying soon again is useless.

    `wait` is the least time in seconds that the venue asked for.
    """

    words: str
    slow: bool = False
    wait: float = 0.0


def refusal(status: int, retry_after: str | None = None) -> Problem:
    """The meaning of an HTTP status that answered the handshake."""
    wait = retry_after_seconds(retry_after)
    if status == 451:
        return Problem(
            "the venue refuses this location (HTTP 451): it does not serve the country of this"
            " address; run the bot from elsewhere",
            slow=True,
        )
    if status == 403:
        return Problem(
            "the venue's firewall refuses this address (HTTP 403)", slow=True, wait=wait or 0.0
        )
    if status in (418, 429):
        least = wait if wait is not None else 120.0 if status == 418 else 30.0
        what = "banned this address for a while" if status == 418 else "got too many requests"
        return Problem(f"the venue {what} (HTTP {status}); waiting {least:.0f} s", wait=least)
    if status >= 500:
        return Problem(f"the venue has a fault (HTTP {status})", wait=wait or 0.0)
    return Problem(
        f"the server does not offer this stream (HTTP {status}); is BINANCE_STREAM_URL right?",
        slow=True,
    )


def retry_after_seconds(text: str | None) -> float | None:
    """A Retry-After header in seconds; None where it is missing or, unlike here, a date."""
    if text is None or not text.strip().isdecimal() or len(text) > 20:
        return None
    return min(float(text), LONGEST_BAN)


class ConnectPolicy:
    """Spacing between connects: exponential with jitter, bounded per window; seconds, monotonic.

    The spacing shrinks again only after rows have flowed for a minute: a handshake proves nothing.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        """`random` gives numbers in [0, 1)."""
        self._random = random
        self._starts: deque[float] = deque(maxlen=CONNECTS)
        self._failures = 0
        self._not_before = 0.0

    def due(self) -> float:
        """The earliest time of the next connect."""
        due = self._not_before
        if self._starts:
            due = max(due, self._starts[-1] + LEAST_SPACING)
        if len(self._starts) == CONNECTS:
            due = max(due, self._starts[0] + WINDOW)
        return due

    def connecting(self, now: float) -> None:
        self._starts.append(now)

    def flowed(self, seconds: float) -> None:
        """A connection that is gone now brought rows for so long."""
        if seconds >= STEADY_AFTER:
            self._failures = 0

    def ended(self, now: float, problem: Problem) -> None:
        """A connect failed, or a connection ended."""
        slowest, first = (SLOWEST, SLOWEST / 5) if problem.slow else (MOST_SPACING, LEAST_SPACING)
        spacing = min(slowest, first * 2.0 ** min(self._failures, 16))
        jitter = 0.6 + 0.4 * self._random()
        self._failures += 1
        self._not_before = now + max(spacing * jitter, problem.wait)
