"""A bound on a request that counts only the time in which this program ran."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_LOOK = 1.0  # s between looks at what is under way
_STOOD_STILL = 5.0  # s by which a look comes late when the program or its machine stood still
_GRACE = 2.0  # s for an answer that came meanwhile to be read; after so long a connection is gone

Result = TypeVar("Result")


class StuckError(Exception):
    """No end within the time. `slept`: the program stood still meanwhile, which explains it."""

    def __init__(self, slept: bool) -> None:
        super().__init__("the request did not end")
        self.slept = slept


async def watched(
    request: Coroutine[Any, Any, Result], patience: float, clock: Callable[[], float]
) -> Result:
    """The request's result, or StuckError after `patience` s.

    A request that is given up is cancelled and left alone: one that is stuck may not even heed
    that. `clock` gives seconds that also pass while the machine sleeps.
    """
    task = asyncio.ensure_future(request)
    left, slept = patience, False
    try:
        while left > 0:
            look, began = min(left, _LOOK), clock()
            await asyncio.wait({task}, timeout=look)
            if task.done():
                return task.result()
            left -= look
            if clock() - began > look + _STOOD_STILL:
                left, slept = min(left, _GRACE), True
        raise StuckError(slept)
    finally:
        task.add_done_callback(_forget)
        task.cancel()


def _forget(task: asyncio.Future[Any]) -> None:
    """What came of it is of no interest; the loop must not complain that nobody asked."""
    if not task.cancelled():
        task.exception()
