"""The outbox on its way: the inside of `lease`, `settle`, `bury` and their like."""

from collections.abc import Sequence
from contextlib import closing

from sqlalchemy import bindparam, select, text, update

from bot.store import merge, order
from bot.store.adding import add_rows
from bot.store.holding import hold_lapsed, with_holds
from bot.store.records import ChatRow, Copied, OutboxRow
from bot.store.schema import PUT_OFF, chats, leased, outbox, turns
from bot.store.transaction import LEASE, Transaction, chunks, dicts, plan, write

_DUE = (
    select(turns.c.chat_id)
    .where(turns.c.due_at <= bindparam("now"))
    .order_by(turns.c.first_id)
    .limit(bindparam("enough"))
)
_THESE = select(outbox).where(outbox.c.id.in_(bindparam("ids", expanding=True)))


def lease(
    transaction: Transaction, now: int, until: int, limit: int, busy_chats: frozenset[int]
) -> list[tuple[OutboxRow, OutboxRow]]:
    """The claimed rows, each as it was and as it is now."""
    plan(transaction, hold_lapsed(transaction, now))
    enough = limit + len(busy_chats)  # each chat that is not busy yields a row
    due = transaction.connection.scalars(_DUE, {"now": now, "enough": enough}).all()
    claimed: list[tuple[OutboxRow, OutboxRow]] = []
    for chat_id in due:
        if len(claimed) < limit and chat_id not in busy_chats:
            with closing(transaction.queue(chat_id)) as queue:
                taken = order.together(queue, now)
            claimed += [(row, order.leased(row, until)) for row in taken]
    write(transaction, (after for _, after in claimed), LEASE)
    plan(transaction, {row.chat_id for row, _ in claimed})
    return claimed


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
    columns = outbox.c
    put_off = select(columns.id, columns.chat_id, columns.status)
    found = transaction.rows(put_off.where(text(PUT_OFF), columns.not_before > now))
    rows = [row for row in found if row.status in order.UNSENT]
    for some in chunks(row.id for row in rows):
        transaction.change(update(outbox).where(columns.id.in_(some)).values(not_before=now))
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
