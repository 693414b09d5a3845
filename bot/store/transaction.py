"""A transaction on the tables, and the plan of turns that every change of a queue keeps true."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    Connection,
    Executable,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    func,
    select,
    update,
)

from bot.store import order
from bot.store.dialect import Database, Row
from bot.store.records import ChatRow, OutboxRow, OutboxStatus
from bot.store.schema import chats, leased, outbox, turns, waiting

_Record = TypeVar("_Record", bound=msgspec.Struct)
_Item = TypeVar("_Item")
# Rows handled at a time, and values in one IN: what is on its way to the database stays small
# however large a commit is, and SQLite's limit of variables was 999 for long.
_CHUNK = 500
_STREAMED = 20  # rows read at a time where the reader may stop early

# Statements that every transaction needs are built once: it takes longer than to execute them.
_QUEUE = (
    select(outbox)
    .where(outbox.c.chat_id == bindparam("chat"), waiting())
    .order_by(outbox.c.lane, outbox.c.id)
)

# What an attempt can change of a row, and what a lease does.
OUTCOME = (
    "status", "topic", "payload", "attempts", "doubtful", "not_before", "lease_until",
    "message_id", "sent_at", "error", "held",
)  # fmt: skip
LEASE = ("status", "attempts", "doubtful", "lease_until")


@dataclass(frozen=True, slots=True)
class Transaction:
    """A connection in a transaction, and what its database does differently."""

    connection: Connection
    database: Database
    # By how much the rows that are done with have grown; whoever makes or removes such notes it.
    done: Counter[OutboxStatus] = field(default_factory=Counter)

    def rows(self, query: Select[Any], values: Row | None = None) -> Sequence[Any]:
        return self.connection.execute(query, values).all()

    def change(self, statement: Executable) -> int:
        """Executes it and says how many rows it changed."""
        return self.connection.execute(statement).rowcount

    def records(
        self, kind: type[_Record], query: Select[Any], values: Row | None = None
    ) -> list[_Record]:
        """Rows as records; columns carry the names of the record's fields."""
        return list(self.stream(kind, query, values))

    def stream(
        self,
        kind: type[_Record],
        query: Select[Any],
        values: Row | None = None,
        size: int = _CHUNK,
    ) -> Generator[_Record, None, None]:
        """Rows as records, read as they are asked for; to be closed before anything is written."""
        with self.connection.execute(query, values) as found:
            names = [str(name) for name in found.keys()]  # noqa: SIM118 - a result is no mapping
            for part in found.partitions(size):
                rows = [dict(zip(names, row, strict=True)) for row in part]
                yield from msgspec.convert(rows, list[kind])  # type: ignore[valid-type]

    def queue(self, chat_id: int) -> Generator[OutboxRow, None, None]:
        """The waiting rows of a chat in order."""
        return self.stream(OutboxRow, _QUEUE, {"chat": chat_id}, _STREAMED)

    def chat(self, chat_id: int) -> ChatRow | None:
        found = self.records(ChatRow, select(chats).where(chats.c.chat_id == chat_id))
        return found[0] if found else None

    def upsert(self, table: Table, rows: Iterable[Row]) -> None:
        for some in chunks(rows):
            self.database.upsert(self.connection, table, some)

    def insert_new(self, table: Table, rows: Iterable[Row]) -> int:
        """Inserts the rows whose keys are not there; returns how many."""
        return sum(self.database.insert_new(self.connection, table, some) for some in chunks(rows))


def write(
    transaction: Transaction, rows: Iterable[OutboxRow], names: tuple[str, ...] = OUTCOME
) -> None:
    """Stores the named fields of rows that were unsent until now."""
    for some in chunks(rows):
        values = [{name: getattr(row, name) for name in names} | {"row_id": row.id} for row in some]
        transaction.connection.execute(_writing(names), values)
        transaction.done.update(row.status for row in some if row.status not in order.UNSENT)


@cache
def _writing(names: tuple[str, ...]) -> Update:
    statement = update(outbox).where(outbox.c.id == bindparam("row_id"))
    return statement.values({name: bindparam(name) for name in names})


def plan(transaction: Transaction, chat_ids: Iterable[int]) -> None:
    """Works out anew when the turn of these chats comes.

    To be called after any change of a chat's waiting rows, or of its row.
    """
    for ids in chunks(sorted(set(chat_ids))):
        transaction.upsert(turns, [_turn(chat_id, None, None) for chat_id in ids])
        found = transaction.rows(_FIRST_ROWS, {"chats": ids})
        transaction.upsert(turns, [_turn(row.chat_id, _due(row), row.first_id) for row in found])
        transaction.change(_NO_TURN)


def check_writable(transaction: Transaction) -> None:
    """Changes nothing, but fails where nothing can be changed."""
    transaction.change(_NO_TURN)


def _first_rows() -> Select[Any]:
    """Of some of the chats in `turns`: what says when the turn comes, where anything waits."""
    first_id = (
        select(outbox.c.id)
        .where(outbox.c.chat_id == turns.c.chat_id, waiting())
        .order_by(outbox.c.lane, outbox.c.id)
        .limit(1)
        .scalar_subquery()
    )
    lease_end = (
        select(func.max(outbox.c.lease_until))
        .where(outbox.c.chat_id == turns.c.chat_id, leased())
        .scalar_subquery()
    )
    first = outbox.alias("first")
    return (
        select(
            turns.c.chat_id,
            first.c.id.label("first_id"),
            first.c.not_before.label("first_not_before"),
            func.coalesce(lease_end, 0).label("lease_end"),
            func.coalesce(chats.c.disabled, "").label("disabled"),
            func.coalesce(chats.c.not_before, 0).label("chat_not_before"),
        )
        .join_from(turns, first, first.c.id == first_id)
        .join(chats, chats.c.chat_id == turns.c.chat_id, isouter=True)
        .where(turns.c.chat_id.in_(bindparam("chats", expanding=True)))
    )


_FIRST_ROWS = _first_rows()
_NO_TURN = delete(turns).where(turns.c.due_at.is_(None))


def _turn(chat_id: int, due_at: int | None, first_id: int | None) -> Row:
    return {"chat_id": chat_id, "due_at": due_at, "first_id": first_id}


def _due(row: Any) -> int | None:
    return order.due_at(row.first_not_before, row.lease_end, row.disabled, row.chat_not_before)


def dicts(records: Iterable[msgspec.Struct]) -> Iterator[dict[str, Any]]:
    return map(msgspec.structs.asdict, records)


def chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """A few at a time, none of them empty."""
    rest = iter(items)
    while some := list(islice(rest, _CHUNK)):
        yield some
