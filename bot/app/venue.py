"""The venue's side of a run: rows into the engine, the clock, both sources, the feed's health."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from bot.app.catalog_source import CatalogSource
from bot.app.feed_watch import FeedWatch
from bot.app.live import Live
from bot.app.second_source import SecondSource
from bot.app.world import LiveWorld
from bot.market.catalog import Catalog
from bot.market.clock import VenueClock
from bot.market.inbox import Batch, Received
from bot.market.rest import MarketRest, RestError
from bot.market.stream import MarketStream
from bot.market.tick import Tick
from bot.rules.rule import Rule

FIRST_CATALOG = 10.0  # s that a start waits for the catalog: intervals decide what is extreme
LARGEST_TIME = 1 << 53  # ms
ASK_TIME_EVERY = 3.0  # s, while rows claim another time
SEEN_LATELY = 10.0  # s: rows this young say that the stream brings what it should
# Fields that the clock moves by itself: rows every 3 s are enough for them.
_SLOW_FIELDS = frozenset({"funding", "interval"})
_log = logging.getLogger(__name__)


class Venue:
    """Owns the clock; runs beside `MarketStream.run`."""

    def __init__(
        self,
        live: Live,
        world: LiveWorld,
        stream: MarketStream,
        rest: MarketRest,
        clock: VenueClock,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._live = live
        self._world = world
        self._stream = stream
        self._rest = rest
        self._clock = clock
        self._monotonic = monotonic
        self.second = SecondSource(live, stream, rest, clock, self._seed, monotonic)
        self.catalog = CatalogSource(live, rest, self.follow_rules, monotonic)
        self._watch = FeedWatch(live, monotonic())
        self.rejected = 0  # rows too far ahead of the clock
        self._time_doubted = asyncio.Event()

    async def consume(self) -> None:
        """Takes batches as they come, for ever; what goes wrong with one does not end the feed."""
        self.second.ready.set()
        async for batch in self._stream.batches():
            try:
                await self._take(batch)
            except Exception:  # noqa: BLE001 - logged; the feed goes on
                _log.exception("A batch of rows could not be taken", extra={"action": "take"})

    async def _take(self, batch: Batch) -> None:
        ticks = await self._admit(batch.ticks)
        self.second.heard(ticks)
        if await self._decide(ticks, batch.frames):
            self._stream.taken()

    async def _seed(self, ticks: Sequence[Tick]) -> None:
        """Ticks that the stream did not bring."""
        await self._decide(await self._admit(ticks), ())

    async def _admit(self, ticks: Sequence[Tick]) -> list[Tick]:
        admitted = self._clock.admit(ticks, self._monotonic())
        self.rejected += admitted.rejected
        if admitted.doubtful:
            self._time_doubted.set()
        if admitted.followed:
            _log.warning(
                "The venue's clock jumped by %d ms and is followed",
                admitted.followed,
                extra={"action": "clock_followed"},
            )
        if admitted.followed < 0:
            await self._live.begin_anew(self._clock.now(self._monotonic()))
        return [_storable(tick) for tick in admitted.ticks if tick.event_time < LARGEST_TIME]

    async def _decide(self, ticks: Sequence[Tick], frames: Sequence[Received]) -> int:
        """How many of them were news."""
        news = await self._live.take(ticks, frames) if ticks else 0
        if self._live.engine.take_doubted():
            self.catalog.ask()
        return news

    async def heartbeat(self) -> None:
        """Lets time pass in the engine; before the first row no clock decides anything."""
        if self._clock.started:
            await self._live.advance(self._clock.now(self._monotonic()))

    async def keep(self) -> None:
        """Stores what a crash may cost."""
        if self._clock.started:
            await self._live.advance(self._clock.now(self._monotonic()), everything=True)

    async def watch_feed(self) -> None:
        """Tells the admins what is wrong with the feed, once, and when it is over, once."""
        await self._watch.look(self._stream.status(), self._monotonic())

    def follow_rules(self) -> None:
        """Streams what the rules need: their symbols, or all; each second unless none needs it."""
        rules = self._live.engine.rules
        fast = any(_needs_every_second(rule) for rule in rules)
        wanted = wanted_symbols(rules, self._live.engine.catalog)
        self.second.wanted = None if wanted is None else frozenset(wanted)
        self._stream.set_symbols(wanted, every_second=fast or not rules)

    async def ask_time(self) -> None:
        """The venue's time, which counts only until the first row; and what it says of ours."""
        try:
            venue_time, now = await self._rest.server_time(), self._monotonic()
        except RestError as error:
            _log.warning("The venue's time is unknown: %s", error, extra={"action": "rest_failed"})
            return
        self._clock.guess(venue_time, now)
        self._clock.tell(venue_time, now)
        if self._rest.skew is not None:
            self._stream.tell_skew(round(self._rest.skew * 1000))
            await self._watch.judge_clock(self._rest.skew)

    async def ask_time_when_doubted(self) -> None:
        """Asks REST while rows of the stream claim a time far ahead, for ever."""
        while True:
            await self._time_doubted.wait()
            self._time_doubted.clear()
            await self.ask_time()
            await asyncio.sleep(ASK_TIME_EVERY)

    async def refresh_catalog(self) -> None:
        """Takes a fresh catalog, and looks at the clocks."""
        await self.ask_time()
        await self.catalog.refresh()

    async def first_catalog(self) -> None:
        """Waits for the catalog, not for long; what goes wrong with it does not end the start."""
        try:
            async with asyncio.timeout(FIRST_CATALOG):
                await self.refresh_catalog()
        except TimeoutError:
            _log.warning("The catalog is late", extra={"action": "catalog_failed"})
        except Exception:  # noqa: BLE001 - logged; it is taken again soon
            _log.exception("The catalog could not be taken", extra={"action": "catalog_failed"})

    async def quote(self) -> None:
        """Looks at the whole market, for commands on symbols that no stream brings."""
        now, last = self._monotonic(), self._stream.status().last_row
        flows = last is not None and now - last < SEEN_LATELY
        if flows and self._stream.plan[0].startswith("!"):
            return
        await self.second.quote()
        self._world.quotes = {s: _storable(tick) for s, tick in self.second.quotes.items()}


def wanted_symbols(rules: Iterable[Rule], catalog: Catalog) -> list[str] | None:
    """The symbols that rules name, or None where one of them can mean others too."""
    wanted: list[str] = []
    for rule in rules:
        names = rule.selection.names(catalog)
        if names is None:
            return None
        wanted += (name for name in names if catalog.trades(name) is not False)
    return wanted


def _storable(tick: Tick) -> Tick:
    """A T beyond what JSON and SQLite hold names no time."""
    if tick.next_funding_time < LARGEST_TIME:
        return tick
    return msgspec.structs.replace(tick, next_funding_time=0)


def _needs_every_second(rule: Rule) -> bool:
    clear = rule.options.clear
    fields = {*rule.condition.fields, *(clear.fields if clear is not None else ())}
    return not fields <= _SLOW_FIELDS
