"""The composition root: builds everything in order, runs it, tears it down in reverse."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any, TextIO

from bot import __version__
from bot.app import texts
from bot.app.chats import NotifierChats, NotifierFaults
from bot.app.copying import Copying
from bot.app.faults import FAULTS, Faults
from bot.app.journal import NO_JOURNAL
from bot.app.live import CLAIM_CODE, Live
from bot.app.pages import Figures
from bot.app.parts import Parts
from bot.app.recorder import KEY
from bot.app.reports import Reports
from bot.app.rules_source import (
    CREATED,
    LAST_GOOD,
    SYMBOLS,
    Start,
    created_text,
    symbol_notices,
)
from bot.app.rules_source import FAULT as RULES
from bot.app.sending_clock import SENDING_AT, SendingClock, machine_time
from bot.app.start import (
    UNREACHABLE,
    CannotStartError,
    first_rules,
    open_recorder,
    open_store,
    restore_desk,
    restore_storms,
    restored,
    restored_engine,
)
from bot.app.storms import Storms
from bot.app.talk import Talk, new_claim_code
from bot.app.venue import Venue
from bot.app.vitals import Vitals
from bot.app.wiring import Wiring, wiring_of
from bot.app.world import LiveWorld
from bot.market.clock import VenueClock
from bot.market.rest import MarketRest
from bot.market.stream import MarketStream
from bot.notify.bot_api import BotApi, TokenRefusedError
from bot.notify.channel import Outcome, Written
from bot.notify.notifier import Notifier
from bot.notify.payload import decode_payload
from bot.notify.scheduler import Job, Scheduler
from bot.ops.health import HealthServer
from bot.ops.heartbeat import Heartbeat
from bot.ops.judgement import ready
from bot.ops.metrics import build_metrics
from bot.settings import Settings
from bot.store.records import OutboxRow, Saved

STOP_WITHIN = 3.0  # s for sending what is due at the end
KEEP_EVERY = 5.0  # s between heartbeats in the database
CATALOG_EVERY = 120.0  # s
RULES_EVERY = 2.0  # s between looks at the rules file
DAY = 86_400_000  # ms
OUTBOX_KEPT = 30 * DAY
SAMPLES_KEPT = 2 * DAY  # the longest window is one
_log = logging.getLogger(__name__)


async def run_bot(settings: Settings, stop: asyncio.Event, out: TextIO) -> None:
    """Runs until asked to stop.

    Raises:
        CannotStartError: with its exit code.
    """
    token = settings.telegram_token
    api = BotApi(token.get_secret_value(), settings.telegram_api_url) if token else None
    async with contextlib.AsyncExitStack() as stack:
        if api is not None:
            stack.push_async_callback(api.close)
        else:
            out.write("No TELEGRAM_TOKEN is set: alerts are printed here.\n")
            out.flush()
        recorder = await open_recorder(stack, settings.record)
        wiring = wiring_of(settings, api, out, recorder)
        program = await stack.enter_async_context(build(wiring))
        await program.run(stop)


@contextlib.asynccontextmanager
async def build(wiring: Wiring) -> AsyncIterator["Program"]:
    """A program that is ready to run; whatever it opened is closed in reverse.

    Raises:
        CannotStartError: the database, the rules file or the token cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        saved = await open_store(wiring.store)
        stack.push_async_callback(wiring.store.close)
        start = first_rules(wiring.source, saved)
        rest = await stack.enter_async_context(MarketRest(wiring.rest_root, wall=wiring.wall))
        heartbeat = await stack.enter_async_context(Heartbeat(wiring.heartbeat_url))
        program = Program(wiring, saved, start, rest, heartbeat)
        await restore_storms(program.storms, saved.facts)
        del saved  # after a storm it is large, and this frame lives as long as the program
        yield program


