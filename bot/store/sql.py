"""The store on a database: every method is one transaction in one writer thread."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from msgspec import MsgspecError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from bot.store import delivering, looking, saving
from bot.store.dialect import Database, database
from bot.store.migrate import migrate
from bot.store.port import StoreError
from bot.store.records import (
    ChatRow,
    Commit,
    Committed,
    Copied,
    Firing,
    OutboxRow,
    OutboxStatus,
    RecentSend,
    Saved,
)
from bot.store.transaction import Transaction, check_writable

_Result = TypeVar("_Result")


class SqlStore:
    """A `Store` on SQLite: `sqlite:////absolute/file.db` or `sqlite:///relative.db`.

    One thread owns the one connection, so that a transaction is never spread over awaits:
    cancelling a caller neither leaves one open nor undoes it. What had been asked for before a
    cancel is done all the same, but a lease that reached nobody is taken back.

    Raises:
        StoreError: the URL names no database that is known.
    """

    def __init__(self, url: str | Database) -> None:
        self._database = database(url) if isinstance(url, str) else url
        self._thread: ThreadPoolExecutor | None = None
        self._engine: Engine | None = None
        self._done: Counter[OutboxStatus] = Counter()  # rows that are sent or dead

    async def open(self) -> None:
        if self._thread is not None:
            raise StoreError(f"The database {self._database.name} is open already")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        try:
            await self._submit(self._open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            done = asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=False)
            await asyncio.shield(done)

    async def load(self) -> Saved:
        return await self._run(saving.load)

    async def commit(self, commit: Commit) -> Committed:
        return await self._run(saving.commit, commit)

    async def lease(
        self, now: int, until: int, limit: int, busy_chats: frozenset[int] = frozenset()
    ) -> Sequence[OutboxRow]:
        claimed: list[tuple[OutboxRow, OutboxRow]] = []

        def work(transaction: Transaction) -> None:
            claimed.extend(delivering.lease(transaction, now, until, limit, busy_chats))

        try:
            await self._run(work)
        except asyncio.CancelledError:
            self._later(delivering.unlease, claimed)
            raise
        return [after for _, after in claimed]

    async def settle(
        self,
        rows: Sequence[OutboxRow],
        chats: Sequence[ChatRow] = (),
        added: Sequence[OutboxRow] = (),
    ) -> int:
        return await self._run(delivering.settle, rows, chats, added)

    async def late_rows(self, chat_id: int, now: int, before: int) -> list[OutboxRow]:
        return await self._run(looking.late_rows, chat_id, now, before)

    async def bury(
        self, rows: Sequence[OutboxRow], reason: str, added: Sequence[OutboxRow] = ()
    ) -> int:
        return await self._run(delivering.bury, rows, reason, added)

    async def hasten(self, now: int) -> None:
        await self._run(delivering.hasten, now)

    async def recent_sends(self, since: int) -> list[RecentSend]:
        return await self._run(looking.recent_sends, since)

    async def firings(self, since: int) -> list[Firing]:
        return await self._run(looking.firings, since)

    async def flapping_rows(self, before: int) -> list[OutboxRow]:
        return await self._run(looking.flapping_rows, before)

    async def held_counts(self) -> dict[tuple[int, str], int]:
        return await self._run(looking.held_counts)

    async def row_of(self, key: str) -> OutboxRow | None:
        return await self._run(looking.row_of, key)

    async def uncopied(self, chat_ids: Sequence[int], limit: int) -> list[OutboxRow]:
        return await self._run(looking.uncopied, chat_ids, limit)

    async def mark_copied(self, ids: Sequence[int], copied: Copied) -> None:
        await self._run(delivering.mark_copied, ids, copied)

    async def chat_rows(
        self, chat_id: int, rule_id: str, symbol: str, episode: int
    ) -> list[OutboxRow]:
        return await self._run(looking.chat_rows, chat_id, rule_id, symbol, episode)

    async def episode_rows(self, rule_id: str, symbol: str, episode: int) -> list[OutboxRow]:
        return await self._run(looking.episode_rows, rule_id, symbol, episode)

    async def message_rows(self, chat_id: int, row_id: int) -> list[OutboxRow]:
        return await self._run(looking.message_rows, chat_id, row_id)

    async def pending(self, chat_id: int | None = None) -> int:
        return await self._run(looking.pending, chat_id)

    async def outbox_counts(self) -> dict[OutboxStatus, int]:
        def work(transaction: Transaction) -> dict[OutboxStatus, int]:
            counts = looking.unsent_counts(transaction) + self._done
            return {status: counts[status] for status in OutboxStatus}

        return await self._run(work)

    async def next_due(self, now: int) -> int | None:
        return await self._run(looking.next_due, now)

    async def prune(self, before: int, samples_before: int | None = None) -> int:
        limit = before if samples_before is None else samples_before
        return await self._run(saving.prune, before, limit)

    async def move_chat(self, old: int, new: int) -> dict[str, str]:
        return await self._run(saving.move_chat, old, new)

    async def _run(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        return await self._submit(self._transact, work, *arguments)

    async def _submit(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        """Runs it in the thread, to its end also where the caller is cancelled."""
        if self._thread is None:
            raise StoreError(f"The database {self._database.name} is not open")
        done = asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        done.add_done_callback(_seen)
        return await asyncio.shield(done)

    def _later(self, work: Callable[..., None], *arguments: Any) -> None:
        """Runs it after what is under way; nobody waits for it or hears of its failure."""
        if self._thread is not None:
            self._thread.submit(self._transact, work, *arguments)

    # What follows runs in the writer thread.

    def _open(self) -> None:
        self._database.acquire()
        self._engine = self._database.engine()
        self._transact(self._prepare)

    def _prepare(self, transaction: Transaction) -> None:
        migrate(transaction.connection, self._database.name)
        check_writable(transaction)
        self._done = looking.done_counts(transaction)
        if self._database.exclusive:
            delivering.abandon_leases(transaction)

    def _close(self) -> None:
        try:
            if self._engine is not None:
                self._engine.dispose()
        finally:
            self._engine = None
            self._database.release()

    def _transact(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        assert self._engine is not None
        try:
            with self._engine.begin() as connection:
                transaction = Transaction(connection, self._database)
                result = work(transaction, *arguments)
        except (SQLAlchemyError, MsgspecError) as error:
            raise StoreError(self._database.words(error)) from error
        self._done.update(transaction.done)
        return result


def _seen(done: asyncio.Future[Any]) -> None:
    """A failure that nobody waits for any more is no fault of ours that asyncio should report."""
    if not done.cancelled():
        done.exception()
