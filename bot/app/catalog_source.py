"""The catalog of a run: taken again and again, doubted where it is odd, told where it is new."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial

from bot.app import venue_texts as texts
from bot.app.catalog_news import catalog_notices
from bot.app.faults import CATALOG_DOUBTED, NO_CATALOG
from bot.app.live import Live
from bot.market.catalog import Catalog, catalog_text
from bot.market.catalog_changes import CatalogChange, News, catalog_changes
from bot.market.reading import HOUR
from bot.market.rest import CONTRACTS, FUNDING, HALVES, MarketRest, RestError, TakenCatalog
from bot.market.tick import Tick
from bot.market.unconfirmed import (
    AGREED_AFTER,
    Unconfirmed,
    shows_gone,
    shows_hours,
    with_former,
)
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
        self._doubted_since: dict[str, float] = {}  # by half, without a good answer in between
        self._sound: frozenset[str] = frozenset()  # halves whose last answer was not doubted
        self._logged: frozenset[str] = frozenset()
        self._contracts, self._funding = Vanished(), Vanished()
        self._gone, self._intervals = Unconfirmed(), Unconfirmed()
        self._began = monotonic()
        self._failures = 0  # in a row
        self._retry_at: float | None = None  # None: the last one was had and is believed

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

        It is due when a row contradicts it, at most twice a minute, soon after a failure, and when
        what an answer said needs another one that agrees.
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
            now = self._monotonic()
            self._failures += 1  # as long as it is not here
            self._plan_retry(now, ())
            doubted = self._doubted_since.items()
            believed = {half for half, since in doubted if now - since >= BELIEVED_AFTER}
            taken = await self._rest.take_catalog(self._live.engine.catalog, believed=believed)
            self._judge_doubts(taken, now)
            taken = self._with_vanished(taken, now, believed)
            taken = self._with_unconfirmed(taken, now)
            await self._judge(taken, now)
            await self._replace(taken)
            if taken.problems:
                self._plan_retry(self._monotonic(), taken.problems)
            else:
                waiting = self._gone.waiting | self._intervals.waiting
                self._retry_at, self._failures = now + AGREED_AFTER if waiting else None, 0

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
        for half in taken.came:
            if half in taken.doubts:
                self._doubted_since.setdefault(half, now)
            else:
                self._doubted_since.pop(half, None)

    def _with_vanished(
        self, taken: TakenCatalog, now: float, believed: Collection[str]
    ) -> TakenCatalog:
        """With the rows that lack in an answer and are not given up yet."""
        before, after = self._live.engine.catalog, taken.catalog
        doubts = dict(taken.doubts)
        if after.contracts is not before.contracts:
            lacking = vanished_contracts(before, after, self._newest)
            self._contracts.judge(lacking, now, doubting=CONTRACTS not in believed)
            had = before.contracts or ()
            doubts[CONTRACTS] = vanished_doubt(CONTRACTS, self._contracts.kept, had)
        kept = with_vanished(before, after, self._contracts.kept, ())
        if after.funding is not before.funding:
            lacking = vanished_funding(before, kept, self._newest)
            self._funding.judge(lacking, now, doubting=FUNDING not in believed)
            doubts[FUNDING] = vanished_doubt(FUNDING, self._funding.kept, before.funding)
        kept = with_vanished(before, kept, (), self._funding.kept)
        doubts = {half: words for half, words in doubts.items() if words}
        return replace(taken, catalog=kept, doubts=doubts)

    def _with_unconfirmed(self, taken: TakenCatalog, now: float) -> TakenCatalog:
        """With what one answer alone tells, and no row, as it was before.

        The first catalog of a run is believed: what an earlier run left may be as old as you like.
        """
        before, after = self._live.engine.catalog, taken.catalog
        if self.taken_at is None or before.contracts is None or after.contracts is None:
            return taken
        if CONTRACTS in taken.came:
            gone = self._changes(after, News.GONE, after.contracts)
            self._gone.judge(gone, now, self._is_shown)
        after = with_former(before, after, self._gone.waiting, ())
        if FUNDING in taken.came:
            moved = self._changes(after, News.INTERVAL, after.funding)
            self._intervals.judge(moved, now, self._is_shown)
        return replace(taken, catalog=with_former(before, after, (), self._intervals.waiting))

    def _changes(
        self, after: Catalog, news: News, listed: Collection[str]
    ) -> Iterable[CatalogChange]:
        """The news of one kind that a catalog's own rows tell; what lacks is judged as vanished."""
        changes = catalog_changes(self._live.engine.catalog, after, self._taught())
        return [each for each in changes if each.news is news and each.symbol in listed]

    def _is_shown(self, change: CatalogChange) -> bool:
        """Whether fresh rows tell a change as well."""
        tick = self._newest(change.symbol)
        if change.news is News.INTERVAL:
            return shows_hours(change.before.hours, change.after.hours, tick)
        contract = (self._live.engine.catalog.contracts or {}).get(change.symbol)
        return contract is not None and shows_gone(contract.contract_type, tick)

    def _taught(self) -> dict[str, int]:
        """The hours that the steps of T taught, by symbol."""
        return {
            symbol: memory.observed_interval // HOUR
            for symbol, memory in self._live.engine.symbols.items()
            if memory.observed_interval >= HOUR
        }

    def _newest(self, symbol: str) -> Tick | None:
        """A symbol's newest row, where it is fresh."""
        engine = self._live.engine
        memory = engine.symbols.get(symbol)
        if memory is None or engine.clock - memory.tick.event_time > engine.stale_after:
            return None
        return memory.tick

    async def _judge(self, taken: TakenCatalog, now: float) -> None:
        said = frozenset(map(str, taken.problems)) | frozenset(taken.doubts.values())
        lacking = self._contracts.kept | self._funding.kept
        if lacking:
            said |= {"without " + ", ".join(sorted(lacking)[:SHOWN])}
        waiting = self._gone.waiting | self._intervals.waiting
        if waiting:
            said |= {"said once, to be confirmed: " + ", ".join(sorted(waiting)[:SHOWN])}
        for words in said - self._logged:
            _log.warning("The catalog: %s", words, extra={"action": "catalog_failed"})
        self._logged = said
        self._sound = (self._sound - taken.came) | (taken.came - taken.doubts.keys())
        if taken.doubts:
            doubts = tuple(taken.doubts.values())
            await self._live.fault(CATALOG_DOUBTED, partial(texts.catalog_doubted, doubts))
        elif self._sound == set(HALVES):
            await self._live.fault_over(CATALOG_DOUBTED, texts.catalog_believed)
        if not taken.doubts and not taken.problems:
            self.taken_at = now
            await self._live.fault_over(NO_CATALOG, texts.catalog_there)

    async def _replace(self, taken: TakenCatalog) -> None:
        engine, text = self._live.engine, catalog_text(taken.catalog)
        if text == catalog_text(engine.catalog):
            return
        changes = catalog_changes(engine.catalog, taken.catalog, self._taught())
        for change in changes:
            _log.info("%s: %s", change.symbol, change, extra={"action": "catalog_changed"})
        wall = self._live.wall()
        rows = catalog_notices(changes, engine, taken.catalog, self._live.desk, wall)
        await self._live.replace_catalog(taken.catalog, {CATALOG: text}, rows)
        self._changed()
