"""What clients did, as the simulator saw it, held against the venue's own limits."""

import time
from bisect import bisect_right
from collections import Counter, deque
from dataclasses import dataclass, field

from bot.simulator.budget import FUNDING_LIMIT, WEIGHT_LIMIT
from bot.simulator.session import MAX_STREAMS, RATE, Close

CONNECTS = 300  # handshakes in 5 minutes; documented for spot, no number is known for futures
FIVE_MINUTES = 300.0  # s
GRACE = 1.0  # s; what was on its way when the first refusal was sent is no disobedience
_KEPT = 100_000  # times; 40 days of a connect every 35 s


def _times() -> deque[float]:
    return deque(maxlen=_KEPT)


@dataclass
class Counts:
    """For tests: were the venue's limits kept? Times are local monotonic seconds."""

    began: float = field(default_factory=time.monotonic)
    attempts: deque[float] = field(default_factory=_times)  # handshakes, refused ones included
    connects: deque[float] = field(default_factory=_times)  # handshakes that were accepted
    refused: int = 0  # handshakes
    open: int = 0  # connections at present
    messages: int = 0
    busiest_second: int = 0  # the most messages of one connection within a second
    most_streams: int = 0  # of one connection
    closed: deque[Close] = field(default_factory=lambda: deque(maxlen=1000))  # rules broken
    ended: Counter[str] = field(default_factory=Counter)  # connections by code, reason and side
    frames: int = 0  # sent
    rest: Counter[str] = field(default_factory=Counter)  # requests by path
    most_weight: int = 0  # of REST requests within a UTC minute
    most_funding: int = 0  # requests of fundingInfo and fundingRate within 5 minutes
    early: int = 0  # handshakes and requests before a Retry-After was over
    _waits: dict[str, tuple[float, float]] = field(default_factory=dict)

    def busiest(self, seconds: float) -> int:
        """The most handshakes, refused ones included, within any `seconds`."""
        times = list(self.attempts)
        spans = (bisect_right(times, at) - bisect_right(times, at - seconds) for at in times)
        return max(spans, default=0)

    def told_to_wait(self, side: str, seconds: float, now: float) -> None:
        """A Retry-After was sent on a side ("stream" or "rest")."""
        told, until = self._waits.get(side, (now, now))
        self._waits[side] = (told if now < until else now, max(until, now + seconds))

    def asked(self, side: str, now: float) -> None:
        """A handshake or a request came."""
        told, until = self._waits.get(side, (now, now))
        self.early += told + GRACE < now < until

    def limits(self) -> dict[str, dict[str, int | bool]]:
        """The venue's limits, the most that was seen of each, and whether it was kept."""
        seen = {
            "messages_per_second_and_connection": (RATE, self.busiest_second),
            "streams_per_connection": (MAX_STREAMS, self.most_streams),
            "connects_per_5_minutes": (CONNECTS, self.busiest(FIVE_MINUTES)),
            "weight_per_minute": (WEIGHT_LIMIT, self.most_weight),
            "funding_requests_per_5_minutes": (FUNDING_LIMIT, self.most_funding),
            "requests_before_retry_after": (0, self.early),
        }
        return {
            name: {"limit": limit, "most": most, "kept": most <= limit}
            for name, (limit, most) in seen.items()
        }

    def report(self) -> dict[str, object]:
        """The counts as plain values; times are seconds since the simulator was made."""
        return {
            "open": self.open,
            "connects": len(self.connects),
            "connected_at": [round(at - self.began, 3) for at in list(self.connects)[-1000:]],
            "attempted_at": [round(at - self.began, 3) for at in list(self.attempts)[-1000:]],
            "connects_in_5_min": self.busiest(FIVE_MINUTES),
            "refused": self.refused,
            "messages": self.messages,
            "busiest_second": self.busiest_second,
            "most_streams": self.most_streams,
            "closed": [f"{close.code} {close.reason}" for close in self.closed],
            "ended": dict(self.ended),
            "frames": self.frames,
            "rest": dict(self.rest),
            "most_weight": self.most_weight,
            "limits": self.limits(),
        }
