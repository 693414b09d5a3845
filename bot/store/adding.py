"""New rows of the outbox: their lanes, and whether they are held from the beginning."""

from collections.abc import Collection, Iterable, Iterator
from itertools import groupby

import msgspec

from bot.store import order
from bot.store.dialect import Row
from bot.store.holding import paused_in
from bot.store.records import OutboxRow
from bot.store.schema import outbox
from bot.store.transaction import Transaction


def add_rows(transaction: Transaction, rows: Collection[OutboxRow]) -> int:
    """Stores rows whose keys are new; numbers follow the order given. Returns how many."""
    paused = paused_in(transaction, {row.chat_id for row in rows})

    def values(lot: Iterable[OutboxRow]) -> Iterator[Row]:
        for row in lot:
            yield _values(order.held(row, paused=(row.chat_id, row.rule_id) in paused))

    added = 0
    for status, lot in groupby(rows, key=lambda row: row.status):
        new = transaction.insert_new(outbox, values(lot))
        added += new
        if status not in order.UNSENT:
            transaction.done[status] += new
    return added


def _values(row: OutboxRow) -> Row:
    values = msgspec.structs.asdict(row) | {"lane": order.lane(row.kind)}
    del values["id"]
    return values
