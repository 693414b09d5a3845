"""The catalog of a run: taken again and again, doubted where it is odd, told where it is new."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from bot.app import venue_texts as texts
from bot.app.catalog_news import catalog_notices
from bot.app.faults import CATALOG_DOUBTED, NO_CATALOG
from bot.app.live import Live
from bot.market.catalog import catalog_text
from bot.market.catalog_changes import catalog_changes
from bot.market.reading import HOUR
from bot.market.rest import MarketRest, RestError, TakenCatalog
from bot.market.tick import Tick
from bot.market.vanished import (
    Vanished,
    vanished_contracts,
    vanished_doubt,
    vanished_funding,
    with_vanished,
)

CATALOG = "catalog"  # the fact with the catalog taken last, JSON
BELIEVED_AFTER = 24 * 3600.0  # s: what says the same for so long is no hiccup of the venue
BETWEEN_ASKED = 30.0  # s between two catalogs that rows asked for
NONE_AFTER = 30.0  # s after the start, without a whole catalog
# s from a catalog that could not be had to the next try; it doubles with each one in a row
FIRST_RETRY, LATER_RETRY, SLOWEST_RETRY = 5.0, 15.0, 120.0
LOOK_EVERY = 1.0  # s
SHOWN = 20  # symbols in a line of the log
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
        self._asked = False
        self._asked_until = float("-inf")  # before, nothing is taken because rows ask for it
        self._taking = asyncio.Lock()
        self._doubted_since: float | None = None
        self._logged: frozenset[str] = frozenset()
        self._contracts = Vanished()
        self._funding = Vanished()
        self._began = monotonic()
        self._failures = 0  # in a row
        self._retry_at: float | None = None  # None: the last one could be had

    def ask(self) -> None:
        """A row contradicts the catalog: it is to be taken soon."""
        self._asked = True

    async def refresh_when_asked(self) -> None:
        """Looks each second whether to take the catalog, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - logged; the feed goes on
                _log.exception("The catalog could not be taken", extra={"action": "catalog_failed"})

    async def look(self) -> None:
        """Takes the catalog if that is due; says when there is none at all.

        It is due when a row contradicts it, at most twice a minute, and soon after a failure.
        """
        now = self._monotonic()
        asked = self._asked and now >= self._asked_until
        if asked:
            self._asked, self._asked_until = False, now + BETWEEN_ASKED
        if asked or (self._retry_at is not None and now >= self._retry_at):
            await self.refresh()
        if self.taken_at is None and self._monotonic() - self._began >= NONE_AFTER:
            await self._say_none()

    async def refresh(self) -> None:
        """Takes a fresh catalog; a half that cannot be had or believed stays as it was."""
        async with self._taking:
            now, since = self._monotonic(), self._doubted_since
            self._failures += 1  # as long as it is not here
            self._plan_retry(now, ())
            doubting = since is None or now - since < BELIEVED_AFTER
            taken = await self._rest.take_catalog(self._live.engine.catalog, doubting=doubting)
            self._judge_doubts(taken, now)
            taken = self._with_vanished(taken, now, doubting=doubting)
            await self._judge(taken, now)
            await self._replace(taken)
            if taken.problems:
                self._plan_retry(self._monotonic(), taken.problems)
            else:
                self._retry_at, self._failures = None, 0

    def _plan_retry(self, now: float, problems: Sequence[RestError]) -> None:
        first = FIRST_RETRY if self.taken_at is None else LATER_RETRY
        wait = min(first * 2.0 ** min(self._failures - 1, 8), SLOWEST_RETRY)
        self._retry_at = now + max([wait, *(each.retry_after or 0.0 for each in problems)])

    async def _say_none(self) -> None:
        """Said once, where not even an earlier run has left one."""
        catalog = self._live.engine.catalog
        if not catalog.funding or catalog.contracts is None:
            text = partial(
                texts.no_catalog,
                intervals=bool(catalog.funding),
                names=catalog.contracts is not None,
            )
            await self._live.fault(NO_CATALOG, text)

    def _judge_doubts(self, taken: TakenCatalog, now: float) -> None:
        if taken.doubts:
            self._doubted_since = now if self._doubted_since is None else self._doubted_since
        elif not taken.problems:
            self._doubted_since = None

    def _with_vanished(self, taken: TakenCatalog, now: float, *, doubting: bool) -> TakenCatalog:
        """With the rows that lack in an answer and are not given up yet."""
        before, after = self._live.engine.catalog, taken.catalog
        doubts = list(taken.doubts)
        if after.contracts is not before.contracts:
            lacking = vanished_contracts(before, after, self._newest)
            self._contracts.judge(lacking, now, doubting=doubting)
            doubts.append(
                vanished_doubt("exchangeInfo", self._contracts.kept, before.contracts or ())
            )
        kept = with_vanished(before, after, self._contracts.kept, ())
        if after.funding is not before.funding:
            lacking = vanished_funding(before, kept, self._newest)
            self._funding.judge(lacking, now, doubting=doubting)
            doubts.append(vanished_doubt("fundingInfo", self._funding.kept, before.funding))
        kept = with_vanished(before, kept, (), self._funding.kept)
        return replace(taken, catalog=kept, doubts=tuple(filter(None, doubts)))

    def _newest(self, symbol: str) -> Tick | None:
        """A symbol's newest row, where it is fresh."""
        engine = self._live.engine
        memory = engine.symbols.get(symbol)
        if memory is None or engine.clock - memory.tick.event_time > engine.stale_after:
            return None
        return memory.tick

    async def _judge(self, taken: TakenCatalog, now: float) -> None:
        said = frozenset(map(str, taken.problems)) | frozenset(taken.doubts)
        lacking = self._contracts.kept | self._funding.kept
        if lacking:
            said |= {"without " + ", ".join(sorted(lacking)[:SHOWN])}
        for words in said - self._logged:
            _log.warning("The catalog: %s", words, extra={"action": "catalog_failed"})
        self._logged = said
        if taken.doubts:
            await self._live.fault(CATALOG_DOUBTED, partial(texts.catalog_doubted, taken.doubts))
        elif not taken.problems:
            self.taken_at = now
            await self._live.fault_over(CATALOG_DOUBTED, texts.catalog_believed)
            await self._live.fault_over(NO_CATALOG, texts.catalog_there)

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
