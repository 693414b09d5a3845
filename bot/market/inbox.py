"""The place between the reader and a consumer that may be slow: the latest tick of each symbol."""

import asyncio
from dataclasses import dataclass

from bot.market.tick import Tick

MOST_FRAMES = 64 << 20  # bytes that are kept for a consumer that does not come


@dataclass(frozen=True, slots=True)
class Received:
    """A frame as it came: when (local clock, µs since 1970), its bytes, and its ticks."""

    at: int
    body: bytes
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What came since the last time: a frame's ticks, or the latest of each symbol of several.

    `frames` are those that the ticks are from, in their order; empty unless they are kept, and
    where they were too many.
    """

    ticks: tuple[Tick, ...]
    frames: tuple[Received, ...] = ()


class Inbox:
    """Holds at most one tick a symbol, in the order in which the kept ones came.

    A consumer that keeps up gets each frame as it came. While it does not, newer ticks replace
    older ones and are counted: it then sees the present and never a backlog.
    """

    def __init__(self, *, keep_frames: bool = False) -> None:
        self.conflated = 0  # ticks that were replaced before anybody saw them
        self.repeated = 0  # ticks that were no newer than the one held
        self._keep_frames = keep_frames
        self._ticks: dict[str, Tick] = {}
        self._frames: list[Received] = []
        self._size = 0  # bytes of the frames that came since the last time
        self._filled = asyncio.Event()

    def put(self, frame: Received) -> None:
        """Takes the ticks of a frame; one that is not newer than the one held is a repetition."""
        for tick in frame.ticks:
            held = self._ticks.get(tick.symbol)
            if held is not None:
                if tick.event_time <= held.event_time:
                    self.repeated += 1
                    continue
                del self._ticks[tick.symbol]
                self.conflated += 1
            self._ticks[tick.symbol] = tick
        if self._keep_frames:
            self._keep(frame)
        if self._ticks:
            self._filled.set()

    async def take(self) -> Batch:
        """What came since the last time; waits until there is something."""
        await self._filled.wait()
        self._filled.clear()
        batch = Batch(tuple(self._ticks.values()), tuple(self._frames))
        self._ticks, self._frames, self._size = {}, [], 0
        return batch

    def _keep(self, frame: Received) -> None:
        self._size += len(frame.body)
        if self._size <= MOST_FRAMES:
            self._frames.append(frame)
        else:
            self._frames.clear()
