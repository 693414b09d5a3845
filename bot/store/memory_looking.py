"""What can be asked of the outbox in memory."""

from collections.abc import Sequence

from bot.store import order
from bot.store.memory_outbox import MemoryOutbox
from bot.store.records import Copied, Firing, Held, OutboxKind, OutboxRow, RecentSend


def late_rows(outbox: MemoryOutbox, chat_id: int, now: int, before: int) -> list[OutboxRow]:
    alerts = [row for row in outbox.queue(chat_id) if row.kind is OutboxKind.ALERT]
    late = {row.id for row in alerts if order.too_late(row, now, before)}
    fired = {
        (row.rule_id, row.symbol, row.episode)
        for row in alerts
        if row.id in late and row.event == "fired"
    }
    return [
        row for row in alerts if row.id in late or (row.rule_id, row.symbol, row.episode) in fired
    ]


def recent_sends(outbox: MemoryOutbox, since: int) -> list[RecentSend]:
    """Alerts with one number at one moment are one message, anything else is one by itself."""
    rows = [
        (row.sent_at, row)
        for row in outbox.rows.values()
        if row.sent_at is not None and row.sent_at >= since
    ]
    messages: dict[tuple[int, int, int | None, int], set[str]] = {}
    for at, row in sorted(rows, key=lambda sent: (sent[0], sent[1].id)):
        alert = row.kind is OutboxKind.ALERT
        key = row.chat_id, at, row.message_id, 0 if alert else row.id
        messages.setdefault(key, set()).add(row.rule_id if alert else "")
    return [
        RecentSend(chat_id, at, "".join(rules) if len(rules) == 1 else "")
        for (chat_id, at, *_), rules in messages.items()
    ]


def firings(outbox: MemoryOutbox, since: int) -> list[Firing]:
    found = {
        (row.episode, row.rule_id, row.fingerprint, row.symbol)
        for row in outbox.rows.values()
        if row.event == "fired" and row.episode >= since
    }
    return [Firing(rule, mark, symbol, episode) for episode, rule, mark, symbol in sorted(found)]


def flapping_rows(outbox: MemoryOutbox, before: int) -> list[OutboxRow]:
    whose: dict[tuple[object, ...], list[OutboxRow]] = {}
    for row in outbox.all_held():
        if row.held is Held.FLAP:
            key = row.chat_id, row.topic, row.rule_id, row.symbol
            whose.setdefault(key, []).append(row)
    due = [rows for rows in whose.values() if min(row.created_at for row in rows) < before]
    return sorted((row for rows in due for row in rows), key=lambda row: row.id)


def uncopied(outbox: MemoryOutbox, chat_ids: Sequence[int], limit: int) -> list[OutboxRow]:
    kinds = (OutboxKind.ALERT, OutboxKind.NOTICE)
    found = [
        row
        for chat_id in set(chat_ids)
        for row in outbox.queue(chat_id)
        if row.kind in kinds and row.copied is not Copied.DONE
    ]
    return sorted(found, key=lambda row: row.id)[:limit]


def message_rows(outbox: MemoryOutbox, chat_id: int, row_id: int) -> list[OutboxRow]:
    alerts = {
        row.id: row
        for row in outbox.rows.values()
        if row.chat_id == chat_id and row.kind is OutboxKind.ALERT
    }
    message_id = alerts[row_id].message_id if row_id in alerts else None
    if message_id is None:
        return []
    return [row for row in alerts.values() if row.message_id == message_id]
