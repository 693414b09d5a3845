"""What the tests of the live stream share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from bot.market.stream import MarketStream, StreamSettings
from tests.market.venue import RushedTime, Venue


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Waits for a condition, with a deadline."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is no event of ours
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(stream: MarketStream) -> AsyncIterator[MarketStream]:
    task = asyncio.create_task(stream.run())
    try:
        yield stream
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def stream_to(double: Venue, symbols: list[str] | None = None, **changes: Any) -> MarketStream:
    """A stream that waits for no connect, and compares two connections for a moment only."""
    now = RushedTime()
    quick = {"close_timeout": 0.2, "compared_for": 0.1}
    settings = StreamSettings(double.route, **{**quick, **changes})
    return MarketStream(settings, symbols, keep_frames=True, monotonic=now, sleep=now.sleep)
