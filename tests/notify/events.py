"""Events and rows for the tests of notify."""

from typing import Any

import msgspec

from bot.alerts.event import Event, Snapshot
from bot.alerts.lifecycle import Kind
from bot.notify.item import Item
from bot.notify.payload import outbox_row_for
from bot.rules.rule import Severity, Target
from bot.store.records import OutboxRow

HOUR = 3_600_000
T = 1_795_363_200_000  # 2026-11-22 16:00 UTC
AT = T - 2 * HOUR - 17 * 60_000

SNAPSHOT = Snapshot(
    rate=0.000612,
    rate8h=0.000612,
    apr=0.67014,
    basis=0.000228,
    mark="28156.41410000",
    index="28150.00000000",
    interval=8 * HOUR,
    next_funding_time=T,
)


def event(symbol: str = "BTCUSDT", **changes: Any) -> Event:
    made = Event(
        at=AT,
        kind=Kind.FIRED,
        rule_id="file:hot-longs",
        rule="hot-longs",
        fingerprint="f00d",
        symbol=symbol,
        since=AT,
        number=0,
        already=False,
        values={"rate": 0.000612},
        snapshot=SNAPSHOT,
        condition="rate > 0.05%",
        headline="rate",
        value=0.000612,
        peak=0.000612,
        severity=Severity.INFO,
        quiet=False,
        note="",
        countdown=False,
        instant=False,
    )
    return msgspec.structs.replace(made, **changes)


def snapshot(**changes: Any) -> Snapshot:
    return msgspec.structs.replace(SNAPSHOT, **changes)


def item(number: int = 1, **changes: Any) -> Item:
    return Item(number, event(f"S{number}USDT", **changes))


def row(made: Event, chat_id: int = 7, topic: int | None = None, at: int = 1_000) -> OutboxRow:
    return outbox_row_for(made, Target(chat_id, topic), at)
