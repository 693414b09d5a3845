"""The market by REST: it brings what the stream does not, and is compared with what it does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

from bot.alerts.engine import Engine
from bot.app import venue_texts as texts
from bot.app.faults import SOURCES
from bot.app.live import Live
from bot.market.ask_plan import AskPlan, repeat_within
from bot.market.clock import VenueClock
from bot.market.crosscheck import Difference, Verdict, compare_sources
from bot.market.rest import MarketRest, RestError
from bot.market.stream import MarketStream
from bot.market.tick import Tick

# s: the stream brings a symbol whose newest row came so lately, however old that row is; streams
# send every third second at least.
BROUGHT = 10.0
SET_BACK = 10_000  # ms: a row further ahead of the clock is from before the clock was set back
OLDEST_SEED = 30_000  # ms behind the clock: an older row of REST makes nothing fresh
AHEAD = 2_000  # ms by which REST may lead the clock of a stream that flows
# ms where nothing flows: the clock is REST's own then, and one answer may be slower than the next.
AHEAD_ALONE = 10_000
QUOTE_WITHIN = 3.0  # s, for a person who waits
LOOK_EVERY = 1.0  # s
FRUITLESS = 60.0  # s for which a symbol that REST does not know either is not asked for
QUOTES_FOR = 10.0  # s for which a look at the whole market is good enough for another one
_log = logging.getLogger(__name__)


class SecondSource:
    """Asks premiumIndex when it is due. The stream is the first truth: it always wins."""

    def __init__(
        self,
        live: Live,
        stream: MarketStream,
        rest: MarketRest,
        clock: VenueClock,
        seed: Callable[[Sequence[Tick]], Awaitable[None]],
        monotonic: Callable[[], float],
    ) -> None:
        """`seed` takes ticks that were not in the stream; `monotonic` tells seconds."""
        self.wanted: frozenset[str] | None = frozenset()  # symbols of the rules; None: all
        self.ready = asyncio.Event()  # rows are taken: before, a catalog may still be missing
        self.quotes: Mapping[str, Tick] = {}  # the market as it was last seen by REST
        self._live = live
        self._stream = stream
        self._rest = rest
        self._clock = clock
        self._seed = seed
        self._monotonic = monotonic
        self._plan = AskPlan(monotonic(), repeat_within(live.engine.stale_after))
        self._asking = asyncio.Lock()
        self._streamed: dict[str, Tick] = {}  # the stream's newest row of each symbol
        self._came: dict[str, float] = {}  # when it came, monotonic s
        self._seeded: dict[str, Tick] = {}
        self._fruitless: dict[str, float] = {}  # by symbol: until when (monotonic s)
        self._differing: tuple[str, ...] = ()  # symbols, at the last comparison
        self._trusted = True
        self._failing = False
        self._quoted_at = float("-inf")
        self._reopened_at: float | None = None

    @property
    def by_rest(self) -> frozenset[str]:
        """The symbols whose present values came by REST."""
        symbols = self._engine.symbols
        return frozenset(
            symbol
            for symbol, tick in self._seeded.items()
            if (memory := symbols.get(symbol)) is not None and memory.tick is tick
        )

    @property
    def _engine(self) -> Engine:
        return self._live.engine

    def heard(self, ticks: Iterable[Tick]) -> None:
        """Rows of the stream that were admitted; one that is not newer than the last tells nothing.

        What is ahead of the clock counts as no last one: the clock was set back since.
        """
        now = self._monotonic()
        latest = self._clock.now(now) + SET_BACK
        for tick in ticks:
            held = self._streamed.get(tick.symbol)
            if held is None or tick.event_time > held.event_time or held.event_time > latest:
                self._streamed[tick.symbol] = tick
                self._came[tick.symbol] = now

    async def run(self) -> None:
        """Looks each second whether to ask, for ever; what goes wrong once does not end it."""
        await self.ready.wait()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - logged; it looks again
                _log.exception("The second source failed", extra={"action": "rest_failed"})

    async def look(self) -> None:
        """Asks if that is due."""
        status, now = self._stream.status(), self._monotonic()
        if status.reconnected_at != self._reopened_at:
            self._reopened_at = status.reconnected_at
            self._plan.reopened(now)
        lacking = bool(self._lacking(now, self.by_rest))
        if self._plan.is_due(now, status.last_row, lacking=lacking):
            await self._ask()

    async def quote(self) -> None:
        """Looks at the whole market for people, unless that was done just now."""
        try:
            async with asyncio.timeout(QUOTE_WITHIN), self._asking:
                if self._monotonic() - self._quoted_at >= QUOTES_FOR:
                    await self._fetch()
        except RestError as error:
            _log.warning("No quotes: %s", error, extra={"action": "rest_failed"})
        except TimeoutError:
            _log.warning("No quotes in time", extra={"action": "rest_failed"})

    async def _ask(self) -> None:
        async with self._asking:
            try:
                rows = await self._fetch()
            except RestError as error:
                level = logging.DEBUG if self._failing else logging.WARNING
                _log.log(level, "No second source: %s", error, extra={"action": "rest_failed"})
                self._failing = True
                wait = error.retry_after or 0.0
                self._plan.failed(self._monotonic(), wait, sent=error.sent)
                return
        self._failing, now = False, self._monotonic()
        verdict = compare_sources(self._present(now), rows)
        if verdict.compared:
            self._trusted = verdict.trusts_rest
            await self._report(verdict)
        differs = bool(self._differing)
        told = self._live.faults.is_active(SOURCES)
        self._plan.answered(now, compared=bool(verdict.compared), differs=differs, told=told)
        await self._sow(rows, now)

    async def _fetch(self) -> dict[str, Tick]:
        rows = {tick.symbol: tick for tick in await self._rest.premium_index()}
        self.quotes, self._quoted_at = rows, self._monotonic()
        return rows

    async def _sow(self, rows: Mapping[str, Tick], now: float) -> None:
        """Gives the engine the values that the stream does not bring, where REST is trusted."""
        if not self._trusted:
            return
        lacking, seeds = self._lacking(now, self.by_rest), self._seeds(rows, now)
        if seeds:
            await self._seed(seeds)
        for tick in seeds:
            memory = self._engine.symbols.get(tick.symbol)
            if memory is not None and memory.tick.event_time == tick.event_time:
                self._seeded[tick.symbol] = memory.tick
        until = self._fruitless | dict.fromkeys(lacking, now + FRUITLESS)
        by_rest = self.by_rest
        self._fruitless = {s: at for s, at in until.items() if at > now and s not in by_rest}

    def _seeds(self, rows: Mapping[str, Tick], now: float) -> list[Tick]:
        """The rows of wanted symbols that the stream does not bring and that tell the present.

        None may lift the clock by much: that would make rows of the stream late, or repeated.
        """
        present, clock = self._present(now), self._clock.now(now)
        oldest, newest = clock - OLDEST_SEED, clock + (AHEAD if present else AHEAD_ALONE)
        return [
            tick
            for symbol in (rows if self.wanted is None else self.wanted)
            if (tick := rows.get(symbol)) is not None
            and symbol not in present
            and self._engine.catalog.trades(symbol) is not False
            and (not self._clock.started or oldest <= tick.event_time <= newest)
        ]

    def _present(self, now: float) -> dict[str, Tick]:
        """The newest row of each symbol that the stream brings."""
        since = now - BROUGHT
        return {s: tick for s, tick in self._streamed.items() if self._came[s] >= since}

    def _lacking(self, now: float, by_rest: frozenset[str]) -> set[str]:
        """The wanted symbols that trade and whose values are stale, or soon will be."""
        engine, clock = self._engine, self._clock.now(now)
        soon = self._plan.repeat * 1000 - 2_000
        lacking = set()
        for symbol in self._candidates():
            memory = engine.symbols.get(symbol)
            oldest = soon if symbol in by_rest else engine.stale_after
            if memory is None or clock - memory.tick.event_time > oldest:
                lacking.add(symbol)
        return {symbol for symbol in lacking if self._fruitless.get(symbol, now) <= now}

    def _candidates(self) -> Iterable[str]:
        catalog = self._engine.catalog
        if self.wanted is not None:
            return [symbol for symbol in self.wanted if catalog.trades(symbol) is not False]
        if catalog.contracts is not None:
            return [symbol for symbol, row in catalog.contracts.items() if row.trades]
        return list(self._engine.symbols)

    async def _report(self, verdict: Verdict) -> None:
        """Tells of a difference that was there twice; of one that is over, once."""
        for difference in verdict.differences:
            if difference.symbol not in self._differing:
                _log.warning("%s", _line(difference), extra={"action": "sources_differ"})
        lasts = any(each.symbol in self._differing for each in verdict.differences)
        self._differing = verdict.symbols
        if not verdict.differences:
            await self._live.fault_over(SOURCES, texts.sources_agree)
        elif lasts:
            told, whole = verdict.differences, verdict.compared
            text = partial(texts.sources_differ, told, whole, verdict.trusts_rest)
            await self._live.fault(SOURCES, text)


def _line(difference: Difference) -> str:
    return (
        f"{difference.symbol}: {difference.field} is {difference.stream} in the stream, "
        f"{difference.rest} by REST; the stream is used"
    )
