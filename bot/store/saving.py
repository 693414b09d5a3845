"""What is decided and what a start reads: the inside of `load`, `commit`, `prune`, `move_chat`."""

from collections.abc import Iterable, Iterator

import msgspec
from sqlalchemy import delete, select, update

from bot.alerts.lifecycle import State
from bot.store import merge, order
from bot.store.adding import add_rows
from bot.store.dialect import Row
from bot.store.ending import end
from bot.store.holding import change_pauses, move_pauses, pauses_of
from bot.store.records import (
    ChatRow,
    Commit,
    Committed,
    Held,
    OutboxStatus,
    Pause,
    Sample,
    Saved,
    SavedState,
    StateKey,
    Watch,
    watch_rule_id,
)
from bot.store.schema import (
    alert_states,
    any_held,
    chats,
    facts,
    handled_updates,
    held_as,
    outbox,
    overtaken,
    pauses,
    samples,
    unsent,
    waiting,
    watches,
)
from bot.store.transaction import Transaction, chunks, dicts, plan


def load(transaction: Transaction) -> Saved:
    return Saved(
        states=tuple(_states(transaction)),
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
        pauses=tuple(
            transaction.records(Pause, select(pauses).order_by(pauses.c.chat_id, pauses.c.rule_id))
        ),
    )


def _states(transaction: Transaction) -> Iterator[SavedState]:
    """One by one, and each name once: after a storm there are tens of thousands."""
    decode = msgspec.json.Decoder(State).decode
    names: dict[str, str] = {}
    one = names.setdefault
    columns = alert_states.c
    query = select(columns.rule_id, columns.fingerprint, columns.symbol, columns.state).order_by(
        columns.rule_id, columns.fingerprint, columns.symbol
    )
    for rule_id, fingerprint, symbol, state in transaction.connection.execute(query):
        key = StateKey(one(rule_id, rule_id), one(fingerprint, fingerprint), one(symbol, symbol))
        yield SavedState(key, decode(state))


def commit(transaction: Transaction, given: Commit) -> Committed:
    if given.update_id is not None and not _first_time(transaction, given, given.update_id):
        return Committed(applied=False)
    dropped, touched = end(transaction, given.ended)
    _put_states(transaction, given.states)
    transaction.insert_new(samples, dicts(given.samples))
    for chat_id, number in given.unwatched:
        transaction.change(
            delete(watches).where(watches.c.chat_id == chat_id, watches.c.number == number)
        )
    transaction.upsert(watches, dicts(given.watches))
    for chat in given.chats:
        merged = merge.committed(transaction.chat(chat.chat_id), chat)
        transaction.upsert(chats, dicts([merged]))
    transaction.upsert(facts, ({"name": name, "value": v} for name, v in given.facts.items()))
    touched |= change_pauses(transaction, _pauses_over(transaction, given), given.pauses)
    _sum_up(transaction, given.summed)
    added = add_rows(transaction, given.outbox)
    touched |= {chat.chat_id for chat in given.chats} | {row.chat_id for row in given.outbox}
    plan(transaction, touched)
    return Committed(applied=True, outbox_added=added, outbox_dropped=dropped)


def _first_time(transaction: Transaction, given: Commit, update_id: int) -> bool:
    at = given.at or max((row.created_at for row in given.outbox), default=0)
    row = {"update_id": update_id, "handled_at": at}
    return bool(transaction.insert_new(handled_updates, [row]))


def _pauses_over(transaction: Transaction, given: Commit) -> Iterable[tuple[int, str]]:
    """What is resumed, and the pauses of rules that are no more."""
    yield from given.resumed
    for chat_id, number in given.unwatched:
        yield chat_id, watch_rule_id(chat_id, number)
    yield from pauses_of(transaction, {key.rule_id for key in given.ended if not key.symbol})


def _put_states(transaction: Transaction, states: Iterable[SavedState]) -> None:
    encode = msgspec.json.Encoder().encode
    rows: Iterable[Row] = (
        {
            **msgspec.structs.asdict(saved.key),
            "phase": str(saved.state.phase),
            "state": encode(saved.state).decode(),
        }
        for saved in states
    )
    transaction.upsert(alert_states, rows)


def _sum_up(transaction: Transaction, ids: Iterable[int]) -> None:
    """Rows that a summary tells of are done with; none of them waits, so no turn changes."""
    for some in chunks(ids):
        transaction.done[OutboxStatus.DEAD] += transaction.change(
            update(outbox)
            .where(outbox.c.id.in_(some), held_as(Held.FLAP))
            .values(status=OutboxStatus.DEAD, held=Held.NO, error=order.SUMMED)
        )


def prune(transaction: Transaction, before: int, samples_before: int) -> int:
    columns, known = outbox.c, handled_updates.c.handled_at > 0
    removed = 0
    for status in (OutboxStatus.SENT, OutboxStatus.DEAD):
        old = delete(outbox).where(columns.status == status, columns.created_at < before)
        count = transaction.change(old)
        transaction.done[status] -= count
        removed += count
    statements = (
        delete(outbox).where(any_held(), outbox.c.created_at < before),
        delete(handled_updates).where(known, handled_updates.c.handled_at < before),
        delete(samples).where(samples.c.time < samples_before),
    )
    return removed + sum(map(transaction.change, statements))


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
    for lot in (waiting(), any_held()):
        connection.execute(update(outbox).where(outbox.c.chat_id == old, lot).values(chat_id=new))
    for before, after in renamed.items():
        _rename(transaction, before, after)
    move_pauses(transaction, old, new, renamed)
    connection.execute(delete(overtaken).where(overtaken.c.chat_id == old))
    plan(transaction, (old, new))
    return renamed


def _rename(transaction: Transaction, before: str, after: str) -> None:
    connection = transaction.connection
    connection.execute(delete(alert_states).where(alert_states.c.rule_id == after))
    connection.execute(
        update(alert_states).where(alert_states.c.rule_id == before).values(rule_id=after)
    )
    connection.execute(
        update(outbox).where(outbox.c.rule_id == before, unsent()).values(rule_id=after)
    )
