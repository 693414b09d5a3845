"""A transaction on the tables, and the plan of turns that every change of a queue keeps true."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Select, Table, bindparam, delete, func, select, update

from bot.store import order
from bot.store.dialect import Database, Row
from bot.store.records import ChatRow, OutboxRow
from bot.store.schema import chats, leased, outbox, turns, waiting

_Record = TypeVar("_Record", bound=msgspec.Struct)
_Item = TypeVar("_Item")
_CHUNK = 500  # values in one IN; SQLite's limit of variables was 999 for long


@dataclass(frozen=True, slots=True)
class Transaction:
    """A connection in a transaction, and what its database does differently."""

    connection: Connection
    database: Database

    def rows(self, query: Select[Any]) -> Sequence[Any]:
        return self.connection.execute(query).all()

    def records(
        self, kind: type[_Record], query: Select[Any], values: Row | None = None
    ) -> list[_Record]:
        """Rows as records; columns carry the names of the record's fields."""
        found = self.connection.execute(query, values)
        names = [str(name) for name in found.keys()]  # noqa: SIM118 - a result is no mapping
        rows = [dict(zip(names, row, strict=True)) for row in found]
        return msgspec.convert(rows, list[kind])  # type: ignore[valid-type]

    def chat(self, chat_id: int) -> ChatRow | None:
        found = self.records(ChatRow, select(chats).where(chats.c.chat_id == chat_id))
        return found[0] if found else None

    def upsert(self, table: Table, rows: Sequence[Row]) -> None:
        if rows:
            self.database.upsert(self.connection, table, rows)


def write(transaction: Transaction, rows: Sequence[OutboxRow]) -> None:
    """Stores what can change of rows."""
    names = (
        "status", "topic", "payload", "attempts", "doubtful", "not_before", "lease_until",
        "message_id", "sent_at", "error",
    )  # fmt: skip
    if rows:
        statement = update(outbox).where(outbox.c.id == bindparam("row_id"))
        values = [{name: getattr(row, name) for name in names} | {"row_id": row.id} for row in rows]
        transaction.connection.execute(
            statement.values({name: bindparam(name) for name in names}), values
        )


def plan(transaction: Transaction, chat_ids: Iterable[int]) -> None:
    """Works out anew when the turn of these chats comes.

    To be called after any change of a chat's waiting rows, or of its row.
    """
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
    query = (
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
    )
    for ids in chunks(sorted(set(chat_ids))):
        transaction.upsert(turns, [_turn(chat_id, None, None) for chat_id in ids])
        found = transaction.rows(query.where(turns.c.chat_id.in_(ids)))
        transaction.upsert(turns, [_turn(row.chat_id, _due(row), row.first_id) for row in found])
    transaction.connection.execute(delete(turns).where(turns.c.due_at.is_(None)))


def _turn(chat_id: int, due_at: int | None, first_id: int | None) -> Row:
    return {"chat_id": chat_id, "due_at": due_at, "first_id": first_id}


def _due(row: Any) -> int | None:
    return order.due_at(row.first_not_before, row.lease_end, row.disabled, row.chat_not_before)


def dicts(records: Iterable[msgspec.Struct]) -> list[dict[str, Any]]:
    return [msgspec.structs.asdict(record) for record in records]


def chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
