"""What an outcome makes of the rows that were sent. Times are epoch ms."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from bot.notify.channel import (
    Doubtful,
    Later,
    Moved,
    Never,
    Outcome,
    Refused,
    Sent,
    TopicGone,
    Unparsable,
)
from bot.store.records import OutboxRow, OutboxStatus

_Record = TypeVar("_Record", bound=msgspec.Struct)

LATER_FIRST, LATER_MOST = 1_000, 60_000  # ms between attempts that were certainly not sent
DOUBT_FIRST, DOUBT_MOST = 5_000, 300_000  # ms between attempts that may have arrived


def settled(rows: Sequence[OutboxRow], outcome: Outcome, now: int) -> list[OutboxRow]:
    """The rows of one message after an attempt.

    A chat that is out of reach or has moved keeps its rows waiting; what neither its topic nor
    the general one takes is lost.
    """
    return [_settled(row, outcome, now) for row in rows]


def released(rows: Sequence[OutboxRow], not_before: int = 0) -> list[OutboxRow]:
    """Leased rows that were not attempted: they wait again, their attempt is given back."""
    return [_waiting(_with(row, attempts=row.attempts - 1), not_before) for row in rows]


def dead(rows: Sequence[OutboxRow], reason: str) -> list[OutboxRow]:
    return [_with(row, status=OutboxStatus.DEAD, error=reason) for row in rows]


def spacing(attempts: int, first: int, most: int) -> int:
    """Doubles with every attempt, up to a most; ms."""
    return min(first << min(max(attempts - 1, 0), 20), most)


def _settled(row: OutboxRow, outcome: Outcome, now: int) -> OutboxRow:
    if isinstance(outcome, Sent):
        return _with(
            row, status=OutboxStatus.SENT, message_id=outcome.message_id, sent_at=now, error=""
        )
    if isinstance(outcome, Doubtful):
        pause = spacing(row.attempts, DOUBT_FIRST, DOUBT_MOST)
        return _with(
            row, status=OutboxStatus.UNCERTAIN, doubtful=True, not_before=now + pause,
            error=outcome.reason,
        )  # fmt: skip
    if isinstance(outcome, Refused | Unparsable | TopicGone):
        return _with(row, status=OutboxStatus.DEAD, error=outcome.reason)
    if isinstance(outcome, Moved):
        return _waiting(row, now)
    if isinstance(outcome, Never):
        return _waiting(row, now, outcome.reason)
    pause = spacing(row.attempts, LATER_FIRST, LATER_MOST)
    if isinstance(outcome, Later) and outcome.retry_after is not None:
        pause = round(outcome.retry_after * 1000)
    return _waiting(row, now + pause, outcome.reason)


def _waiting(row: OutboxRow, not_before: int, error: str = "") -> OutboxRow:
    """What may have arrived once stays doubtful whatever comes later."""
    status = OutboxStatus.UNCERTAIN if row.doubtful else OutboxStatus.NEW
    return _with(row, status=status, not_before=not_before, error=error)


def _with(value: _Record, **changes: object) -> _Record:
    return msgspec.structs.replace(value, **changes)
