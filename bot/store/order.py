"""Whose turn it is: the order within a chat, what one lease takes of it, what is held. Pure."""

from collections.abc import Iterable

import msgspec

from bot.store.records import Held, OutboxKind, OutboxRow, OutboxStatus

UNSENT = frozenset({OutboxStatus.NEW, OutboxStatus.LEASED, OutboxStatus.UNCERTAIN})
RULE_ENDED = "the rule ended before this was sent"
SUMMED = "it fired too often; a summary told of it"
TOGETHER = 5_000  # rows of a chat that one lease claims at most
PASSING = 5  # replies that may go before a waiting alert

_FIRST, _SOON, _QUEUED = -1, 0, 1  # lanes


def lane(kind: OutboxKind, passed: int = 0) -> int:
    """The lower lane goes first within a chat.

    What has begun to arrive is completed, then a person waits for the reply; but a reply queues up
    behind the alerts where `passed` replies came after the oldest waiting one already.
    """
    if kind is OutboxKind.REST:
        return _FIRST
    return _SOON if kind is OutboxKind.REPLY and passed < PASSING else _QUEUED


def due_at(
    first_not_before: int, lease_until: int, disabled: str, chat_not_before: int
) -> int | None:
    """When a chat's next row may be leased (epoch ms); None while the chat is disabled.

    `first_not_before` is of the row that goes first, `lease_until` of the chat's last lease (0:
    none is under way): nothing of a chat is sent while another row of it is.
    """
    return None if disabled else max(first_not_before, lease_until, chat_not_before)


def together(rows: Iterable[OutboxRow], now: int) -> list[OutboxRow]:
    """The rows that one lease claims of a chat whose turn it is, as they were before.

    `rows` are the chat's waiting ones in order. The first goes alone unless it is an alert:
    alerts go together as far as they follow each other, all of them doubtful or none (what may
    have arrived is not mixed with what is told for the first time).
    """
    taken: list[OutboxRow] = []
    for row in rows:
        if row.not_before > now or (taken and not _alike(taken[0], row)):
            break
        taken.append(row)
        if row.kind is not OutboxKind.ALERT or len(taken) == TOGETHER:
            break
    return taken


def leased(row: OutboxRow, until: int) -> OutboxRow:
    return msgspec.structs.replace(
        row,
        status=OutboxStatus.LEASED,
        attempts=row.attempts + 1,
        doubtful=_doubtful(row),
        lease_until=until,
    )


def _doubtful(row: OutboxRow) -> bool:
    return row.doubtful or row.status is not OutboxStatus.NEW


def _alike(first: OutboxRow, row: OutboxRow) -> bool:
    kinds = first.kind, row.kind
    return kinds == (OutboxKind.ALERT, OutboxKind.ALERT) and _doubtful(first) == _doubtful(row)


def ended(row: OutboxRow) -> OutboxRow:
    """An unsent alert whose rule ended: dead, but one that is under way only bears the mark."""
    if row.status is OutboxStatus.LEASED:
        return msgspec.structs.replace(row, error=RULE_ENDED)
    return dead(row, RULE_ENDED)


def dead(row: OutboxRow, reason: str) -> OutboxRow:
    return msgspec.structs.replace(
        row, status=OutboxStatus.DEAD, held=Held.NO, lease_until=0, error=reason
    )


def lapsed(row: OutboxRow) -> OutboxRow:
    """A leased row whose sender is gone: it may have arrived, and is tried again."""
    waits = msgspec.structs.replace(
        row, status=OutboxStatus.UNCERTAIN, doubtful=True, lease_until=0
    )
    return ended(waits) if row.error == RULE_ENDED else waits


def held(row: OutboxRow, *, paused: bool) -> OutboxRow:
    """A row as it is where its rule is paused in its chat, or not: alerts that wait are held.

    What the next summary tells of stays held for that.
    """
    if row.held is Held.FLAP:
        return row
    waits = row.status in (OutboxStatus.NEW, OutboxStatus.UNCERTAIN)
    reason = Held.PAUSE if paused and waits and row.kind is OutboxKind.ALERT else Held.NO
    return row if row.held is reason else msgspec.structs.replace(row, held=reason)


def settled(stored: OutboxRow | None, row: OutboxRow) -> OutboxRow | None:
    """A leased row with its outcome; None where its lease is not the one that is stored.

    An attempt changes what it can find out, never what the row is or whose. What is to be tried
    again is dead where its rule ended in the meantime.
    """
    if stored is None or not _is_leased_as(stored, row):
        return None
    lease_until = row.lease_until if row.status is OutboxStatus.LEASED else 0
    if stored.error == RULE_ENDED and row.status in UNSENT:
        return ended(msgspec.structs.replace(stored, status=row.status, lease_until=lease_until))
    return msgspec.structs.replace(
        stored,
        status=row.status,
        topic=row.topic,
        payload=row.payload,
        doubtful=row.doubtful,
        not_before=row.not_before,
        lease_until=lease_until,
        message_id=row.message_id,
        sent_at=row.sent_at,
        error=row.error,
    )


def unleased(stored: OutboxRow | None, row: OutboxRow, before: OutboxRow) -> OutboxRow | None:
    """A leased row as it was `before` its lease; None where the stored lease is another one."""
    if stored is None or not _is_leased_as(stored, row):
        return None
    undone = msgspec.structs.replace(
        stored,
        status=before.status,
        attempts=before.attempts,
        doubtful=before.doubtful,
        lease_until=before.lease_until,
    )
    return ended(undone) if stored.error == RULE_ENDED else undone


def _is_leased_as(stored: OutboxRow, row: OutboxRow) -> bool:
    return stored.status is OutboxStatus.LEASED and stored.attempts == row.attempts


def buried(stored: OutboxRow | None, row: OutboxRow, reason: str) -> OutboxRow | None:
    """A row that is not worth sending any more; None where it is not as it was given."""
    if stored is None or stored.status not in UNSENT:
        return None
    if (stored.status, stored.attempts) != (row.status, row.attempts):
        return None
    return dead(stored, reason)


def too_late(row: OutboxRow, now: int, before: int) -> bool:
    expired = row.expires_at is not None and row.expires_at <= now
    return expired or row.created_at < before
