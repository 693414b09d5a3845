"""What tests of the database share: everything at once, and ways in behind the store's back."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection

from bot.alerts.lifecycle import Phase, State
from bot.store.records import (
    ChatRow,
    Commit,
    Sample,
    SavedState,
    Watch,
)
from bot.store.sql import SqlStore
from bot.store.transaction import Transaction
from tests.store.build import KEY, row

EVERYTHING = Commit(
    states=(SavedState(KEY, State(phase=Phase.FIRING, since=5, sides=(1, None))),),
    samples=(Sample("BTCUSDT", "mark", 60_000, "28000.5"),),
    watches=(Watch(7, None, 1, "BTCUSDT rate > 0", 1, 99),),
    chats=(ChatRow(7, title="me", not_before=5),),
    facts={"heartbeat": "1"},
    outbox=(row(key="first"), row(key="second")),
    update_id=1,
)


def ask(store: SqlStore, question: Callable[[Connection], object]) -> "asyncio.Task[object]":
    """Asks in the writer thread, inside a transaction of the store's."""

    def work(transaction: Transaction) -> object:
        return question(transaction.connection)

    return asyncio.create_task(store._run(work))


def script(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
