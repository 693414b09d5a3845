"""The one line that tells of what came too late to be sent."""

from collections.abc import Callable, Sequence

import msgspec

from bot.alerts.event import Event
from bot.locale import Translate, formats, translator
from bot.notify.channel import Written
from bot.notify.item import Reader
from bot.notify.markup import escape
from bot.notify.message import doubt_mark
from bot.notify.payload import event_of, notice_row, short_id
from bot.rules.rule import Target
from bot.store.records import OutboxRow

TOO_LATE = "too late"  # the error of such a row
_SYMBOLS = 10  # that the line names
_STILL_ON = 20  # alerts that it names

IsOn = Callable[[str, str, int], bool]  # of a rule id, a symbol and an episode


def missed(
    rows: Sequence[OutboxRow], is_on: IsOn, reader: Reader, doubtful: OutboxRow | None = None
) -> Written:
    """The line for alerts of one chat, in their order; however many, few are read.

    What is still on is named as such: its "fired" may be among them. `doubtful` is one of them
    that may have arrived, as this line may.
    """
    translate = translator(reader.language)
    first = _event(rows[0])
    start = formats.moment(rows[0].created_at if first is None else first.at, reader.timezone)
    symbols = list(dict.fromkeys(row.symbol for row in rows))
    named = ", ".join(symbols[:_SYMBOLS]) + (" …" if len(symbols) > _SYMBOLS else "")
    text = _count_text(len(rows), translate).format(
        count=len(rows), start=start, symbols=escape(named)
    )
    if on := _still_on(rows, is_on):
        alerts = ", ".join(map(_alert, on[:_STILL_ON]))
        if len(on) > _STILL_ON:
            alerts += " " + translate("and {count} more").format(count=len(on) - _STILL_ON)
        text += " " + translate("Still on: {alerts}.").format(alerts=alerts)
    if doubtful is not None:
        text += "\n" + doubt_mark(short_id(doubtful), translate)
    return Written(text)


def _count_text(count: int, translate: Translate) -> str:
    if count == 1:
        return translate(
            "⏱ Not sent, because it would have come too late: 1 alert from {start} ({symbols})."
        )
    return translate(
        "⏱ Not sent, because it would have come too late: {count} alerts from {start} on "
        "({symbols})."
    )


def line_row(rows: Sequence[OutboxRow], topic: int | None, written: Written, now: int) -> OutboxRow:
    """The record of a line that is sent at that time (ms)."""
    target = Target(rows[0].chat_id, topic)
    row = notice_row(f"missed {rows[0].key}", target, written, now)
    return msgspec.structs.replace(row, attempts=1)


def _still_on(rows: Sequence[OutboxRow], is_on: IsOn) -> list[OutboxRow]:
    """A row of each episode that is on, in order."""
    episodes: dict[tuple[str, str, int], OutboxRow] = {}
    for row in rows:
        episodes.setdefault((row.rule_id, row.symbol, row.episode), row)
    return [row for episode, row in episodes.items() if is_on(*episode)]


def _alert(row: OutboxRow) -> str:
    """`BTCUSDT (hot-longs)`."""
    event = _event(row)
    return escape(row.symbol if event is None else f"{row.symbol} ({event.rule})")


def _event(row: OutboxRow) -> Event | None:
    """None where the payload is broken: it counts all the same."""
    try:
        return event_of(row)
    except msgspec.MsgspecError:
        return None
