"""Outbox rows from events and texts, and back."""

import hashlib
from collections.abc import Sequence

import msgspec

from bot.alerts.event import Event
from bot.alerts.lifecycle import Kind
from bot.notify.channel import Written
from bot.notify.storm import Telling
from bot.rules.rule import Target
from bot.store.records import Held, OutboxKind, OutboxRow


class _Mark(msgspec.Struct):
    """What stands in an alert's payload beside its event."""

    flapping: bool = False


# How the names of notices begin that tell of the program's faults.
FAULT, FAULT_OVER, HAPPENED = "fault:", "over:", "happened:"
FAULT_NAMES = FAULT, FAULT_OVER, HAPPENED

_EVENT = msgspec.json.Decoder(Event)
_MARK = msgspec.json.Decoder(_Mark)
_WRITTEN = msgspec.json.Decoder(Written)


def encode_event(event: Event) -> bytes:
    return msgspec.json.encode(event)


def encode_written(written: Written) -> bytes:
    return msgspec.json.encode(written)


def decode_payload(row: OutboxRow) -> Event | Written:
    """What a row tells: the event of an alert, the text of any other kind."""
    return event_of(row) if row.kind is OutboxKind.ALERT else _WRITTEN.decode(row.payload)


def event_of(row: OutboxRow) -> Event:
    """The event of an alert's row."""
    return _EVENT.decode(row.payload)


def is_flapping(row: OutboxRow) -> bool:
    """Whether an alert's row also says that its rule fires too often on its symbol."""
    return _MARK.decode(row.payload).flapping


def outbox_row_for(
    event: Event, target: Target, created_at: int, telling: Telling = Telling.TELL
) -> OutboxRow:
    """An event for one chat: told by itself, with the word that it flaps, or in a summary.

    `created_at` is the notifier's clock (ms), from which the venue's may differ: what expires at
    T does so as long after it as T is after the event.
    """
    return OutboxRow(
        key=_key(
            "alert", event.rule_id, event.fingerprint, event.symbol, event.since, event.kind,
            event.number, target.chat_id, target.topic,
        ),
        kind=OutboxKind.ALERT,
        chat_id=target.chat_id,
        topic=target.topic,
        payload=_payload(event, flapping=telling is Telling.SAY),
        created_at=created_at,
        rule_id=event.rule_id,
        fingerprint=event.fingerprint,
        symbol=event.symbol,
        episode=event.since,
        event=event.kind.value,
        expires_at=_expires_at(event, created_at),
        held=Held.FLAP if telling is Telling.FOLD else Held.NO,
    )  # fmt: skip


def reply_row(
    update_id: int, target: Target, written: Written, created_at: int, number: int = 0
) -> OutboxRow:
    """An answer to a Telegram update; several to one update are numbered."""
    key = _key("reply", update_id, number, target.chat_id, target.topic)
    return _written_row(OutboxKind.REPLY, key, target, written, created_at)


def notice_row(name: str, target: Target, written: Written, created_at: int) -> OutboxRow:
    """Something the program itself says; `name` tells it from every other notice ever."""
    key = _key("notice", name, target.chat_id, target.topic)
    return _written_row(OutboxKind.NOTICE, key, target, written, created_at)


def is_fault(row: OutboxRow) -> bool:
    """Whether a notice tells of a fault of the program, or of its end: its name begins so."""
    return row.key.startswith(tuple(_key("notice", name) for name in FAULT_NAMES))


def edit_row(name: str, target: Target, written: Written, created_at: int) -> OutboxRow:
    """A new text for the message `written.edit_of`; `name` tells it from every other edit."""
    key = _key("edit", name, target.chat_id, target.topic, written.edit_of)
    return _written_row(OutboxKind.EDIT, key, target, written, created_at)


def rest_rows(first: OutboxRow, parts: Sequence[Written], created_at: int) -> tuple[OutboxRow, ...]:
    """The further parts of a message whose first part went to the place of its first row."""
    target = Target(first.chat_id, first.topic)
    return tuple(
        _written_row(OutboxKind.REST, _key("rest", first.key, number), target, part, created_at)
        for number, part in enumerate(parts, 2)
    )


def short_id(row: OutboxRow) -> str:
    """Four letters by which a reader recognises a repeat of a row's message."""
    alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # none that look alike
    digest = hashlib.sha256(row.key.encode()).digest()
    return "".join(alphabet[byte % len(alphabet)] for byte in digest[:4])


def _payload(event: Event, *, flapping: bool) -> bytes:
    if not flapping:
        return encode_event(event)
    return msgspec.json.encode(msgspec.to_builtins(event) | {"flapping": True})


def _key(*parts: object) -> str:
    return "|".join("" if part is None else str(part) for part in parts)


def _expires_at(event: Event, created_at: int) -> int | None:
    """A countdown is worthless once T has passed; one told at T or later is not about T."""
    left = event.snapshot.next_funding_time - event.at
    if not event.countdown or event.kind is Kind.RESOLVED or left <= 0:
        return None
    return created_at + left


def _written_row(
    kind: OutboxKind, key: str, target: Target, written: Written, created_at: int
) -> OutboxRow:
    payload = encode_written(written)
    return OutboxRow(key, kind, target.chat_id, target.topic, payload, created_at)
