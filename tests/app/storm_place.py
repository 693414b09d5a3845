"""A program without its feed and its poll loop: what decides, records, tells and answers, timed."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from bot import __version__
from bot.app.chats import NotifierChats
from bot.app.desk import Desk
from bot.app.faults import Faults
from bot.app.live import Live
from bot.app.parts import Parts, Replacement
from bot.app.start import restore_desk, restored_engine
from bot.app.storms import Storms
from bot.chat.access import Access
from bot.chat.answer import Answer
from bot.chat.decide import decide
from bot.chat.request import read_update
from bot.notify.bot_api import BotApi
from bot.notify.notifier import Notifier, Settings
from bot.notify.pacing import Limits
from bot.ops.metrics import build_metrics
from bot.rules.book import Book
from bot.rules.rule import Rule, Target
from bot.rules.rules_file import RulesFile
from bot.store.port import Store
from bot.store.records import OutboxRow
from tests.alerts.build import START, rule, tick
from tests.chat.world import FakeWorld, message, query
from tests.doubles.telegram import Message, TelegramDouble

ADMIN = 7
HIGH, LOW = "0.002", "0.0001"
SECOND, MINUTE = 1_000, 60_000
OTHER, GROUP, TOPIC = 8, -100, 42
QUICK = Settings(limits=Limits(per_chat=0.001, overall=1_000.0, group_count=1_000))


@dataclass
class Clock:
    """One time for venue and outbox, in the test's hand (ms)."""

    at: int = START

    def __call__(self) -> int:
        return self.at


@dataclass
class Run:
    """From one start to its end."""

    store: Store
    telegram: TelegramDouble
    clock: Clock
    rules: Sequence[Rule]
    said: list[str] = field(default_factory=list)
    updates: int = 0

    async def start(self) -> None:
        saved = await self.store.load()
        self.desk = Desk([ADMIN])
        restore_desk(self.desk, saved, RulesFile(tuple(self.rules), {}, {}), self.clock())
        engine = restored_engine(self.desk, saved, 30 * SECOND)
        self.metrics = build_metrics(__version__)
        faults = Faults(self.desk.admin_readers)
        parts = Parts(engine, self.store, self.desk, faults, self.metrics)
        self.storms = Storms(parts, now=self.clock, wall=self.clock)
        await self.storms.restore(saved.facts)
        self.api = BotApi(self.telegram.token, self.telegram.url)
        self.notifier = Notifier(
            self.store,
            self.api,
            NotifierChats(self.desk, engine, self._move),
            _Loud(),
            self.clock,
            QUICK,
            self.storms,
        )
        self.live = Live(
            parts,
            now=self.clock,
            wall=self.clock,
            wake=self.notifier.wake,
            say_unrecorded=_never_unrecorded,
        )
        self.live.ends.restore(saved.facts)
        self.live.pause_notices.restore(saved.facts)
        await self.live.begin()

    async def stop(self) -> None:
        await self.notifier.stop(1)
        await self.api.close()

    async def row(self, symbol: str, rate: str, *, after: int = SECOND) -> None:
        """A row comes so long after the last one (ms), and what it tells is sent."""
        self.clock.at += after
        at = (self.clock.at - START) // 1_000
        await self.live.take([tick(at, rate, symbol)])
        await self.settled()

    async def settled(self) -> None:
        """Nothing waits that could be sent."""
        deadline = time.monotonic() + 20
        while await self.store.pending():
            assert time.monotonic() < deadline, self.telegram.messages
            await self.notifier.drain()
            await asyncio.sleep(0.002)

    async def replace(self, *rules: Rule) -> None:
        """Another rules file is taken."""
        await self.live.replace_rules(lambda: Replacement(Book.of(rules), {}))
        await self.settled()

    async def say(self, text: str, chat: int = ADMIN) -> Answer:
        return await self._act({"message": message(text, ADMIN, chat=chat)}, chat)

    async def press(self, under: Message, data: str) -> Answer:
        content = query(data, ADMIN, chat=under.chat_id)
        content["message"]["message_id"] = under.message_id
        return await self._act({"callback_query": content}, under.chat_id)

    async def _act(self, content: dict[str, object], chat: int) -> Answer:
        world = FakeWorld(rows=False)
        world.now = self.clock()
        world.chats = dict(self.desk.chats)
        world.on_hold[chat] = list(await self.storms.paused(chat))
        world.file_rules[chat] = [
            rule
            for rule in self.desk.book.rules
            if any(target.chat_id == chat for target in self.desk.targets(rule))
        ]
        self.updates += 1
        request = read_update({"update_id": self.clock.at + self.updates, **content})
        assert request is not None
        answer = decide(request, world, Access(frozenset({ADMIN})))
        await self.live.apply(request, answer, self.desk.chats.get(chat))
        await self.settled()
        return answer

    async def _move(self, old: int, new: int) -> None:
        await self.live.move_chat(old, new)


@asynccontextmanager
async def run(
    store: Store, telegram: TelegramDouble, clock: Clock, *rules: Rule
) -> AsyncIterator[Run]:
    made = Run(store, telegram, clock, rules)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def told_to(made: Rule, *targets: Target) -> Rule:
    return replace(made, targets=targets)


HOT = told_to(rule("rate > 0.1%", name="hot-longs", symbols="ALL", resolved=False), Target(ADMIN))
FLAPS = told_to(rule("rate > 0.1%", name="flaps", symbols="ALL"), Target(ADMIN))


def texts(telegram: TelegramDouble, chat_id: int = ADMIN) -> list[str]:
    return [message.text for message in telegram.to(chat_id)]


async def storm(made: Run, count: int, first: int = 0, *, after: int = SECOND) -> None:
    """So many symbols fire, one after the other."""
    for number in range(first, first + count):
        await made.row(f"S{number}USDT", HIGH, after=after)


async def flap(made: Run, times: int, *, symbol: str = "BTCUSDT", after: int = 30 * SECOND) -> None:
    """On and over, so many times."""
    for _ in range(times):
        await made.row(symbol, HIGH, after=after)
        await made.row(symbol, LOW, after=after)


async def pass_time(made: Run, duration: int) -> None:
    """Half minutes in which nothing happens but the summaries' job."""
    for _ in range(duration // (30 * SECOND)):
        made.clock.at += 30 * SECOND
        await made.storms.sum_up()
        await made.settled()


class _Loud:
    """Faults that no test of storms expects."""

    def raised(self, kind: str, text: str) -> None:
        raise AssertionError(f"{kind}: {text}")

    def cleared(self, kind: str) -> None:
        """Nothing was wrong."""


def _never_unrecorded(row: OutboxRow) -> None:
    raise AssertionError(row)
