"""Rows for tests, with what does not matter filled in, and the commonest steps with them."""

from collections.abc import Iterable
from itertools import count
from typing import Any

import msgspec

from bot.alerts.lifecycle import Phase, State
from bot.store.port import Store
from bot.store.records import Commit, OutboxKind, OutboxRow, OutboxStatus, StateKey

NOW, UNTIL = 10_000, 70_000
FIRING = State(
    phase=Phase.FIRING, since=5, known_at=6, told=True, fired_at=7, told_at=8, reminders=2,
    over=False, sides=(1, None, -1), peak=0.1 + 0.2,
)  # fmt: skip
KEY = StateKey("file:hot", "f1", "BTCUSDT")

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


async def put(store: Store, *rows: OutboxRow) -> None:
    await store.commit(Commit(outbox=rows))


async def take(
    store: Store, now: int = NOW, limit: int = 100, busy: frozenset[int] = frozenset()
) -> list[OutboxRow]:
    return list(await store.lease(now, now + 60_000, limit, busy))


def keys(rows: Iterable[OutboxRow]) -> list[str]:
    return [row.key for row in rows]
