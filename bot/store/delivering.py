"""The outbox on its way: the inside of `lease`, `settle`, `bury` and their like."""

from collections.abc import Sequence
from contextlib import closing

import msgspec
from sqlalchemy import bindparam, func, select, text, update

from bot.store import merge, order
from bot.store.adding import add_rows
from bot.store.holding import hold_lapsed, with_holds
from bot.store.records import ChatRow, Copied, OutboxKind, OutboxRow
from bot.store.schema import PUT_OFF, chats, leased, outbox, overtaken, turns, waiting
from bot.store.transaction import HASTE, LEASE, Transaction, chunks, dicts, lines, plan, write

_DUE = (
    select(turns.c.chat_id)
    .where(turns.c.due_at <= bindparam("now"))
    .order_by(turns.c.first_id)
    .limit(bindparam("enough"))
)
_PASSED_ALERT = (
    select(outbox.c.id)
    .where(outbox.c.chat_id == bindparam("chat"), outbox.c.kind == OutboxKind.ALERT)
    .where(outbox.c.id > bindparam("up_to"), waiting())
    .limit(1)
)
_NEWEST = select(func.max(outbox.c.id))
_THESE = select(outbox).where(outbox.c.id.in_(bindparam("ids", expanding=True)))


def lease(
    transaction: Transaction, now: int, until: int, limit: int, busy_chats: frozenset[int]
) -> list[tuple[OutboxRow, OutboxRow]]:
    """The claimed rows, each as it was and as it is now."""
    plan(transaction, hold_lapsed(transaction, now))
    enough = limit + len(busy_chats)  # each chat that is not busy yields a row
    due = transaction.connection.scalars(_DUE, {"now": now, "enough": enough}).all()
    free = [chat_id for chat_id in due if chat_id not in busy_chats]
    claimed: list[tuple[OutboxRow, OutboxRow]] = []
    for ids in chunks(free[:limit]):
        waiting_in = lines(transaction, ids)
        for chat_id in ids:
            if len(claimed) < limit:
                line = waiting_in[chat_id]
                front = order.next_of(line, now)
                with closing(transaction.queue(chat_id, front)) as queue:
                    taken = order.together(queue, now)
                claimed += [(row, order.leased(row, until)) for row in taken]
                if front.lane == order.SOON:
                    _overtake(transaction, chat_id, line.overtaken)
    write(transaction, (after for _, after in claimed), LEASE)
    plan(transaction, {row.chat_id for row, _ in claimed})
    return claimed


def _overtake(transaction: Transaction, chat_id: int, before: order.Overtaken) -> None:
    """Notes a reply that went before the alerts that wait."""
    passed = {"chat": chat_id, "up_to": before.up_to}
    waits = transaction.connection.scalar(_PASSED_ALERT, passed) is not None
    newest = transaction.connection.scalar(_NEWEST) if waits else None
    after = order.overtaken(before, newest)
    if after != before:
        transaction.upsert(overtaken, [{"chat_id": chat_id, **msgspec.structs.asdict(after)}])


def unlease(transaction: Transaction, claimed: Sequence[tuple[OutboxRow, OutboxRow]]) -> None:
    """Takes back a lease whose rows reached nobody, as if it had not been."""
    touched: set[int] = set()
    for some in chunks(claimed):
        stored = _stored(transaction, [after.id for _, after in some])
        undone = [
            row
            for before, after in some
            if (row := order.unleased(stored.get(after.id), after, before)) is not None
        ]
        write(transaction, with_holds(transaction, undone))
        touched |= {row.chat_id for row in undone}
    plan(transaction, touched)


def settle(
    transaction: Transaction,
    rows: Sequence[OutboxRow],
    given: Sequence[ChatRow],
    added: Sequence[OutboxRow],
) -> int:
    touched = {chat.chat_id for chat in given}
    counted = 0
    for some in chunks(rows):
        stored = _stored(transaction, [row.id for row in some])
        changed = []
        for row in some:
            settled = order.settled(stored.get(row.id), row)
            if settled is not None:
                stored[row.id] = settled
                changed.append(settled)
        write(transaction, with_holds(transaction, changed))
        touched |= {row.chat_id for row in changed}
        counted += len(changed)
    for chat in given:
        merged = merge.delivered(transaction.chat(chat.chat_id), chat)
        transaction.upsert(chats, dicts([merged]))
    _finish(transaction, touched, added if counted else ())
    return counted


def bury(
    transaction: Transaction, rows: Sequence[OutboxRow], reason: str, added: Sequence[OutboxRow]
) -> int:
    touched: set[int] = set()
    counted = 0
    for some in chunks(rows):
        stored = _stored(transaction, [row.id for row in some])
        changed = []
        for row in some:
            buried = order.buried(stored.get(row.id), row, reason)
            if buried is not None:
                stored[row.id] = buried
                changed.append(buried)
        write(transaction, changed)
        touched |= {row.chat_id for row in changed}
        counted += len(changed)
    _finish(transaction, touched, added if counted else ())
    return counted


def _finish(transaction: Transaction, touched: set[int], added: Sequence[OutboxRow]) -> None:
    add_rows(transaction, added)
    plan(transaction, touched | {row.chat_id for row in added})


def hasten(transaction: Transaction, now: int) -> None:
    put_off = select(outbox).where(text(PUT_OFF), outbox.c.not_before > now)
    found = transaction.records(OutboxRow, put_off)
    rows = [hastened for row in found if (hastened := order.hastened(row, now)) is not None]
    write(transaction, rows, HASTE)
    plan(transaction, {row.chat_id for row in rows})


def mark_copied(transaction: Transaction, ids: Sequence[int], copied: Copied) -> None:
    for some in chunks(ids):
        transaction.change(update(outbox).where(outbox.c.id.in_(some)).values(copied=copied))


def abandon_leases(transaction: Transaction) -> None:
    """Every lease lapses: the program that held them is gone."""
    rows = transaction.records(OutboxRow, select(outbox).where(leased()))
    write(transaction, with_holds(transaction, [order.lapsed(row) for row in rows]))
    plan(transaction, {row.chat_id for row in rows})


def _stored(transaction: Transaction, ids: Sequence[int]) -> dict[int, OutboxRow]:
    """The rows with these ids, which are a chunk at most."""
    return {row.id: row for row in transaction.records(OutboxRow, _THESE, {"ids": ids})}