class Program:
    """Everything of one run, wired."""

    def __init__(
        self, wiring: Wiring, saved: Saved, start: Start, rest: MarketRest, heartbeat: Heartbeat
    ) -> None:
        desk, store = wiring.desk, wiring.store
        wall = self.wall = SendingClock(int(saved.facts.get(SENDING_AT, "0")))
        restore_desk(desk, saved, start.file, machine_time())
        self.wiring = wiring
        self.clock = VenueClock(machine_time(), time.monotonic())
        self.stream = MarketStream(
            wiring.stream,
            [],
            wall=lambda: int(wiring.wall() * 1_000_000),
            keep_frames=wiring.recorder is not None,
        )
        self.engine = restored_engine(desk, saved, wiring.stale_after)
        self.faults = Faults(desk.admin_readers)
        self.faults.restore(saved.facts.get(FAULTS, ""))
        reports = self.reports = Reports(self.faults, wall)
        journal = wiring.recorder or NO_JOURNAL
        parts = Parts(self.engine, store, desk, self.faults, build_metrics(__version__), journal)
        self.storms = Storms(parts, now=self.now, wall=wall)
        self.notifier = Notifier(
            store,
            wiring.channel,
            NotifierChats(desk, self.engine, self._move_chat),
            NotifierFaults(reports.begin, reports.end, reports.happened),
            wall,
            wiring.notifier,
            self.storms,
        )
        reports.answered = self.notifier.server_is_back
        self.live = Live(
            parts,
            now=self.now,
            wall=wall,
            wake=self._stored,
            say_unrecorded=self._say_unrecorded,
            gathering=self.notifier.gathering,
        )
        self.live.ends.restore(saved.facts)
        self.live.pause_notices.restore(saved.facts)
        self.vitals = Vitals(
            self.engine,
            self.faults,
            self.stream,
            self.notifier,
            now=self.now,
            is_telegram=wiring.api is not None,
        )
        self.copying: Copying | None = None
        if wiring.second is not None:
            self.copying = self.vitals.copying = Copying(
                store, self.live, wiring.second, wiring.copying, lambda: self.vitals.reached_age
            )
            self.copying.restore(saved.facts)
        self.world = LiveWorld(self.engine, desk, self.faults, now=self.now, vitals=self.vitals)
        self.venue = Venue(self.live, self.world, self.stream, rest, self.clock)
        self._alias_key = saved.facts.get(KEY) or secrets.token_hex(16)
        if wiring.recorder is not None:
            wiring.recorder.told = reports.recording
            wiring.recorder.start(self.engine, restored(saved), self._alias_key)
            self.vitals.recorder = wiring.recorder
        self.vitals.catalog_at = lambda: self.venue.catalog.taken_at
        self.vitals.by_rest = lambda: self.venue.second.by_rest
        self.heartbeat = heartbeat
        self.figures = Figures(
            parts, self.vitals, self.notifier, heartbeat, lambda: self.venue.rejected
        )
        self.scheduler = Scheduler()
        self._start = start
        self._health: HealthServer | None = None
        self._catalog_tried = asyncio.Event()
        self.venue.follow_rules()
        self._beside: set[asyncio.Future[Outcome]] = set()

    def now(self) -> int:
        """The venue's clock, ms."""
        return self.clock.now(time.monotonic())

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop` is set.

        Raises:
            CannotStartError: Telegram refuses the token.
        """
        await self.live.begin()
        await self.notifier.start()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for work in self._works()]
                await stop.wait()
                for task in tasks:
                    task.cancel()
        except* TokenRefusedError as refused:
            raise CannotStartError(str(refused.exceptions[0]), UNREACHABLE) from None
        finally:
            await self._end()

    def _works(self) -> list[Coroutine[Any, Any, None]]:
        venue, api = self.venue, self.wiring.api
        works = [
            self._begin(),
            _lasting("stream", self.stream.run),
            _lasting("rows", self._take_rows),
            _lasting("catalog", venue.catalog.refresh_when_asked),
            _lasting("second source", venue.second.run),
            _lasting("time", venue.ask_time_when_doubted),
        ]
        if api is not None:
            talk = Talk(
                api, self.live, self.world, venue, self.wiring.store, self.storms,
                self.reports.polling,
            )  # fmt: skip
            self.vitals.polled = lambda: talk.router.last_answer
            self.vitals.read = lambda: talk.router.last_poll
            works += [talk.introduce(), _lasting("commands", talk.router.run)]
        return works

    async def _take_rows(self) -> None:
        """Rows wait for the catalog: a rate per 8 h means nothing without its interval."""
        await self._catalog_tried.wait()
        await self.venue.consume()

    async def _begin(self) -> None:
        rules = len(self.live.desk.book.rules)
        _log.info("fundingbot %s starts with %d rules and watches", __version__, rules)
        await self._say_start()
        self._schedule()
        if self.wiring.address is not None:
            self._health = HealthServer(*self.wiring.address, self.figures.pages())
            await self._health.start()
        await self.venue.first_catalog()
        self.venue.follow_rules()
        self._catalog_tried.set()
        await self._say_unknown_symbols()

    def _schedule(self) -> None:
        jobs: dict[str, tuple[float, Job]] = {
            "drain": (1.0, self.notifier.drain),
            "clock": (1.0, self._each_second),
            "keep": (KEEP_EVERY, self.venue.keep),
            "mutes": (5.0, self.live.end_mutes),
            "rules": (RULES_EVERY, self._look_at_rules),
            "catalog": (CATALOG_EVERY, self.venue.refresh_catalog),
            "figures": (5.0, self.figures.take),
            "heartbeat": (1.0, self._beat),
            "pauses": (5.0, self.storms.keep_counts),
            "summaries": (30.0, self.storms.sum_up),
            "retention": (3600.0, self._prune),
        }
        if self.copying is not None:
            jobs["second channel"] = (1.0, self.copying.look)
        for name, (seconds, job) in jobs.items():
            self.scheduler.add(name, seconds, job)
        self.scheduler.start()

    async def _say_start(self) -> None:
        """What an admin must know of this start, and what the next one must.

        It comes before any wait: a kill must find the good copy of the rules stored.
        """
        facts = {CREATED: created_text(self.live.desk.book.file_rules), KEY: self._alias_key}
        if self._start.text is not None:
            facts[LAST_GOOD] = self._start.text
        code = new_claim_code(self.live)
        notices = []
        if self._start.problems:
            text = partial(texts.rules_refused, self._start.problems)
            notices = self.faults.begin(RULES, text, self.wall())
        await self.live.note(notices, facts | code)
        if code:
            _log.warning("Nobody is admin yet: send /start %s to the bot", code[CLAIM_CODE])

    async def _say_unknown_symbols(self) -> None:
        """The names of the rules file that do not trade, as far as the catalog is known."""
        source = self.wiring.source
        symbols, fact = symbol_notices(
            self._start.file, self.live, source.path, source.said_symbols
        )
        source.said_symbols = fact[SYMBOLS]
        await self.live.note(symbols, fact)

    async def _end(self) -> None:
        """What is decided is stored, what is due is sent, as far as the time allows."""
        self.scheduler.stop()
        if self._health is not None:
            await self._health.close()
        if self.copying is not None:
            await self.copying.close()
        await self.venue.keep()
        await self.notifier.stop(STOP_WITHIN)

    async def _each_second(self) -> None:
        await self.venue.heartbeat()
        self.vitals.turned()
        await self.venue.watch_feed()
        if reported := self.reports.take():
            await self.live.note(reported)

    def _stored(self) -> None:
        """A part of a storm is as good a sign of life as time that passes."""
        self.vitals.turned()
        self.notifier.wake()

    async def _look_at_rules(self) -> None:
        seen = await asyncio.to_thread(self.wiring.source.changed)
        if seen is not None:
            await self.wiring.source.reload(seen, self.live)
            self.venue.follow_rules()

    async def _prune(self) -> None:
        await self.wiring.store.prune(self.wall() - OUTBOX_KEPT, self.now() - SAMPLES_KEPT)

    async def _beat(self) -> None:
        await self.heartbeat.beat(healthy=ready(self.vitals.work()).ok)

    async def _move_chat(self, old: int, new: int) -> None:
        await self.live.move_chat(old, new)

    def _say_unrecorded(self, row: OutboxRow) -> None:
        """Sends beside everything else: the engine does not wait for it."""
        payload = decode_payload(row)
        assert isinstance(payload, Written)
        work = self.wiring.channel.send(row.chat_id, row.topic, payload)
        task = asyncio.ensure_future(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)


async def _lasting(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Work that never ends by itself: a fault of ours in it is logged, and it begins anew."""
    while True:
        try:
            await work()
        except TokenRefusedError:
            raise
        except Exception:  # noqa: BLE001 - logged; the work goes on
            _log.exception("%s failed and begins anew", name, extra={"action": "begun_anew"})
        await asyncio.sleep(1.0)
