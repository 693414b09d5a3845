"""Rows that go to a chat, made into messages: alerts in a row together, all else by itself."""

from collections.abc import Sequence
from itertools import groupby

import msgspec

from bot.locale import translator
from bot.notify.channel import Written
from bot.notify.item import Item, Reader
from bot.notify.markup import split_html
from bot.notify.message import LATE, doubt_mark, late_mark, write
from bot.notify.payload import decode_payload, event_of, is_flapping, short_id
from bot.store.records import OutboxKind, OutboxRow


def runs(rows: Sequence[OutboxRow]) -> list[list[OutboxRow]]:
    """The rows of one chat as messages: answers first, then topic by topic in order.

    Alerts that stand next to each other in a topic are one message.
    """
    ordered = sorted(rows, key=lambda row: (row.kind is not OutboxKind.REPLY, row.id))
    topics = list(dict.fromkeys(row.topic for row in ordered))
    ordered.sort(key=lambda row: (row.kind is not OutboxKind.REPLY, topics.index(row.topic)))
    grouped: list[list[OutboxRow]] = []
    for (kind, _), group in groupby(ordered, key=lambda row: (row.kind, row.topic)):
        if kind is OutboxKind.ALERT:
            grouped.append(list(group))
        else:
            grouped += [[row] for row in group]
    return grouped


def too_late(row: OutboxRow, now: int, max_age: int) -> bool:
    """Whether a row is no longer worth sending.

    Alerts age, and answers and notices do where they may have arrived; else those are sent
    however late, and an edit always is.
    """
    if row.expires_at is not None and now >= row.expires_at:
        return True
    ages = row.kind is OutboxKind.ALERT or (row.doubtful and row.kind is not OutboxKind.EDIT)
    return ages and now - row.created_at > max_age


def written_of(
    run: Sequence[OutboxRow], reader: Reader, now: int, reply_to: int | None = None
) -> list[Written]:
    """A run as messages that each fit; more than one only where the text is too long for one.

    The first one answers `reply_to`, the last one carries the buttons.
    """
    first = run[0]
    if first.kind is OutboxKind.ALERT:
        written = write([_item(row, now) for row in run], reader, reply_to)
    else:
        payload = decode_payload(first)
        assert isinstance(payload, Written)
        written = _marked(payload, first, reader, now)
    return _parts(written)


def items_of(rows: Sequence[OutboxRow], now: int) -> list[Item]:
    """The alerts among rows, to be written about."""
    return [_item(row, now) for row in rows if row.kind is OutboxKind.ALERT]


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
    texts = split_html(written.text)
    if len(texts) == 1 or written.edit_of is not None:
        return [msgspec.structs.replace(written, text=texts[0])]
    return [
        msgspec.structs.replace(
            written,
            text=text,
            buttons=written.buttons if position == len(texts) - 1 else (),
            reply_to=written.reply_to if position == 0 else None,
        )
        for position, text in enumerate(texts)
    ]
