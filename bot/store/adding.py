"""New rows of the outbox: their lanes, and whether they are held from the beginning."""

from collections.abc import Collection, Iterable, Iterator
from itertools import groupby

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
    paused = paused_in(transaction, {row.chat_id for row in rows})

    def values(lot: Iterable[OutboxRow], passed: int = 0) -> Iterator[Row]:
        for row in lot:
            held = order.held(row, paused=(row.chat_id, row.rule_id) in paused)
            yield _values(held, order.lane(row.kind, passed))

    added = 0
    for (kind, status), lot in groupby(rows, key=lambda row: (row.kind, row.status)):
        if kind is OutboxKind.REPLY:  # its lane depends on what came before it
            new = 0
            for row in lot:
                passed = _passed(transaction, row.chat_id)
                new += transaction.insert_new(outbox, values([row], passed))
        else:
            new = transaction.insert_new(outbox, values(lot))
        added += new
        if status not in order.UNSENT:
            transaction.done[status] += new
    return added


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
