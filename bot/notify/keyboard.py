"""The inline buttons and what they say when pressed.

    data            changes  meaning
    why:<SYMBOL>    no       why the rules of this chat on the symbol are on or silent
    more:<row id>   no       the rest of a table, from the alert of this outbox row on
    list:<page>     no       a page of /list, from 1
    mute:<seconds>  yes      nothing is sent to this chat for so long
    unmute          yes      ends a mute
    unwatch:<n>     yes      ends the chat's watch number n
    resume:<hex>    yes      ends the pause of the rule with this handle

Data is 1 to 64 bytes (Bot API, InlineKeyboardButton); a button that would need more is left out.
"""

import hashlib

from bot.alerts.event import Event
from bot.alerts.lifecycle import Kind
from bot.locale import Translate
from bot.notify.channel import Button

Keyboard = tuple[tuple[Button, ...], ...]

MAX_DATA = 64  # bytes
MUTE_SECONDS = 3_600


def alert_keyboard(event: Event, translate: Translate) -> Keyboard:
    """Under one alert; none under the end of one."""
    if event.kind is Kind.RESOLVED:
        return ()
    why = Button(translate("Why"), f"why:{event.symbol}")
    number = watch_number(event.rule_id)
    stop = [] if number is None else [Button(translate("Stop watching"), f"unwatch:{number}")]
    return keyboard([[why, _mute(translate)], stop])


def table_keyboard(more: int, first_row: int | None, translate: Translate) -> Keyboard:
    """Under several alerts; `first_row` is the outbox row of the first that is not shown."""
    rest = []
    if first_row is not None:
        text = translate("Show {count} more").format(count=more)
        rest = [Button(text, f"more:{first_row}")]
    return keyboard([rest, [_mute(translate)]])


def more_keyboard(more: int, first_row: int | None, translate: Translate) -> Keyboard:
    """Under a further page of a table."""
    return table_keyboard(more, first_row, translate)[:1] if first_row is not None else ()


def pause_keyboard(rule_id: str, translate: Translate) -> Keyboard:
    """Under the word that a rule is paused."""
    return keyboard([[Button(translate("Resume"), f"resume:{rule_handle(rule_id)}")]])


def rule_handle(rule_id: str) -> str:
    """Eight hex digits that name a rule in its chat, for a name may be too long for a button.

    A watch is named by its number, which it keeps when its chat gets another id.
    """
    number = watch_number(rule_id)
    name = rule_id if number is None else f"#{number}"
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def keyboard(rows: list[list[Button]]) -> Keyboard:
    """Rows of buttons without those whose data is too long, and without empty rows."""
    kept = (tuple(button for button in row if fits(button.data)) for row in rows)
    return tuple(row for row in kept if row)


def fits(data: str) -> bool:
    return 1 <= len(data.encode()) <= MAX_DATA


def watch_number(rule_id: str) -> int | None:
    """The number of a chat's watch in its chat; None for a rule of the file."""
    kind, _, rest = rule_id.partition(":")
    number = rest.rpartition(":")[2]
    return int(number) if kind == "watch" and number.isdecimal() else None


def _mute(translate: Translate) -> Button:
    return Button(translate("Mute 1 h"), f"mute:{MUTE_SECONDS}")
