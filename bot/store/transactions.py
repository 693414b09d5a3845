"""The inside of each transaction on tables; `sql.py` opens and ends them.

Whatever changes the waiting rows or the row of a chat works out that chat's turn again before
it ends (`_plan`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    delete,
    func,
    select,
    update,
)

from bot.alerts.lifecycle import State
from bot.store import merge, order
from bot.store.dialect import Database, Row
from bot.store.records import (
    ChatRow,
    Commit,
    Committed,
    OutboxKind,
    OutboxRow,
    OutboxStatus,
    Sample,
    Saved,
    SavedState,
    StateKey,
    Watch,
)
from bot.store.schema import (
    alert_states,
    chats,
    facts,
    handled_updates,
    leased,
    outbox,
    samples,
    turns,
    waiting,
    watches,
)

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

    def records(self, kind: type[_Record], query: Select[Any]) -> list[_Record]:
        """Rows as records; columns carry the names of the record's fields."""
        found = self.connection.execute(query)
        names = [str(name) for name in found.keys()]  # noqa: SIM118 - a result is no mapping
        rows = [dict(zip(names, row, strict=True)) for row in found]
        return msgspec.convert(rows, list[kind])  # type: ignore[valid-type]

    def chat(self, chat_id: int) -> ChatRow | None:
        found = self.records(ChatRow, select(chats).where(chats.c.chat_id == chat_id))
        return found[0] if found else None


# --- reading


def load(transaction: Transaction) -> Saved:
    state_rows = transaction.rows(
        select(alert_states).order_by(
            alert_states.c.rule_id, alert_states.c.fingerprint, alert_states.c.symbol
        )
    )
    decode = msgspec.json.Decoder(State).decode
    return Saved(
        states=tuple(
            SavedState(StateKey(row.rule_id, row.fingerprint, row.symbol), decode(row.state))
            for row in state_rows
        ),
        samples=tuple(
            transaction.records(
                Sample,
                select(samples).order_by(samples.c.symbol, samples.c.field, samples.c.time),
            )
        ),
        watches=tuple(
            transaction.records(
                Watch, select(watches).order_by(watches.c.chat_id, watches.c.number)
            )
        ),
        chats=tuple(transaction.records(ChatRow, select(chats).order_by(chats.c.chat_id))),
        facts={row.name: row.value for row in transaction.rows(select(facts))},
    )


def chat_rows(
    transaction: Transaction, chat_id: int, rule_id: str, symbol: str, episode: int
) -> list[OutboxRow]:
    columns = outbox.c
    return transaction.records(
        OutboxRow,
        select(outbox)
        .where(
            columns.chat_id == chat_id,
            columns.rule_id == rule_id,
            columns.symbol == symbol,
            columns.episode == episode,
            columns.kind == OutboxKind.ALERT,
        )
        .order_by(columns.id),
    )


def pending(transaction: Transaction, chat_id: int | None) -> int:
    query = select(func.count()).select_from(outbox).where(waiting())
    if chat_id is not None:
        query = query.where(outbox.c.chat_id == chat_id)
    return int(transaction.connection.scalar(query) or 0)


def outbox_counts(transaction: Transaction) -> dict[OutboxStatus, int]:
    query = select(outbox.c.status, func.count()).group_by(outbox.c.status)
    found = {OutboxStatus(status): int(count) for status, count in transaction.rows(query)}
    return {status: found.get(status, 0) for status in OutboxStatus}


def next_due(transaction: Transaction, now: int) -> int | None:
    due = transaction.connection.scalar(select(func.min(turns.c.due_at)))
    return None if due is None else max(int(due), now)


# --- committing


def commit(transaction: Transaction, given: Commit) -> Committed:
    if given.update_id is not None and not _first_time(transaction, given, given.update_id):
        return Committed(applied=False)
    dropped, touched = _end(transaction, given.ended)
    _put_states(transaction, given.states)
    if given.samples:
        transaction.database.insert_new(transaction.connection, samples, _dicts(given.samples))
    for chat_id, number in given.unwatched:
        transaction.connection.execute(
            delete(watches).where(watches.c.chat_id == chat_id, watches.c.number == number)
        )
    _upsert(transaction, watches, _dicts(given.watches))
    for chat in given.chats:
        _put_chat(transaction, merge.committed(transaction.chat(chat.chat_id), chat))
    _upsert(transaction, facts, [{"name": name, "value": v} for name, v in given.facts.items()])
    added = _add_rows(transaction, given.outbox)
    touched |= {chat.chat_id for chat in given.chats} | {row.chat_id for row in given.outbox}
    _plan(transaction, touched)
    return Committed(applied=True, outbox_added=added, outbox_dropped=dropped)


