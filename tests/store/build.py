"""Rows for tests, with what does not matter filled in."""

from itertools import count
from typing import Any

import msgspec

from bot.store.records import OutboxKind, OutboxRow, OutboxStatus

_numbers = count(1)


def row(chat_id: int = 7, **changes: Any) -> OutboxRow:
    """A new alert with a key of its own."""
    plain = OutboxRow(
        key=f"key-{next(_numbers)}",
        kind=OutboxKind.ALERT,
        chat_id=chat_id,
        topic=None,
        payload=b"{}",
        created_at=1_000,
        rule_id="file:hot",
        fingerprint="f1",
        symbol="BTCUSDT",
        episode=900,
    )
    return msgspec.structs.replace(plain, **changes)


def reply(chat_id: int = 7, **changes: Any) -> OutboxRow:
    return row(chat_id, kind=OutboxKind.REPLY, rule_id="", fingerprint="", symbol="", **changes)


def sent(leased: OutboxRow, message_id: int = 1, at: int = 2_000) -> OutboxRow:
    return msgspec.structs.replace(
        leased, status=OutboxStatus.SENT, message_id=message_id, sent_at=at
    )


def again(leased: OutboxRow, not_before: int) -> OutboxRow:
    """Certainly not sent: again later."""
    return msgspec.structs.replace(leased, status=OutboxStatus.NEW, not_before=not_before)


def uncertain(leased: OutboxRow, not_before: int = 0) -> OutboxRow:
    return msgspec.structs.replace(
        leased, status=OutboxStatus.UNCERTAIN, doubtful=True, not_before=not_before
    )
