"""New rows of the outbox: their lanes, and whether they are held from the beginning."""

from collections.abc import Collection, Iterable, Iterator

import msgspec
from sqlalchemy import func, select, text

from bot.store import order
from bot.store.dialect import Row
from bot.store.holding import paused_in
from bot.store.records import OutboxKind, OutboxRow
from bot.store.schema import REPLIES, outbox, waiting
from bot.store.transaction import Transaction


def add_rows(transaction: Transaction, rows: Collection[OutboxRow]) -> int:
    """Stores rows whose keys are new; numbers follow the order given. Returns how many."""
    if not rows:
        return 0
    paused = paused_in(transaction, {row.chat_id for row in rows})
    added = 0
    queued: list[OutboxRow] = []
    for row in rows:
        if row.kind is OutboxKind.REPLY:  # its lane depends on what came before it
            added += _insert(transaction, queued, paused)
            queued = []
            lane = order.lane(row.kind, _passed(transaction, row.chat_id))
            added += transaction.insert_new(outbox, [_values(row, lane)])
        else:
            queued.append(row)
    return added + _insert(transaction, queued, paused)


def _insert(
    transaction: Transaction, rows: Iterable[OutboxRow], paused: Collection[tuple[int, str]]
) -> int:
    return transaction.insert_new(outbox, _held_values(rows, paused))


def _held_values(rows: Iterable[OutboxRow], paused: Collection[tuple[int, str]]) -> Iterator[Row]:
    for row in rows:
        held = order.held(row, paused=(row.chat_id, row.rule_id) in paused)
        yield _values(held, order.lane(row.kind))


def _values(row: OutboxRow, lane: int) -> Row:
    values = msgspec.structs.asdict(row) | {"lane": lane}
    del values["id"]
    return values


def _passed(transaction: Transaction, chat_id: int) -> int:
    """How many replies came after the chat's oldest waiting alert; 0 where none waits."""
    oldest = (
        select(outbox.c.id)
        .where(outbox.c.chat_id == chat_id, outbox.c.lane == order.lane(OutboxKind.ALERT))
        .where(outbox.c.kind == OutboxKind.ALERT, waiting())
        .order_by(outbox.c.id)
        .limit(1)
    )
    alert = transaction.connection.scalar(oldest)
    if alert is None:
        return 0
    later = (
        select(outbox.c.id)
        .where(outbox.c.chat_id == chat_id, outbox.c.id > alert, text(REPLIES))
        .limit(order.PASSING)
    )
    count = select(func.count()).select_from(later.subquery())
    return int(transaction.connection.scalar(count) or 0)
