"""The sending half of the program alone: a store, the notifier, the Bot API, a strict Telegram."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from bot.notify.bot_api import BotApi
from bot.notify.item import Reader
from bot.notify.notifier import Notifier, Settings
from bot.store.records import ChatRow, Commit, OutboxRow
from bot.store.sql import SqlStore
from tests.doubles.telegram import TelegramDouble


@dataclass
class Quiet:
    """Chats that nobody has settings for; what is said of faults is kept in order."""

    faults: list[tuple[str, str]] = field(default_factory=list)  # (kind, text; "" where it ended)
    on: set[tuple[str, str, int]] = field(default_factory=set)

    def reader(self, chat_id: int) -> Reader:
        return Reader()

    def row(self, chat_id: int) -> ChatRow:
        return ChatRow(chat_id)

    def changed(self, row: ChatRow) -> None:
        """Its `not_before` is the store's business."""

    async def move(self, old: int, new: int) -> None:
        raise AssertionError(old, new)

    def is_on(self, rule_id: str, symbol: str, episode: int) -> bool:
        return (rule_id, symbol, episode) in self.on

    def raised(self, kind: str, text: str) -> None:
        if kind not in self.present:
            self.faults.append((kind, text))

    def cleared(self, kind: str) -> None:
        if kind in self.present:
            self.faults.append((kind, ""))

    @property
    def present(self) -> set[str]:
        """The kinds that were raised and not cleared since."""
        return {kind for kind, text in dict(self.faults).items() if text}


def wall() -> int:
    """Epoch ms."""
    return time.time_ns() // 1_000_000


@dataclass
class Office:
    """One life of the sending half. Its notifier drains each second of the real clock."""

    store: SqlStore
    notifier: Notifier
    quiet: Quiet

    async def commit(self, *rows: OutboxRow) -> float:
        """Stores rows and wakes the notifier; when it was stored (monotonic s)."""
        await self.store.commit(Commit(outbox=rows))
        at = time.monotonic()
        self.notifier.wake()
        return at

    async def drained(self, within: float) -> None:
        async with asyncio.timeout(within):
            while await self.store.pending():  # noqa: ASYNC110 - a database rings no bell
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def an_office(
    folder: Path,
    telegram: TelegramDouble,
    settings: Settings | None = None,
    clock: Callable[[], int] = wall,
) -> AsyncIterator[Office]:
    """A start and an end as sudden as a kill: what is under way is cut off."""
    store, quiet = SqlStore(f"sqlite:///{folder}/bot.db"), Quiet()
    await store.open()
    api = BotApi(telegram.token, telegram.url)
    notifier = Notifier(store, api, quiet, quiet, clock, settings)
    await notifier.start()
    ticking = asyncio.create_task(_tick(notifier))
    try:
        yield Office(store, notifier, quiet)
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        await notifier.stop(0)
        await api.close()
        await store.close()


async def _tick(notifier: Notifier) -> None:
    """The scheduler's second."""
    while True:
        await notifier.drain()
        await asyncio.sleep(1)
