"""Time that passes faster in one process and its forks, and is set forward between two lives."""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any

SPEED = 50  # of time in a life: the pauses that limits ask for outlast all else there
real_monotonic, _time_ns = time.monotonic, time.time_ns


class Clocks:
    """This process's clocks and those of its forks: fast, and set forward between two lives."""

    def __init__(self) -> None:
        self.ahead = 0  # ms that were passed over
        begun, wall = real_monotonic(), _time_ns()

        def passed() -> float:
            return (real_monotonic() - begun) * SPEED

        time.monotonic = lambda: begun + passed()
        time.time_ns = lambda: wall + round(passed() * 1e9) + self.ahead * 1_000_000
        time.time = lambda: time.time_ns() / 1e9
        time.clock_gettime = lambda _: begun + passed()  # of those that are steady

    def now(self) -> int:
        """The time in ms since 1970."""
        return time.time_ns() // 1_000_000


class FastSelector(selectors.DefaultSelector):
    """Waits as long as the fast clock says."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / SPEED if timeout else timeout)


def run_fast(work: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run` by the fast clock."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(FastSelector())) as runner:
        runner.run(work)
