"""Whose turn it is: the order within a chat, and what one lease takes of it. Pure."""

from collections.abc import Iterable

import msgspec

from bot.store.records import OutboxKind, OutboxRow, OutboxStatus

WAITING = frozenset({OutboxStatus.NEW, OutboxStatus.LEASED, OutboxStatus.UNCERTAIN})
RULE_ENDED = "the rule ended before this was sent"


def lane(row: OutboxRow) -> int:
    """0 goes before 1 within a chat: a person waits for the reply."""
    return 0 if row.kind is OutboxKind.REPLY else 1


def place(row: OutboxRow) -> tuple[int, int]:
    """Where a row stands in its chat."""
    return lane(row), row.id


def due_at(
    first_not_before: int, lease_until: int, disabled: str, chat_not_before: int
) -> int | None:
    """When a chat's next row may be leased (epoch ms); None while the chat is disabled.

    `first_not_before` is of the row that goes first, `lease_until` of the chat's last lease (0:
    none is under way): nothing of a chat is sent while another row of it is.
    """
    return None if disabled else max(first_not_before, lease_until, chat_not_before)


def take(rows: Iterable[OutboxRow], now: int, until: int, limit: int) -> list[OutboxRow]:
    """The rows that one lease claims of a chat whose turn it is, as they are then.

    `rows` are the chat's waiting ones in order. The first goes alone unless it is an alert:
    alerts go together as far as they follow each other, all of them doubtful or none (what may
    have arrived is not mixed with what is told for the first time).
    """
    taken: list[OutboxRow] = []
    for row in rows:
        claimed = _leased(row, until)
        if row.not_before > now or (taken and not _together(taken[0], claimed)):
            break
        taken.append(claimed)
        if len(taken) == limit:
            break
    return taken


def _leased(row: OutboxRow, until: int) -> OutboxRow:
    return msgspec.structs.replace(
        row,
        status=OutboxStatus.LEASED,
        attempts=row.attempts + 1,
        doubtful=row.doubtful or row.status is not OutboxStatus.NEW,
        lease_until=until,
    )


def _together(first: OutboxRow, row: OutboxRow) -> bool:
    kinds = first.kind, row.kind
    return kinds == (OutboxKind.ALERT, OutboxKind.ALERT) and first.doubtful == row.doubtful


def ended(row: OutboxRow) -> OutboxRow:
    """A waiting alert whose rule ended: dead, but one that is under way only bears the mark."""
    under_way = row.status is OutboxStatus.LEASED
    return msgspec.structs.replace(
        row, status=row.status if under_way else OutboxStatus.DEAD, error=RULE_ENDED
    )


def abandoned(row: OutboxRow) -> OutboxRow:
    """A leased row whose program is gone: it may have arrived, and is tried again."""
    lapsed = msgspec.structs.replace(
        row, status=OutboxStatus.UNCERTAIN, doubtful=True, lease_until=0
    )
    return ended(lapsed) if row.error == RULE_ENDED else lapsed


def settled(stored: OutboxRow | None, row: OutboxRow) -> OutboxRow | None:
    """A leased row with its outcome; None where its lease is not the one that is stored.

    An attempt changes what it can find out, never what the row is or whose. What is to be tried
    again is dead where its rule ended in the meantime.
    """
    if stored is None or stored.status is not OutboxStatus.LEASED:
        return None
    if stored.attempts != row.attempts:
        return None
    if stored.error == RULE_ENDED and row.status in WAITING:
        return ended(msgspec.structs.replace(stored, status=row.status, lease_until=0))
    return msgspec.structs.replace(
        stored,
        status=row.status,
        topic=row.topic,
        payload=row.payload,
        doubtful=row.doubtful,
        not_before=row.not_before,
        lease_until=row.lease_until if row.status is OutboxStatus.LEASED else 0,
        message_id=row.message_id,
        sent_at=row.sent_at,
        error=row.error,
    )
