"""Copies for the second channel: which rows an address is to get, and how they read there. Pure."""

from collections.abc import Container, Iterable, Sequence
from itertools import groupby

import msgspec

from bot.locale import formats, translator
from bot.notify.batch import items_of
from bot.notify.channel import Written
from bot.notify.item import Reader
from bot.notify.markup import plain_text
from bot.notify.message import doubt_mark, write
from bot.notify.payload import decode_payload, is_fault, short_id
from bot.rules.rule import Target
from bot.store.records import OutboxKind, OutboxRow

MOST_NOTICES = 40  # in one message
_TODAY = 43_200_000  # ms; what began longer ago is told with its date

Admins = Container[int]


def wants(row: OutboxRow, to: Target | None, admins: Admins) -> bool:
    """Whether a row is for an address: a chat's (of one topic, if named) or a fault."""
    if to is None:
        return row.kind is OutboxKind.NOTICE and row.chat_id in admins and is_fault(row)
    return row.chat_id == to.chat_id and to.topic in (None, row.topic)


def token(row: OutboxRow, to: Target | None) -> str:
    """What is the same for rows of which an address gets one: each admin has a notice's own."""
    if to is not None:
        return row.key
    return row.key.removesuffix(f"|{row.chat_id}|{'' if row.topic is None else row.topic}")


def due(rows: Iterable[OutboxRow], to: Target | None, admins: Admins) -> list[OutboxRow]:
    """The rows that an address is to get, in order, as many as one message takes."""
    found: dict[str, OutboxRow] = {}
    notices = 0
    for row in rows:
        if not wants(row, to, admins) or token(row, to) in found:
            continue
        notices += row.kind is not OutboxKind.ALERT
        if notices > MOST_NOTICES:
            break
        found[token(row, to)] = row
    return list(found.values())


def write_copies(
    rows: Sequence[OutboxRow], repeated: Container[int], reader: Reader, since: int, now: int
) -> str:
    """Plain text: why it comes this way, then the rows, alerts in a row together.

    `repeated` are the ids of rows that may have come before, `since` when Telegram last answered.
    """
    _ = translator(reader.language)
    time = formats.clock if now - since < _TODAY else formats.moment
    head = _("Telegram cannot be reached since {time}; this comes by the second channel.")
    parts = [head.format(time=time(since, reader.timezone))]
    for kind, group in groupby(rows, key=lambda row: row.kind):
        if kind is OutboxKind.ALERT:
            marked = [msgspec.structs.replace(row, doubtful=row.id in repeated) for row in group]
            parts.append(plain_text(write(items_of(marked, now), reader).text))
            continue
        for row in group:
            payload = decode_payload(row)
            assert isinstance(payload, Written)
            text = payload.text if payload.plain else plain_text(payload.text)
            mark = doubt_mark(short_id(row), _) if row.id in repeated else ""
            parts.append("\n".join(filter(None, (text, mark))))
    return "\n\n".join(parts)


def write_over(reader: Reader) -> str:
    """The last word of an outage."""
    _ = translator(reader.language)
    return _("Telegram can be reached again: what waited comes there, and nothing more comes here.")
