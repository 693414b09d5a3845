"""What clients did, as the simulator saw it."""

from bisect import bisect_right
from collections import Counter, deque
from dataclasses import dataclass, field

from bot.simulator.session import Close


@dataclass
class Counts:
    """For tests: were the venue's limits kept? Times are local monotonic seconds."""

    connects: deque[float] = field(default_factory=lambda: deque(maxlen=100_000))
    refused: int = 0  # handshakes
    messages: int = 0
    busiest_second: int = 0  # the most messages of one connection within a second
    most_streams: int = 0  # of one connection
    closed: deque[Close] = field(default_factory=lambda: deque(maxlen=1000))  # rules broken
    frames: int = 0  # sent
    rest: Counter[str] = field(default_factory=Counter)  # requests by path
    most_weight: int = 0  # of REST requests within a UTC minute

    def busiest(self, seconds: float) -> int:
        """The most connects within any `seconds`."""
        times = list(self.connects)
        spans = (bisect_right(times, at) - bisect_right(times, at - seconds) for at in times)
        return max(spans, default=0)

    def report(self) -> dict[str, object]:
        """The counts as plain values."""
        return {
            "connects": len(self.connects),
            "connects_in_5_min": self.busiest(300),
            "refused": self.refused,
            "messages": self.messages,
            "busiest_second": self.busiest_second,
            "most_streams": self.most_streams,
            "closed": [f"{close.code} {close.reason}" for close in self.closed],
            "frames": self.frames,
            "rest": dict(self.rest),
            "most_weight": self.most_weight,
        }
