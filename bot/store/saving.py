"""What is decided and what a start reads: the inside of `load`, `commit`, `prune`, `move_chat`."""

from collections.abc import Iterable, Iterator

import msgspec
from sqlalchemy import ColumnElement, Table, delete, select, update

from bot.alerts.lifecycle import State
from bot.store import merge, order
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
    outbox,
    samples,
    waiting,
    watches,
)
from bot.store.transaction import Transaction, dicts, plan, write


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


def commit(transaction: Transaction, given: Commit) -> Committed:
    if given.update_id is not None and not _first_time(transaction, given, given.update_id):
        return Committed(applied=False)
    dropped, touched = _end(transaction, given.ended)
    _put_states(transaction, given.states)
    if given.samples:
        transaction.database.insert_new(transaction.connection, samples, dicts(given.samples))
    for chat_id, number in given.unwatched:
        transaction.connection.execute(
            delete(watches).where(watches.c.chat_id == chat_id, watches.c.number == number)
        )
    transaction.upsert(watches, dicts(given.watches))
    for chat in given.chats:
        merged = merge.committed(transaction.chat(chat.chat_id), chat)
        transaction.upsert(chats, dicts([merged]))
    transaction.upsert(facts, [{"name": name, "value": v} for name, v in given.facts.items()])
    added = _add_rows(transaction, given.outbox)
    touched |= {chat.chat_id for chat in given.chats} | {row.chat_id for row in given.outbox}
    plan(transaction, touched)
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
        query = select(outbox).where(waiting(), outbox.c.kind == OutboxKind.ALERT)
        rows = transaction.records(OutboxRow, query.where(*_of(outbox, key)))
        ended_rows = [order.ended(row) for row in rows]
        write(transaction, ended_rows)
        touched |= {row.chat_id for row in rows}
        dropped += sum(row.status is OutboxStatus.DEAD for row in ended_rows)
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
    transaction.upsert(alert_states, rows)


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
    mine = transaction.records(
        Watch, select(watches).where(watches.c.chat_id == old).order_by(watches.c.number)
    )
    taken = transaction.connection.scalars(
        select(watches.c.number).where(watches.c.chat_id == new)
    ).all()
    moved, chat = merge.renumbered(mine, set(taken), merge.moved(left, entered, new))
    renamed = {before.rule_id: after.rule_id for before, after in zip(mine, moved, strict=True)}
    connection = transaction.connection
    connection.execute(delete(chats).where(chats.c.chat_id == old))
    connection.execute(delete(watches).where(watches.c.chat_id == old))
    transaction.upsert(chats, dicts([chat]))
    transaction.upsert(watches, dicts(moved))
    connection.execute(update(outbox).where(outbox.c.chat_id == old, waiting()).values(chat_id=new))
    for before, after in renamed.items():
        _rename(transaction, before, after)
    plan(transaction, (old, new))
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
