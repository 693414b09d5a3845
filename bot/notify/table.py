"""Many alerts as a table of fixed columns that a phone shows without wrapping."""

import unicodedata
from collections.abc import Sequence

import msgspec

from bot.alerts.event import Event
from bot.alerts.lifecycle import Kind
from bot.locale import Translate, translator
from bot.notify.channel import Written
from bot.notify.item import Item, Reader
from bot.notify.keyboard import more_keyboard
from bot.notify.markup import escape
from bot.notify.term import term_text
from bot.rules.rule import Severity

ROWS = 20  # of the first table
MORE_ROWS = 100  # of each further page: 100 rows of at most 35 units stay below 4096
WIDTH = 34  # columns
_VALUE_WIDTH = 15
FLAPPING = "⇅"  # instead of the sign of a firing
_SIGNS = {Kind.FIRED: "▲", Kind.REMINDED: "↻", Kind.RESOLVED: "✓"}
_RANKS = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


class Page(msgspec.Struct, frozen=True):
    """A stretch of a table, how many rows come after it, and the first of them."""

    text: str
    left: int
    next_row: int | None


def strongest_first(items: Sequence[Item]) -> list[Item]:
    """The order of a table: severity, then the yearly rate's magnitude, then the outbox's order.

    It depends on the alerts alone, so that a later page finds its place again.
    """
    return sorted(items, key=lambda item: (*_strength(item.event), item.row_id))


def table(items: Sequence[Item], start: int, rows: int = ROWS) -> Page:
    """The rows from a position on, as HTML."""
    ordered = strongest_first(items)
    shown, rest = ordered[start : start + rows], ordered[start + rows :]
    lines = "\n".join(escape(_line(item)) for item in shown)
    return Page(f"<pre>{lines}</pre>", len(rest), rest[0].row_id if rest else None)


def write_more(items: Sequence[Item], row_id: int, reader: Reader) -> Written:
    """The answer to `more:<row id>`: the table of a message from that alert on.

    `items` are all alerts of the message; from the start where the row is not among them.
    """
    translate = translator(reader.language)
    ids = [item.row_id for item in strongest_first(items)]
    start = ids.index(row_id) if row_id in ids else 0
    page = table(items, start, MORE_ROWS)
    last = len(ids) - page.left
    heading = translate("{first}–{last} of {count} alerts")
    text = heading.format(first=start + 1, last=last, count=len(ids))
    return Written(
        f"<b>{text}</b>\n{page.text}", more_keyboard(page.left, page.next_row, translate)
    )


def totals(items: Sequence[Item], translate: Translate) -> str:
    """`37 alerts: ▲ 30 on, ↻ 2 still on, ✓ 5 over`, without the parts that are zero."""
    counts = {kind: sum(item.event.kind is kind for item in items) for kind in Kind}
    words = {
        Kind.FIRED: translate("{count} on"),
        Kind.REMINDED: translate("{count} still on"),
        Kind.RESOLVED: translate("{count} over"),
    }
    parts = [
        f"{_SIGNS[kind]} {words[kind].format(count=count)}"
        for kind, count in counts.items()
        if count
    ]
    return translate("{count} alerts").format(count=len(items)) + ": " + ", ".join(parts)


def _strength(event: Event) -> tuple[int, float]:
    apr = event.snapshot.apr
    return _RANKS[event.severity], -abs(apr) if apr is not None else 0.0


def _line(item: Item) -> str:
    """`▲ 1000PEPEUSDT       +0.0612 %`: sign, doubt, symbol, value; 34 columns."""
    event = item.event
    value = "?" if event.value is None else term_text(event.headline, event.value)
    room = WIDTH - 2 - max(len(value), _VALUE_WIDTH) - 1
    symbol = _fitted(event.symbol, room)
    sign = FLAPPING if item.flapping else _SIGNS[event.kind]
    sign += "?" if item.doubt else " "
    return f"{sign}{symbol} {value:>{WIDTH - 3 - room}}"[:WIDTH]


def _fitted(text: str, columns: int) -> str:
    """Filled up, or cut with an ellipsis, to so many columns; East Asian letters take two."""
    if _columns(text) > columns:
        while text and _columns(text) > columns - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (columns - _columns(text))


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
