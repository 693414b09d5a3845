"""Rules that are paused in a chat, and the alerts that are held for it."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, delete, select, update

from bot.store import order
from bot.store.records import Held, OutboxKind, OutboxRow, OutboxStatus, Pause
from bot.store.schema import held_as, leased, outbox, pauses, turns, waiting
from bot.store.transaction import Transaction, chunks, dicts, write

Pair = tuple[int, str]  # chat and rule id

_THESE: BindParameter[Any] = bindparam("chats", expanding=True)
_PAUSED_IN = select(pauses.c.chat_id, pauses.c.rule_id).where(pauses.c.chat_id.in_(_THESE))
_DUE_WITH_PAUSES = (
    select(pauses.c.chat_id)
    .join_from(pauses, turns, turns.c.chat_id == pauses.c.chat_id)
    .where(turns.c.due_at <= bindparam("now"))  # no lease of such a chat is under way any more
    .distinct()
)
_PAUSED_AND_LEASED = (
    select(outbox)
    .join(
        pauses,
        (pauses.c.chat_id == outbox.c.chat_id) & (pauses.c.rule_id == outbox.c.rule_id),
    )
    .where(leased(), outbox.c.chat_id.in_(_THESE), outbox.c.kind == OutboxKind.ALERT)
)


def paused_in(transaction: Transaction, chat_ids: Collection[int]) -> set[Pair]:
    """What is paused in these chats."""
    return {
        (row.chat_id, row.rule_id)
        for ids in chunks(sorted(chat_ids))
        for row in transaction.rows(_PAUSED_IN, {"chats": ids})
    }


def pauses_of(transaction: Transaction, rule_ids: Collection[str]) -> set[Pair]:
    """Where these rules are paused."""
    query = select(pauses.c.chat_id, pauses.c.rule_id)
    return {
        (row.chat_id, row.rule_id)
        for ids in chunks(sorted(rule_ids))
        for row in transaction.rows(query.where(pauses.c.rule_id.in_(ids)))
    }


def change_pauses(
    transaction: Transaction, over: Iterable[Pair], begun: Sequence[Pause]
) -> set[int]:
    """Ends and begins pauses with all that they hold; the chats whose queues may have changed."""
    touched = {pause.chat_id for pause in begun}
    for chat_id, rule_id in over:
        columns = pauses.c
        gone = delete(pauses).where(columns.chat_id == chat_id, columns.rule_id == rule_id)
        if transaction.change(gone):
            touched.add(chat_id)
    transaction.upsert(pauses, dicts(begun))
    for chat_id in touched:
        hold(transaction, chat_id)
    return touched


def hold(transaction: Transaction, chat_id: int) -> None:
    """Holds the alerts of a chat that its pauses concern, and no others."""
    columns = outbox.c
    paused = columns.rule_id.in_(select(pauses.c.rule_id).where(pauses.c.chat_id == chat_id))
    transaction.change(
        update(outbox)
        .where(held_as(Held.PAUSE), columns.chat_id == chat_id, ~paused)
        .values(held=Held.NO)
    )
    transaction.change(
        update(outbox)
        .where(waiting(), columns.chat_id == chat_id, columns.kind == OutboxKind.ALERT)
        .where(columns.status != OutboxStatus.LEASED, paused)
        .values(held=Held.PAUSE)
    )


def hold_lapsed(transaction: Transaction, now: int) -> set[int]:
    """Holds alerts of paused rules whose lease has lapsed; the chats of those."""
    due = transaction.connection.scalars(_DUE_WITH_PAUSES, {"now": now}).all()
    rows = [
        row
        for ids in chunks(due)
        for row in transaction.records(OutboxRow, _PAUSED_AND_LEASED, {"chats": ids})
    ]
    write(transaction, [order.held(order.lapsed(row), paused=True) for row in rows])
    return {row.chat_id for row in rows}


def with_holds(transaction: Transaction, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
    """Rows that wait again, held where their rules are paused."""
    paused = paused_in(transaction, {row.chat_id for row in rows})
    return [order.held(row, paused=(row.chat_id, row.rule_id) in paused) for row in rows]


def move_pauses(transaction: Transaction, old: int, new: int, renamed: dict[str, str]) -> None:
    """Takes a chat's pauses along; a pause that the new chat has stays as it is there.

    What the new chat's watches of these ids had left is not theirs.
    """
    there = pauses.c.chat_id == new
    for ids in chunks(renamed.values()):
        transaction.change(delete(pauses).where(there, pauses.c.rule_id.in_(ids)))
    mine = transaction.records(Pause, select(pauses).where(pauses.c.chat_id == old))
    moved = [
        {**each, "chat_id": new, "rule_id": renamed.get(each["rule_id"], each["rule_id"])}
        for each in dicts(mine)
    ]
    transaction.insert_new(pauses, moved)
    transaction.change(delete(pauses).where(pauses.c.chat_id == old))
    hold(transaction, new)
