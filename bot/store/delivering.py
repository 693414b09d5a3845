"""The outbox on its way: the inside of `lease`, `settle`, and of what asks how much waits."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, bindparam, func, select

from bot.store import merge, order
from bot.store.records import ChatRow, OutboxKind, OutboxRow, OutboxStatus
from bot.store.schema import chats, leased, outbox, turns, waiting
from bot.store.transaction import Transaction, chunks, dicts, plan, write


def lease(
    transaction: Transaction, now: int, until: int, limit: int, busy_chats: frozenset[int]
) -> list[tuple[OutboxRow, OutboxRow]]:
    """The claimed rows, each as it was and as it is now."""
    due = transaction.connection.scalars(
        select(turns.c.chat_id)
        .where(turns.c.due_at <= now)
        .order_by(turns.c.first_id)
        .limit(limit + len(busy_chats))  # enough: each chat that is not busy yields a row
    ).all()
    queue_of = (
        select(outbox)
        .where(outbox.c.chat_id == bindparam("chat"), waiting())
        .order_by(outbox.c.lane, outbox.c.id)
        .limit(bindparam("left"))
    )
    claimed: list[tuple[OutboxRow, OutboxRow]] = []
    for chat_id in due:
        left = limit - len(claimed)
        if left > 0 and chat_id not in busy_chats:
            queue = transaction.records(OutboxRow, queue_of, {"chat": chat_id, "left": left})
            claimed += zip(queue, order.take(queue, now, until, left), strict=False)
    write(transaction, [after for _, after in claimed])
    plan(transaction, {row.chat_id for row, _ in claimed})
    return claimed


def unlease(transaction: Transaction, claimed: Sequence[tuple[OutboxRow, OutboxRow]]) -> None:
    """Takes back a lease whose rows reached nobody, as if it had not been."""
    before = {after.id: before for before, after in claimed}
    stored = _stored(transaction, list(before))
    undone = [
        before[row.id] for _, row in claimed if order.settled(stored.get(row.id), row) is not None
    ]
    write(transaction, undone)
    plan(transaction, {row.chat_id for row in undone})


def settle(transaction: Transaction, rows: Sequence[OutboxRow], given: Sequence[ChatRow]) -> int:
    stored = _stored(transaction, [row.id for row in rows])
    counted = []
    for row in rows:
        settled = order.settled(stored.get(row.id), row)
        if settled is not None:
            stored[row.id] = settled
            counted.append(settled)
    write(transaction, counted)
    for chat in given:
        merged = merge.delivered(transaction.chat(chat.chat_id), chat)
        transaction.upsert(chats, dicts([merged]))
    plan(transaction, {row.chat_id for row in counted} | {chat.chat_id for chat in given})
    return len(counted)


def abandon_leases(transaction: Transaction) -> None:
    """Every lease lapses: the program that held them is gone."""
    rows = transaction.records(OutboxRow, select(outbox).where(leased()))
    write(transaction, [order.abandoned(row) for row in rows])
    plan(transaction, {row.chat_id for row in rows})


def _stored(transaction: Transaction, ids: Sequence[int]) -> dict[int, OutboxRow]:
    stored: dict[int, OutboxRow] = {}
    for some in chunks(ids):
        query = select(outbox).where(outbox.c.id.in_(some))
        stored |= {row.id: row for row in transaction.records(OutboxRow, query)}
    return stored


def chat_rows(
    transaction: Transaction, chat_id: int, rule_id: str, symbol: str, episode: int
) -> list[OutboxRow]:
    return _episode(transaction, rule_id, symbol, episode, outbox.c.chat_id == chat_id)


def episode_rows(
    transaction: Transaction, rule_id: str, symbol: str, episode: int
) -> list[OutboxRow]:
    return _episode(transaction, rule_id, symbol, episode)


def _episode(
    transaction: Transaction,
    rule_id: str,
    symbol: str,
    episode: int,
    *more: ColumnElement[bool],
) -> list[OutboxRow]:
    columns = outbox.c
    return transaction.records(
        OutboxRow,
        select(outbox)
        .where(
            columns.rule_id == rule_id,
            columns.symbol == symbol,
            columns.episode == episode,
            columns.kind == OutboxKind.ALERT,
            *more,
        )
        .order_by(columns.id),
    )


def message_rows(transaction: Transaction, chat_id: int, row_id: int) -> list[OutboxRow]:
    alerts = (outbox.c.chat_id == chat_id, outbox.c.kind == OutboxKind.ALERT)
    message_id = select(outbox.c.message_id).where(outbox.c.id == row_id, *alerts)
    return transaction.records(
        OutboxRow,
        select(outbox)
        .where(outbox.c.message_id == message_id.scalar_subquery(), *alerts)
        .order_by(outbox.c.id),
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
