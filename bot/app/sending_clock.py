"""The clock by which the outbox is dated: this machine's, which people and programs set."""

import time
from collections.abc import Callable

SENDING_AT = "sending_at"  # the fact that keeps how far it has come


def machine_time() -> int:
    """This machine's clock, epoch ms."""
    return time.time_ns() // 1_000_000


def steady() -> float:
    """Seconds that pass also while the machine sleeps, where its system can tell."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


class SendingClock:
    """Epoch ms that only passes: it begins with the machine's clock and runs by a steady one.

    A clock that is set back would hold everything that waits, one that is set forward would make
    all of it too old. Where it is behind what an earlier run had come to (`last`), it begins
    there.
    """

    def __init__(
        self,
        last: int = 0,
        *,
        wall: Callable[[], int] = machine_time,
        steady: Callable[[], float] = steady,
    ) -> None:
        self._steady = steady
        self._from = steady()
        self._began = max(wall(), last)

    def __call__(self) -> int:
        return self._began + round((self._steady() - self._from) * 1000)
