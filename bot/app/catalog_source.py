"""The catalog of a run: taken again and again, doubted where it is odd, told where it is new."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from bot.app import venue_texts as texts
from bot.app.catalog_news import catalog_notices
from bot.app.live import Live
from bot.market.catalog import catalog_text
from bot.market.catalog_changes import catalog_changes
from bot.market.reading import HOUR
from bot.market.rest import MarketRest, TakenCatalog

CATALOG = "catalog"  # the fact with the catalog taken last, JSON
DOUBT = "catalog"  # the fault of a catalog that is not believed
BELIEVED_AFTER = 24 * 3600.0  # s: what says the same for so long is no hiccup of the venue
BETWEEN_ASKED = 30.0  # s between two catalogs that rows asked for
_log = logging.getLogger(__name__)


class CatalogSource:
    """Keeps the engine's catalog up to date. `changed` is called after each change of it."""

    def __init__(
        self,
        live: Live,
        rest: MarketRest,
        changed: Callable[[], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.taken_at: float | None = None  # when a whole one came last, monotonic s
        self._live = live
        self._rest = rest
        self._changed = changed
        self._monotonic = monotonic
        self._asked = asyncio.Event()
        self._taking = asyncio.Lock()
        self._doubted_since: float | None = None
        self._logged: frozenset[str] = frozenset()

    def ask(self) -> None:
        """A row contradicts the catalog: it is to be taken soon."""
        self._asked.set()

    async def refresh_when_asked(self) -> None:
        """Takes the catalog at once when a row contradicts it; at most twice a minute."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self.refresh()
            except Exception:  # noqa: BLE001 - logged; the feed goes on
                _log.exception("The catalog could not be taken", extra={"action": "catalog_failed"})
            await asyncio.sleep(BETWEEN_ASKED)

    async def refresh(self) -> None:
        """Takes a fresh catalog; a half that cannot be had or believed stays as it was."""
        async with self._taking:
            now = self._monotonic()
            since = self._doubted_since
            doubting = since is None or now - since < BELIEVED_AFTER
            taken = await self._rest.take_catalog(self._live.engine.catalog, doubting=doubting)
            await self._judge(taken, now)
            await self._replace(taken)

    async def _judge(self, taken: TakenCatalog, now: float) -> None:
        said = frozenset(map(str, taken.problems)) | frozenset(taken.doubts)
        for words in said - self._logged:
            _log.warning("The catalog: %s", words, extra={"action": "catalog_failed"})
        self._logged = said
        if taken.doubts:
            self._doubted_since = now if self._doubted_since is None else self._doubted_since
            await self._live.fault(DOUBT, partial(texts.catalog_doubted, taken.doubts))
        elif not taken.problems:
            self._doubted_since, self.taken_at = None, now
            await self._live.fault_over(DOUBT, texts.catalog_believed)

    async def _replace(self, taken: TakenCatalog) -> None:
        engine, text = self._live.engine, catalog_text(taken.catalog)
        if text == catalog_text(engine.catalog):
            return
        taught = {
            symbol: memory.observed_interval // HOUR
            for symbol, memory in engine.symbols.items()
            if memory.observed_interval >= HOUR
        }
        changes = catalog_changes(engine.catalog, taken.catalog, taught)
        for change in changes:
            _log.info("%s: %s", change.symbol, change, extra={"action": "catalog_changed"})
        wall = self._live.wall()
        rows = catalog_notices(changes, engine, taken.catalog, self._live.desk, wall)
        await self._live.replace_catalog(taken.catalog, {CATALOG: text}, rows)
        self._changed()