def _first_time(transaction: Transaction, given: Commit, update_id: int) -> bool:
    at = given.at or max((row.created_at for row in given.outbox), default=0)
    row = {"update_id": update_id, "handled_at": at}
    return bool(transaction.database.insert_new(transaction.connection, handled_updates, [row]))


def _end(transaction: Transaction, ended: Iterable[StateKey]) -> tuple[int, set[int]]:
    """Forgets states and drops their unsent alerts; how many, and of which chats."""
    dropped = 0
    touched: set[int] = set()
    for key in ended:
        transaction.connection.execute(delete(alert_states).where(*_of(alert_states, key)))
        rows = transaction.rows(
            select(outbox.c.id, outbox.c.chat_id)
            .where(waiting(), outbox.c.kind == OutboxKind.ALERT, *_of(outbox, key))
            .where(outbox.c.status != OutboxStatus.LEASED)  # under way: it may have arrived
        )
        touched |= {row.chat_id for row in rows}
        dropped += len(rows)
        for ids in _chunks([row.id for row in rows]):
            transaction.connection.execute(
                update(outbox)
                .where(outbox.c.id.in_(ids))
                .values(status=OutboxStatus.DEAD, error=order.RULE_ENDED)
            )
    return dropped, touched


def _of(table: Table, key: StateKey) -> Iterator[ColumnElement[bool]]:
    yield table.c.rule_id == key.rule_id
    yield table.c.fingerprint == key.fingerprint
    if key.symbol:
        yield table.c.symbol == key.symbol


def _put_states(transaction: Transaction, states: Iterable[SavedState]) -> None:
    encode = msgspec.json.Encoder().encode
    rows = [
        {
            **msgspec.structs.asdict(saved.key),
            "phase": str(saved.state.phase),
            "state": encode(saved.state).decode(),
        }
        for saved in states
    ]
    _upsert(transaction, alert_states, rows)


def _put_chat(transaction: Transaction, chat: ChatRow) -> None:
    _upsert(transaction, chats, _dicts([chat]))


def _add_rows(transaction: Transaction, rows: Iterable[OutboxRow]) -> int:
    """Numbers follow the order given."""
    values = []
    for row in rows:
        value = msgspec.structs.asdict(row) | {"lane": order.lane(row)}
        del value["id"]
        values.append(value)
    if not values:
        return 0
    return transaction.database.insert_new(transaction.connection, outbox, values)


# --- delivering


def lease(
    transaction: Transaction, now: int, until: int, limit: int, busy_chats: frozenset[int]
) -> list[tuple[OutboxRow, OutboxRow]]:
    """The claimed rows, each as it was and as it is now."""
    due = transaction.connection.scalars(
        select(turns.c.chat_id)
        .where(turns.c.due_at <= now)
        .order_by(turns.c.due_at, turns.c.chat_id)
        .limit(limit + len(busy_chats))  # enough: each chat that is not busy yields a row
    ).all()
    claimed: list[tuple[OutboxRow, OutboxRow]] = []
    for chat_id in due:
        left = limit - len(claimed)
        if left > 0 and chat_id not in busy_chats:
            queue = transaction.records(OutboxRow, _queue(chat_id).limit(left))
            claimed += zip(queue, order.take(queue, now, until, left), strict=False)
    _write(transaction, [after for _, after in claimed])
    _plan(transaction, {row.chat_id for row, _ in claimed})
    return claimed


def _queue(chat_id: int) -> Select[Any]:
    return (
        select(outbox)
        .where(outbox.c.chat_id == chat_id, waiting())
        .order_by(outbox.c.lane, outbox.c.id)
    )


def unlease(transaction: Transaction, claimed: Sequence[tuple[OutboxRow, OutboxRow]]) -> None:
    """Takes back a lease whose rows reached nobody, as if it had not been."""
    before = {after.id: before for before, after in claimed}
    undone = [
        before[stored.id]
        for row, stored in _stored(transaction, [after for _, after in claimed])
        if order.settled(stored, row) is not None
    ]
    _write(transaction, undone)
    _plan(transaction, {row.chat_id for row in undone})


def settle(transaction: Transaction, rows: Sequence[OutboxRow], given: Sequence[ChatRow]) -> int:
    counted = []
    for row, stored in _stored(transaction, rows):
        settled = order.settled(stored, row)
        if settled is not None:
            counted.append(settled)
    _write(transaction, counted)
    for chat in given:
        _put_chat(transaction, merge.delivered(transaction.chat(chat.chat_id), chat))
    _plan(transaction, {row.chat_id for row in counted} | {chat.chat_id for chat in given})
    return len(counted)


