"""The doctor's look at the venue: does it answer, do rows come, how many, and how late."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from urllib.parse import urlsplit

from bot.market.feed import FeedStatus
from bot.market.inbox import Batch
from bot.market.rest import MarketRest, RestError
from bot.market.stream import MarketStream, StreamSettings
from bot.ops.finding import Finding

ROW_WITHIN = 10.0  # s; a row of the market comes every second
LISTENING = 2.5  # s from the first row on, to count them
LARGEST_SKEW = 5_000  # ms; more than that makes "2 min late" and `until` wrong for people
LARGEST_LAG = 5.0  # s
OLDEST_ROW = 60.0  # s, of the newest row of premiumIndex
_SKEW_WITHIN = 5.0  # s
Wall = Callable[[], float]  # this machine's clock, s since 1970
_ROUTE = "/market"
# Since 2026-04-23 the venue's addresses without it connect, acknowledge, and send nothing.
_LEGACY = (
    f"BINANCE_STREAM_URL has no {_ROUTE} route, without which the venue connects and is silent"
)


async def check_rest(root: str, *, wall: Wall = time.time) -> Finding:
    """Whether the venue answers with fresh rows, and how far this machine's clock is from its."""
    async with MarketRest(root, wall=wall) as rest:
        began = time.monotonic()
        try:
            venue = await rest.server_time()
            took = time.monotonic() - began
            ticks = await rest.premium_index()
        except RestError as error:
            return Finding(ok=False, text=str(error))
        now = venue + (time.monotonic() - began - took / 2) * 1000
        skew = round((rest.skew or 0.0) * 1000)
    text = f"answers in {took * 1000:.0f} ms"
    if not ticks:
        return Finding(ok=False, text=f"{text}, but premiumIndex has no row; BINANCE_REST_URL?")
    age = max(now - max(tick.event_time for tick in ticks), 0.0) / 1000
    text += f"; premiumIndex has {len(ticks)} rows, the newest {age:.1f} s old"
    if age > OLDEST_ROW:
        return Finding(ok=False, text=f"{text}: the venue stands still, try again later")
    direction = "ahead of" if skew > 0 else "behind"
    text += f"; the clock here is {abs(skew)} ms {direction} the venue's"
    if abs(skew) > LARGEST_SKEW:
        return Finding(ok=False, text=f"{text}: set it, or let NTP do so")
    return Finding(ok=True, text=text)


async def check_stream(
    route: str,
    rest_root: str,
    *,
    row_within: float = ROW_WITHIN,
    listening: float = LISTENING,
    wall: Wall = time.time,
) -> Finding:
    """Whether rows of the market arrive: a connection alone says nothing. Times are seconds.

    The lag needs the skew of this machine's clock, which REST tells.
    """
    # The doctor says itself what a silence means: the connection is not given up before.
    stream = MarketStream(StreamSettings(route, row_timeout=row_within + listening))
    heard, skew = await asyncio.gather(
        _hear(stream, row_within, listening, wall), _skew(rest_root, wall)
    )
    path = urlsplit(route).path or "/"
    if not heard.times:
        return Finding(ok=False, text=_silence(heard.status, path, row_within))
    text = f"route {path}: {heard.rate_text}"
    lag = None if skew is None else max(median(heard.ages) - skew, 0.0)
    text += ", lag unknown without REST" if lag is None else f", lag {lag:.1f} s"
    text += f", first row after {heard.first_after:.1f} s"
    if lag is not None and lag > LARGEST_LAG:
        return Finding(ok=False, text=f"{text}: rows come too late; the network, or the venue")
    return Finding(ok=True, text=text if _routed(path) else f"{text}; but {_LEGACY}")


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a while of listening brought; times in seconds, ages by this machine's clock."""

    status: FeedStatus
    first_after: float = 0.0
    times: Mapping[str, list[int]] = field(default_factory=dict)  # event times (ms) by symbol
    ages: tuple[float, ...] = ()

    @property
    def rate_text(self) -> str:
        """The sum of the symbols' rates, by the venue's clock: how busy we are does not matter."""
        rates = [
            (len(times) - 1) * 1000 / (times[-1] - times[0])
            for times in self.times.values()
            if len(times) > 1
        ]
        if not rates:
            return f"{len(self.times)} rows"
        return f"{sum(rates):.0f} rows/s of {len(rates)} symbols"


async def _hear(stream: MarketStream, row_within: float, listening: float, wall: Wall) -> _Heard:
    started = time.monotonic()
    running = asyncio.create_task(stream.run())
    times: dict[str, list[int]] = {}
    ages: list[float] = []
    first = 0.0
    try:
        async with asyncio.timeout(row_within) as limit:
            while True:
                batch = await stream.next_batch()
                if not times:
                    first = time.monotonic()
                    limit.reschedule(asyncio.get_running_loop().time() + listening)
                ages.append(_age(batch, wall()))
                for tick in batch.ticks:
                    told = times.setdefault(tick.symbol, [])
                    if not told or tick.event_time > told[-1]:  # else it repeats, or comes late
                        told.append(tick.event_time)
    except TimeoutError:
        return _Heard(stream.status(), first - started, times, tuple(ages))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _age(batch: Batch, now: float) -> float:
    return now - max(tick.event_time for tick in batch.ticks) / 1000


async def _skew(rest_root: str, wall: Wall) -> float | None:
    """Seconds by which this machine's clock is ahead of the venue's; None: it does not say."""
    try:
        async with MarketRest(rest_root, wall=wall) as rest, asyncio.timeout(_SKEW_WITHIN):
            await rest.server_time()
            return rest.skew
    except (RestError, TimeoutError):
        return None


def _silence(status: FeedStatus, path: str, row_within: float) -> str:
    text = f"no row within {row_within:g} s: "
    if status.problem:
        return text + status.problem
    if status.connected_since is None:
        return text + "not connected; is the network up, and BINANCE_STREAM_URL right?"
    if _routed(path):
        return text + f"connected, but silent on the route {_ROUTE}; the venue is in trouble"
    return text + f"connected, but silent; {_LEGACY}: it should end in {_ROUTE}"


def _routed(path: str) -> bool:
    return path.rstrip("/").endswith(_ROUTE)
