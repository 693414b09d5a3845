"""Rows that go to a chat, made into messages: alerts of a topic together, all else by itself."""

from collections.abc import Sequence

import msgspec

from bot.locale import translator
from bot.notify.channel import Written
from bot.notify.item import Item, Reader
from bot.notify.markup import MAX_BYTES, MAX_UNITS, split_html
from bot.notify.message import LATE, doubt_mark, late_mark, write
from bot.notify.payload import decode_payload, event_of, is_flapping, short_id
from bot.store.records import OutboxKind, OutboxRow

_MARKS = 256  # units and bytes that are left free in each of several parts, for its own marks


def first_message(rows: Sequence[OutboxRow]) -> tuple[list[OutboxRow], list[OutboxRow]]:
    """What of the claimed rows of a chat goes as one message, and those that are left.

    They are one row, or alerts in order; those of the first one's topic go together.
    """
    topic = rows[0].topic
    return [row for row in rows if row.topic == topic], [row for row in rows if row.topic != topic]


def one_rule(run: Sequence[OutboxRow]) -> str:
    """The rule that all of a message's alerts are of; "" where there is no such one."""
    rules = {row.rule_id for row in run if row.kind is OutboxKind.ALERT}
    return rules.pop() if len(rules) == 1 else ""


def too_late(row: OutboxRow, now: int, max_age: int) -> bool:
    """Whether a row is no longer worth sending.

    Alerts age, and all else does where it may have arrived; else that is sent however late.
    """
    if row.expires_at is not None and now >= row.expires_at:
        return True
    ages = row.kind is OutboxKind.ALERT or row.doubtful
    return ages and now - row.created_at > max_age


def written_of(
    run: Sequence[OutboxRow], reader: Reader, now: int, reply_to: int | None = None
) -> list[Written]:
    """A run as messages that each fit; more than one only where the text is too long for one.

    The first one answers `reply_to`, the last one carries the buttons. The mark of a possible
    repeat stands at the end of one, and at the top of the first of several: the others are sent
    once that one has certainly arrived.
    """
    parts = _parts(_written(run, reader, now, reply_to))
    if len(parts) == 1 or not run[0].doubtful:
        return parts
    once = [msgspec.structs.replace(row, doubtful=False) for row in run]
    written = _written(once, reader, now, reply_to)
    mark = doubt_mark(short_id(run[0]), translator(reader.language))
    return _parts(msgspec.structs.replace(written, text=f"{mark}\n{written.text}"))


def items_of(rows: Sequence[OutboxRow], now: int) -> list[Item]:
    """The alerts among rows, to be written about."""
    return [_item(row, now) for row in rows if row.kind is OutboxKind.ALERT]


def _written(run: Sequence[OutboxRow], reader: Reader, now: int, reply_to: int | None) -> Written:
    if run[0].kind is OutboxKind.ALERT:
        return write([_item(row, now) for row in run], reader, reply_to)
    payload = decode_payload(run[0])
    assert isinstance(payload, Written)
    return _marked(payload, run[0], reader, now)


def _item(row: OutboxRow, now: int) -> Item:
    doubt = short_id(row) if row.doubtful else ""
    late = max(now - row.created_at, 0)
    return Item(row.id, event_of(row), late, doubt, is_flapping(row))


def _marked(written: Written, row: OutboxRow, reader: Reader, now: int) -> Written:
    if written.edit_of is not None:  # an edit cannot arrive twice
        return written
    translate = translator(reader.language)
    marks = []
    if now - row.created_at >= LATE:
        marks.append(late_mark(now - row.created_at, translate))
    if row.doubtful:
        marks.append(doubt_mark(short_id(row), translate))
    if not marks:
        return written
    return msgspec.structs.replace(written, text="\n".join([written.text, *marks]))


def _parts(written: Written) -> list[Written]:
    """Its parts, each with room for what marks it as late or as a possible repeat."""
    texts = split_html(written.text)
    if len(texts) == 1 or written.edit_of is not None:
        return [msgspec.structs.replace(written, text=texts[0])]
    texts = split_html(written.text, MAX_UNITS - _MARKS, MAX_BYTES - _MARKS)
    return [
        msgspec.structs.replace(
            written,
            text=text,
            buttons=written.buttons if position == len(texts) - 1 else (),
            reply_to=written.reply_to if position == 0 else None,
        )
        for position, text in enumerate(texts)
    ]
