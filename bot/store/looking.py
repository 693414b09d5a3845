"""What can be asked of the outbox, each answered from an index however much is stored."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    TextClause,
    and_,
    case,
    exists,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from bot.store.records import (
    Copied,
    Firing,
    Held,
    OutboxKind,
    OutboxRow,
    OutboxStatus,
    RecentSend,
)
from bot.store.schema import FIRED, SENT, any_held, held_as, outbox, turns, unsent, waiting
from bot.store.transaction import Transaction, chunks

_IS_ALERT = outbox.c.kind == OutboxKind.ALERT


def late_rows(transaction: Transaction, chat_id: int, now: int, before: int) -> list[OutboxRow]:
    columns, fired = outbox.c, outbox.alias("fired")
    of_late_fired = exists(
        select(fired.c.id).where(
            fired.c.rule_id == columns.rule_id,
            fired.c.symbol == columns.symbol,
            fired.c.episode == columns.episode,
            fired.c.chat_id == chat_id,
            fired.c.kind == OutboxKind.ALERT,
            _too_late(fired.c, now, before),
            text(FIRED),  # texts are of the innermost table
            waiting(),
        )
    )
    late = or_(_too_late(columns, now, before), of_late_fired)
    query = select(outbox).where(columns.chat_id == chat_id, _IS_ALERT, waiting(), late)
    return transaction.records(OutboxRow, query.order_by(columns.id))


def _too_late(
    columns: ReadOnlyColumnCollection[str, Any], now: int, before: int
) -> ColumnElement[bool]:
    return or_(columns.created_at < before, columns.expires_at <= now)


def recent_sends(transaction: Transaction, since: int) -> list[RecentSend]:
    """Alerts with one number at one moment are one message, anything else is one by itself."""
    columns = outbox.c
    rules = func.min(columns.rule_id), func.max(columns.rule_id)
    by_itself = case((_IS_ALERT, 0), else_=columns.id)
    found = transaction.rows(
        select(columns.chat_id, columns.sent_at, by_itself.label("by_itself"), *rules)
        .where(text(SENT), columns.sent_at >= since)
        .group_by(columns.sent_at, columns.chat_id, columns.message_id, by_itself)
        .order_by(columns.sent_at, func.min(columns.id))
    )
    return [
        RecentSend(chat_id, at, first if not other and first == last else "")
        for chat_id, at, other, first, last in found
    ]


def firings(transaction: Transaction, since: int) -> list[Firing]:
    columns = outbox.c
    query = (
        select(columns.rule_id, columns.fingerprint, columns.symbol, columns.episode)
        .where(text(FIRED), columns.episode >= since)
        .distinct()
        .order_by(columns.episode, columns.rule_id, columns.fingerprint, columns.symbol)
    )
    names: dict[str, str] = {}  # each once: after a storm there are tens of thousands
    one = names.setdefault
    return [
        Firing(one(rule_id, rule_id), one(mark, mark), one(symbol, symbol), episode)
        for rule_id, mark, symbol, episode in transaction.connection.execute(query)
    ]


def flapping_rows(transaction: Transaction, before: int) -> list[OutboxRow]:
    columns = outbox.c
    whose = columns.chat_id, columns.topic, columns.rule_id, columns.symbol
    oldest = func.min(columns.created_at).over(partition_by=whose)
    flapping = select(columns.id, oldest.label("oldest")).where(held_as(Held.FLAP)).subquery()
    due = select(flapping.c.id).where(flapping.c.oldest < before)
    query = select(outbox).where(columns.id.in_(due)).order_by(columns.id)
    return transaction.records(OutboxRow, query)


def held_counts(transaction: Transaction) -> dict[tuple[int, str], int]:
    whose = outbox.c.chat_id, outbox.c.rule_id
    found = transaction.rows(
        select(*whose, func.count()).where(held_as(Held.PAUSE)).group_by(*whose)
    )
    return {(chat_id, rule_id): count for chat_id, rule_id, count in found}


def row_of(transaction: Transaction, key: str) -> OutboxRow | None:
    found = transaction.records(OutboxRow, select(outbox).where(outbox.c.key == key))
    return found[0] if found else None


def uncopied(transaction: Transaction, chat_ids: Sequence[int], limit: int) -> list[OutboxRow]:
    columns = outbox.c
    query = (
        select(outbox)
        .where(waiting(), columns.kind.in_((OutboxKind.ALERT, OutboxKind.NOTICE)))
        .where(columns.copied != Copied.DONE)
        .order_by(columns.id)
        .limit(limit)
    )
    found = [
        row
        for ids in chunks(sorted(set(chat_ids)))
        for row in transaction.records(OutboxRow, query.where(columns.chat_id.in_(ids)))
    ]
    return sorted(found, key=lambda row: row.id)[:limit]


def chat_rows(
    transaction: Transaction, chat_id: int, rule_id: str, symbol: str, episode: int
) -> list[OutboxRow]:
    query = _episode(rule_id, symbol, episode).where(outbox.c.chat_id == chat_id)
    return transaction.records(OutboxRow, query)


def episode_rows(
    transaction: Transaction, rule_id: str, symbol: str, episode: int
) -> list[OutboxRow]:
    return transaction.records(OutboxRow, _episode(rule_id, symbol, episode))


def _episode(rule_id: str, symbol: str, episode: int) -> Select[Any]:
    columns = outbox.c
    whose = and_(columns.rule_id == rule_id, columns.symbol == symbol, columns.episode == episode)
    return select(outbox).where(whose, _IS_ALERT).order_by(columns.id)


def message_rows(transaction: Transaction, chat_id: int, row_id: int) -> list[OutboxRow]:
    alerts = (outbox.c.chat_id == chat_id, _IS_ALERT)
    message_id = select(outbox.c.message_id).where(outbox.c.id == row_id, *alerts)
    return transaction.records(
        OutboxRow,
        select(outbox)
        .where(outbox.c.message_id == message_id.scalar_subquery(), *alerts)
        .order_by(outbox.c.id),
    )


def pending(transaction: Transaction, chat_id: int | None) -> int:
    if chat_id is not None:
        return _count(transaction, waiting(), outbox.c.chat_id == chat_id)
    return _count(transaction, unsent()) - _count(transaction, any_held())


def _count(transaction: Transaction, *which: ColumnElement[bool] | TextClause) -> int:
    query = select(func.count()).select_from(outbox).where(*which)
    return int(transaction.connection.scalar(query) or 0)


def unsent_counts(transaction: Transaction) -> Counter[OutboxStatus]:
    """How many rows are in each status that is still to be sent."""
    return _by_status(transaction, unsent())


def done_counts(transaction: Transaction) -> Counter[OutboxStatus]:
    """How many are done with, which is a look at all of them: from then on they are kept count of.

    A row goes from one status to another, and what is done with stays so.
    """
    return _by_status(transaction, outbox.c.status.in_((OutboxStatus.SENT, OutboxStatus.DEAD)))


def _by_status(
    transaction: Transaction, which: ColumnElement[bool] | TextClause
) -> Counter[OutboxStatus]:
    status = outbox.c.status
    found = transaction.rows(select(status, func.count()).where(which).group_by(status))
    return Counter({OutboxStatus(name): int(count) for name, count in found})


def next_due(transaction: Transaction, now: int) -> int | None:
    due = transaction.connection.scalar(select(func.min(turns.c.due_at)))
    return None if due is None else max(int(due), now)
