"""The place between the reader and a consumer that may be slow: the latest tick of each symbol."""

import asyncio
from collections.abc import Iterable

from bot.market.tick import Tick


class Inbox:
    """Holds at most one tick a symbol, in the order in which the kept ones came.

    A consumer that keeps up gets each frame as it came. While it does not, newer ticks replace
    older ones and are counted: it then sees the present and never a backlog.
    """

    def __init__(self) -> None:
        self.conflated = 0  # ticks that were replaced before anybody saw them
        self._ticks: dict[str, Tick] = {}
        self._filled = asyncio.Event()

    def put(self, ticks: Iterable[Tick]) -> None:
        """Takes the ticks of a frame; one that is not newer than the one held is a repetition."""
        for tick in ticks:
            held = self._ticks.get(tick.symbol)
            if held is not None:
                if tick.event_time <= held.event_time:
                    continue
                del self._ticks[tick.symbol]
                self.conflated += 1
            self._ticks[tick.symbol] = tick
        if self._ticks:
            self._filled.set()

    async def take(self) -> tuple[Tick, ...]:
        """What came since the last time; waits until there is something."""
        await self._filled.wait()
        self._filled.clear()
        ticks, self._ticks = tuple(self._ticks.values()), {}
        return ticks
