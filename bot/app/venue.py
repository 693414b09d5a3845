"""The venue's side of a run: rows into the engine, the clock, the catalog, the feed's health."""

import asyncio
import logging
import time
from collections.abc import Iterable
from functools import partial

import msgspec

from bot.app import texts
from bot.app.live import Live
from bot.app.world import LiveWorld
from bot.market.catalog import Catalog, catalog_text
from bot.market.clock import VenueClock
from bot.market.inbox import Batch
from bot.market.rest import MarketRest, RestError
from bot.market.stream import MarketStream
from bot.market.tick import Tick
from bot.rules.rule import Rule

CATALOG = "catalog"  # the fact with the catalog taken last, JSON
FEED = "feed"  # the fault of a silent feed
SILENT_AFTER = 15.0  # s without a row; the admins are to hear of it within 20 s
BACK_AFTER = 3.0  # s for which rows must flow before the feed counts as back
LARGEST_TIME = 1 << 53  # ms
QUOTES_FOR = 5.0  # s for which a look at the whole market is good enough for another one
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
    ) -> None:
        self._live = live
        self._world = world
        self._stream = stream
        self._rest = rest
        self._clock = clock
        self._quoted_at = float("-inf")
        self._began = time.monotonic()
        self._silent_since: float | None = None
        self._flowing_since: float | None = None
        self._catalog_asked = asyncio.Event()
        self.rejected = 0  # rows too far ahead of the clock

    async def consume(self) -> None:
        """Takes batches as they come, for ever; what goes wrong with one does not end the feed."""
        async for batch in self._stream.batches():
            try:
                await self._take(batch)
            except Exception:  # noqa: BLE001 - logged; the feed goes on
                _log.exception("A batch of rows could not be taken", extra={"action": "take"})

    async def _take(self, batch: Batch) -> None:
        admitted = self._clock.admit(batch.ticks, time.monotonic())
        self.rejected += admitted.rejected
        if admitted.followed:
            _log.warning(
                "The venue's clock jumped ahead by %d ms and is followed",
                admitted.followed,
                extra={"action": "clock_followed"},
            )
        ticks = [_storable(tick) for tick in admitted.ticks if tick.event_time < LARGEST_TIME]
        if ticks:
            await self._live.take(ticks, batch.frames)
        if self._live.engine.take_doubted():
            self._catalog_asked.set()

    async def heartbeat(self) -> None:
        """Lets time pass in the engine; before the first row no clock decides anything."""
        if self._clock.started:
            await self._live.advance(self._clock.now(time.monotonic()))

    async def keep(self) -> None:
        """Stores what a crash may cost."""
        if self._clock.started:
            await self._live.advance(self._clock.now(time.monotonic()), everything=True)

    async def watch_feed(self) -> None:
        """Says that the feed is silent, once, and that it is back, once."""
        now, status = time.monotonic(), self._stream.status()
        last = status.last_row if status.last_row is not None else self._began
        silent = now - last
        if silent >= SILENT_AFTER:
            self._flowing_since = None
            self._silent_since = self._silent_since if self._silent_since is not None else last
            words = partial(texts.feed_silent, int(silent), status.problem)
            if not self._live.faults.is_active(FEED):
                await self._live.fault(FEED, words)
        elif silent >= BACK_AFTER:
            self._flowing_since = None
        elif self._silent_since is not None and status.last_row is not None:
            self._flowing_since = self._flowing_since or now
            if now - self._flowing_since >= BACK_AFTER:
                silent_for = int((self._flowing_since - self._silent_since) * 1000)
                self._silent_since = self._flowing_since = None
                await self._live.fault_over(FEED, partial(texts.feed_back, silent_for))

    def follow_rules(self) -> None:
        """Streams what the rules need: their symbols, or all; each second unless none needs it."""
        rules = self._live.engine.rules
        fast = any(_needs_every_second(rule) for rule in rules)
        self._stream.set_symbols(
            wanted_symbols(rules, self._live.engine.catalog), every_second=fast or not rules
        )

    async def ask_time(self) -> None:
        """The venue's time, which counts only until the first row."""
        try:
            self._clock.guess(await self._rest.server_time(), time.monotonic())
        except RestError as error:
            _log.warning("The venue's time is unknown: %s", error, extra={"action": "rest_failed"})

    async def refresh_catalog(self) -> None:
        """Takes a fresh catalog; a half that cannot be had stays as it was."""
        taken = await self._rest.take_catalog(self._live.engine.catalog)
        for problem in taken.problems:
            _log.warning("The catalog: %s", problem, extra={"action": "catalog_failed"})
        text = catalog_text(taken.catalog)
        if text != catalog_text(self._live.engine.catalog):
            await self._live.replace_catalog(taken.catalog, {CATALOG: text})
            self.follow_rules()

    async def refresh_when_asked(self) -> None:
        """Takes the catalog at once when a row contradicts it; at most twice a minute."""
        while True:
            await self._catalog_asked.wait()
            self._catalog_asked.clear()
            try:
                await self.refresh_catalog()
            except Exception:  # noqa: BLE001 - logged; the feed goes on
                _log.exception("The catalog could not be taken", extra={"action": "catalog_failed"})
            await asyncio.sleep(30)

    async def quote(self) -> None:
        """Looks at the whole market, for commands on symbols that no stream brings."""
        now = time.monotonic()
        if self._stream.plan[0].startswith("!") or now - self._quoted_at < QUOTES_FOR:
            return
        try:
            ticks = await self._rest.premium_index()
        except RestError as error:
            _log.warning("No quotes: %s", error, extra={"action": "rest_failed"})
            return
        self._quoted_at = now
        self._world.quotes = {tick.symbol: _storable(tick) for tick in ticks}


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