def abandon_leases(transaction: Transaction) -> None:
    """Every lease lapses: the program that held them is gone."""
    chat_ids = transaction.connection.scalars(
        select(outbox.c.chat_id).where(leased()).distinct()
    ).all()
    transaction.connection.execute(
        update(outbox)
        .where(leased())
        .values(status=OutboxStatus.UNCERTAIN, doubtful=True, lease_until=0)
    )
    _plan(transaction, chat_ids)


def _stored(
    transaction: Transaction, rows: Sequence[OutboxRow]
) -> Iterator[tuple[OutboxRow, OutboxRow]]:
    """Rows with what is stored of them; unknown ones are passed over."""
    stored: dict[int, OutboxRow] = {}
    for ids in _chunks([row.id for row in rows]):
        query = select(outbox).where(outbox.c.id.in_(ids))
        stored |= {row.id: row for row in transaction.records(OutboxRow, query)}
    return ((row, stored[row.id]) for row in rows if row.id in stored)


def _write(transaction: Transaction, rows: Sequence[OutboxRow]) -> None:
    """Stores what an attempt can change."""
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


def _plan(transaction: Transaction, chat_ids: Iterable[int]) -> None:
    """Works out when the turn of these chats comes."""
    mine = (outbox.c.chat_id == turns.c.chat_id,)
    first = select(outbox.c.not_before).where(*mine, waiting())
    lease_end = select(func.max(outbox.c.lease_until)).where(*mine, leased())
    query = select(
        turns.c.chat_id,
        first.order_by(outbox.c.lane, outbox.c.id).limit(1).scalar_subquery().label("first"),
        lease_end.scalar_subquery().label("lease_end"),
        chats.c.disabled,
        chats.c.not_before,
    ).join_from(turns, chats, chats.c.chat_id == turns.c.chat_id, isouter=True)
    for ids in _chunks(sorted(set(chat_ids))):
        _upsert(transaction, turns, [{"chat_id": chat_id, "due_at": None} for chat_id in ids])
        found = transaction.rows(query.where(turns.c.chat_id.in_(ids)))
        due = [{"chat_id": row.chat_id, "due_at": _due(row)} for row in found]
        _upsert(transaction, turns, [row for row in due if row["due_at"] is not None])
    transaction.connection.execute(delete(turns).where(turns.c.due_at.is_(None)))


def _due(row: Any) -> int | None:
    if row.first is None:
        return None
    return order.due_at(row.first, row.lease_end or 0, row.disabled or "", row.not_before or 0)


# --- keeping house


def prune(transaction: Transaction, before: int, samples_before: int) -> int:
    done = outbox.c.status.in_((OutboxStatus.SENT, OutboxStatus.DEAD))
    known = handled_updates.c.handled_at > 0
    statements = (
        delete(outbox).where(done, outbox.c.created_at < before),
        delete(handled_updates).where(known, handled_updates.c.handled_at < before),
        delete(samples).where(samples.c.time < samples_before),
    )
    return sum(transaction.connection.execute(each).rowcount for each in statements)


def move_chat(transaction: Transaction, old: int, new: int) -> dict[str, str]:
    if old == new:
        return {}
    left, entered = transaction.chat(old), transaction.chat(new)
    mine = transaction.records(Watch, select(watches).where(watches.c.chat_id == old))
    taken = transaction.connection.scalars(
        select(watches.c.number).where(watches.c.chat_id == new)
    ).all()
    moved, chat = merge.renumbered(mine, set(taken), merge.moved(left, entered, new))
    renamed = {before.rule_id: after.rule_id for before, after in zip(mine, moved, strict=True)}
    connection = transaction.connection
    connection.execute(delete(chats).where(chats.c.chat_id == old))
    connection.execute(delete(watches).where(watches.c.chat_id == old))
    _put_chat(transaction, chat)
    _upsert(transaction, watches, _dicts(moved))
    connection.execute(update(outbox).where(outbox.c.chat_id == old, waiting()).values(chat_id=new))
    for before, after in renamed.items():
        _rename(transaction, before, after)
    _plan(transaction, (old, new))
    return renamed


def _rename(transaction: Transaction, before: str, after: str) -> None:
    connection = transaction.connection
    connection.execute(delete(alert_states).where(alert_states.c.rule_id == after))
    connection.execute(
        update(alert_states).where(alert_states.c.rule_id == before).values(rule_id=after)
    )
    connection.execute(
        update(outbox).where(outbox.c.rule_id == before, waiting()).values(rule_id=after)
    )


def _upsert(transaction: Transaction, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        transaction.database.upsert(transaction.connection, table, rows)


def _dicts(records: Iterable[msgspec.Struct]) -> list[dict[str, Any]]:
    return [msgspec.structs.asdict(record) for record in records]


def _chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
