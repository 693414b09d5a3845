"""A transaction on the tables, and the plan of turns that every change of a queue keeps true."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Executable,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    func,
    literal,
    null,
    select,
    true,
    union_all,
    update,
)

from bot.store import order
from bot.store.dialect import Database, Row
from bot.store.records import ChatRow, OutboxRow, OutboxStatus
from bot.store.schema import chats, leased, outbox, overtaken, turns, waiting

_Record = TypeVar("_Record", bound=msgspec.Struct)
_Item = TypeVar("_Item")
# Rows handled at a time, and values in one IN: what is on its way to the database stays small
# however large a commit is, and SQLite's limit of variables was 999 for long.
_CHUNK = 500
_STREAMED = 20  # rows read at a time where the reader may stop early

# Statements that every transaction needs are built once: it takes longer than to execute them.
_QUEUE = (
    select(outbox)
    .where(
        outbox.c.chat_id == bindparam("chat"),
        outbox.c.topic.is_not_distinct_from(bindparam("topic", type_=BigInteger)),
        outbox.c.lane == bindparam("lane"),
        waiting(),
    )
    .order_by(outbox.c.id)
)

# What an attempt can change of a row, and what a lease does.
OUTCOME = (
    "status", "topic", "payload", "attempts", "doubtful", "not_before", "lease_until",
    "message_id", "sent_at", "error", "held",
)  # fmt: skip
LEASE = ("status", "attempts", "lease", "doubtful", "lease_until")

HASTE = ("not_before", "hastened_at")


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

    def queue(self, chat_id: int, front: order.Front) -> Generator[OutboxRow, None, None]:
        """The waiting rows of a chat behind one, in order, and that one."""
        whose = {"chat": chat_id, "topic": front.topic, "lane": front.lane}
        return self.stream(OutboxRow, _QUEUE, whose, _STREAMED)

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
        transaction.upsert(turns, [_turn(chat_id, (None, None)) for chat_id in ids])
        found = lines(transaction, ids).items()
        planned = [(chat_id, order.turn(line)) for chat_id, line in found]
        transaction.upsert(turns, [_turn(chat_id, turn) for chat_id, turn in planned if turn])
        transaction.change(_NO_TURN)


def check_writable(transaction: Transaction) -> None:
    """Changes nothing, but fails where nothing can be changed."""
    transaction.change(_NO_TURN)


def lines(transaction: Transaction, chat_ids: Sequence[int]) -> dict[int, order.Line]:
    """What waits in those of a chunk of chats that have a turn, or may have one."""
    found: dict[int, order.Line] = {}
    for row in transaction.rows(_FRONTS, {"chats": chat_ids}):
        chat_id, topic, lane, first_id, not_before, lease_end, disabled, chat_not_before = row[:8]
        if chat_id not in found:
            overtaken = order.Overtaken(*row[8:])
            line = order.Line([], lease_end, disabled, chat_not_before, overtaken)
            found[chat_id] = line
        front = order.Front(topic, lane, first_id, not_before)
        found[chat_id].fronts.append(front)
    return found


def _fronts() -> Select[Any]:
    """Of some of the chats in `turns`: the first row of each topic and lane, and the chat.

    A chat's topics are found one after the other, each by a look at the index, for thousands of
    rows may wait in one of them.
    """
    chat_id = turns.c.chat_id.label("chat_id")
    no_topic = null().cast(BigInteger).label("topic")
    topics = select(chat_id, no_topic).where(chat_id.in_(bindparam("chats", expanding=True)))
    found = topics.cte("topics", recursive=True)
    following = (
        select(func.min(outbox.c.topic))
        .where(outbox.c.chat_id == found.c.chat_id, waiting())
        .where(outbox.c.topic > func.coalesce(found.c.topic, _BEFORE_ALL))
        .scalar_subquery()
    )
    found = found.union(select(found.c.chat_id, following))  # after the last one comes none again
    lane_numbers = (select(literal(lane).label("lane")) for lane in _LANES)
    lanes = union_all(*lane_numbers).subquery("lanes")
    first_id = (
        select(outbox.c.id)
        .where(outbox.c.chat_id == found.c.chat_id, outbox.c.lane == lanes.c.lane, waiting())
        .where(outbox.c.topic.is_not_distinct_from(found.c.topic))
        .order_by(outbox.c.id)
        .limit(1)
        .scalar_subquery()
    )
    lease_end = (
        select(func.max(outbox.c.lease_until))
        .where(outbox.c.chat_id == found.c.chat_id, leased())
        .scalar_subquery()
    )
    first = outbox.alias("first")
    return (
        select(
            found.c.chat_id,
            found.c.topic,
            lanes.c.lane,
            first.c.id,
            first.c.not_before,
            func.coalesce(lease_end, 0),
            func.coalesce(chats.c.disabled, ""),
            func.coalesce(chats.c.not_before, 0),
            func.coalesce(overtaken.c.replies, 0),
            func.coalesce(overtaken.c.up_to, 0),
        )
        .select_from(found.join(lanes, true()).join(first, first.c.id == first_id))
        .join(chats, chats.c.chat_id == found.c.chat_id, isouter=True)
        .join(overtaken, overtaken.c.chat_id == found.c.chat_id, isouter=True)
    )


_BEFORE_ALL = -1  # Telegram's topics have positive numbers
_LANES = (order.FIRST, order.SOON, order.QUEUED)
_FRONTS = _fronts()
_NO_TURN = delete(turns).where(turns.c.due_at.is_(None))


def _turn(chat_id: int, turn: tuple[int | None, int | None]) -> Row:
    due_at, first_id = turn
    return {"chat_id": chat_id, "due_at": due_at, "first_id": first_id}


def dicts(records: Iterable[msgspec.Struct]) -> Iterator[dict[str, Any]]:
    return map(msgspec.structs.asdict, records)


def chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """A few at a time, none of them empty."""
    rest = iter(items)
    while some := list(islice(rest, _CHUNK)):
        yield some
