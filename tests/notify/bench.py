"""A notifier on a store in memory, and what tests do around it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from bot.alerts.event import Event
from bot.notify.bot_api import BotApi
from bot.notify.channel import Doubtful, Later, Outcome, Sent, TopicGone, Unparsable, Written
from bot.notify.item import Reader
from bot.notify.notifier import Notifier, Settings
from bot.notify.pacing import Limits
from bot.notify.payload import outbox_row_for
from bot.notify.port import NO_STORMS, Storms
from bot.rules.rule import Target
from bot.store.memory import MemoryStore
from bot.store.port import Store
from bot.store.records import ChatRow, Commit, OutboxRow
from tests.doubles.telegram import TelegramDouble

QUICK = Limits(per_chat=0.05, overall=1_000.0)
START = 1_000_000


class Surroundings:
    """Chats, faults and clock, kept in plain fields."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rows: dict[int, ChatRow] = {}
        self.moves: list[tuple[int, int]] = []
        self.on: set[tuple[str, str, int]] = set()  # rule, symbol, episode
        self.faults: dict[str, str] = {}
        self.said: list[str] = []  # of faults, whatever became of them
        self.skipped = 0  # ms added to the clock
        self.began = time.monotonic()

    def reader(self, chat_id: int) -> Reader:
        row = self.row(chat_id)
        return Reader(row.language, row.timezone)

    def row(self, chat_id: int) -> ChatRow:
        return self.rows.get(chat_id, ChatRow(chat_id))

    def changed(self, row: ChatRow) -> None:
        self.rows[row.chat_id] = row

    async def move(self, old: int, new: int) -> None:
        self.moves.append((old, new))
        await self.store.move_chat(old, new)

    def is_on(self, rule_id: str, symbol: str, episode: int) -> bool:
        return (rule_id, symbol, episode) in self.on

    def raised(self, kind: str, text: str) -> None:
        self.faults[kind] = text
        self.said.append(text)

    def cleared(self, kind: str) -> None:
        self.faults.pop(kind, None)

    def now(self) -> int:
        return START + self.skipped + round((time.monotonic() - self.began) * 1000)


class Bench:
    """A notifier at work, and what a test does around it."""

    def __init__(self, telegram: TelegramDouble, store: Store, settings: Settings) -> None:
        self.telegram = telegram
        self.store = store
        self.around = Surroundings(store)
        self.api = BotApi(telegram.token, telegram.url, read_timeout=20, connect_timeout=20)
        self.notifier = Notifier(
            store, self.api, self.around, self.around, self.around.now, settings
        )

    async def tell(self, *rows: OutboxRow) -> None:
        await self.store.commit(Commit(outbox=rows))
        self.notifier.wake()

    def alert(self, made: Event, chat_id: int = 7, topic: int | None = None) -> OutboxRow:
        return outbox_row_for(made, Target(chat_id, topic), self.around.now())

    async def rows(self) -> list[OutboxRow]:
        assert isinstance(self.store, MemoryStore)
        return sorted(self.store._outbox.rows.values(), key=lambda row: row.id)

    async def until(self, predicate: Callable[[], object], seconds: float = 30.0) -> None:
        """Ticks, as the scheduler does, until it holds."""
        deadline = time.monotonic() + seconds
        while not predicate():
            assert time.monotonic() < deadline, [one.text for one in self.telegram.messages]
            await self.notifier.drain()
            await asyncio.sleep(0.01)

    async def settled(self) -> None:
        deadline = time.monotonic() + 30
        while await self.store.pending():
            assert time.monotonic() < deadline, [one.text for one in self.telegram.messages]
            await self.notifier.drain()
            await asyncio.sleep(0.01)


class Wire:
    """A channel in memory: what becomes of each request is scripted, without a script it arrives.

    An outcome's name followed by "+" arrives all the same.
    """

    def __init__(self, *script: str) -> None:
        self.script = list(script)
        self.mode = ""  # what befalls a request when the script is over
        self.requests: list[tuple[Written, str]] = []
        self.arrived: list[tuple[int, int | None, Written]] = []
        self.under_way = 0
        self.most = 0

    async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        name = self.script.pop(0) if self.script else self.mode
        self.requests.append((written, name.rstrip("+")))
        if not name or name.endswith("+"):
            self.arrived.append((chat_id, topic, written))
        return self._outcomes[name.rstrip("+")]

    @property
    def _outcomes(self) -> dict[str, Outcome]:
        return {
            "": Sent(len(self.arrived)),
            "doubtful": Doubtful("no answer"),
            "later": Later("refused"),
            "unparsable": Unparsable("can't parse entities"),
            "topic gone": TopicGone("message thread not found"),
        }


class Desk:
    """A notifier on a wire, with a clock that jumps over what it would have to wait for."""

    def __init__(self, wire: Wire, store: MemoryStore | None = None, **settings: Any) -> None:
        self.wire = wire
        self.store = store or MemoryStore()
        self.around = Surroundings(self.store)
        limits = Limits(per_chat=0.0, group_count=10_000, overall=10_000.0)
        self.settings = Settings(**({"limits": limits} | settings))
        self.notifier = self.started()

    def started(self, storms: Storms = NO_STORMS) -> Notifier:
        """A notifier on the same store, as the next start has one."""
        around = self.around
        self.notifier = Notifier(
            self.store, self.wire, around, around, around.now, self.settings, storms
        )
        return self.notifier

    def alert(self, made: Event, chat_id: int = 7, topic: int | None = None) -> OutboxRow:
        return outbox_row_for(made, Target(chat_id, topic), self.around.now())

    async def tell(self, *rows: OutboxRow) -> None:
        await self.store.commit(Commit(outbox=rows))

    async def turn(self) -> None:
        """What can be told now is, and written back."""
        await self.notifier.drain()
        while self.notifier._under_way or self.notifier._ready:
            await asyncio.sleep(0)
            await self.notifier.drain()

    async def settled(self, turns: int = 200) -> None:
        """Until nothing waits, with the time that takes."""
        for _ in range(turns):
            await self.turn()
            due = await self.store.next_due(self.around.now())
            if due is None:
                return
            self.skip(max(due - self.around.now(), 1_000))
        raise AssertionError(await self.rows())

    def skip(self, milliseconds: int) -> None:
        """Time passes, also for who judges a server that is down."""
        self.around.skipped += milliseconds
        self.notifier._try_at -= milliseconds / 1000
        self.notifier.delivery.outage.skip(milliseconds / 1000)

    async def rows(self) -> list[OutboxRow]:
        return sorted(self.store._outbox.rows.values(), key=lambda row: row.id)
