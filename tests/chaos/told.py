"""What the chats were told, read from the messages themselves."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from tests.chaos.weather import number_of
from tests.doubles.telegram import Message

FIRED, RESOLVED = "fired", "resolved"
DOUBT, BACK = "doubt", "back"

UNKNOWN = Decimal(-1)  # the value of a message that shows none; no row has it
_VALUE = r"(?:([+-]?[\d.]+) %)?"
_FIRED = re.compile(rf"🔔 (\S+USDT) {_VALUE}")
_RESOLVED = re.compile(rf"✅ (\S+USDT) over after .*(?:\nNow: {_VALUE})?")
_ROW = re.compile(rf"([▲✓]).(\S+USDT) +{_VALUE}")  # of a table: on or over
_NOTICES = {
    DOUBT: re.compile(r"feed is (silent|in doubt)"),
    BACK: re.compile(r"feed is back"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """One alert of a message. `at` is local monotonic seconds, `value` the rate it shows."""

    at: float
    symbol: str
    kind: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class Notice:
    """A word to the admins about the feed."""

    at: float
    kind: str
    text: str = ""


def alerts(messages: Iterable[Message]) -> list[Told]:
    """Every alert, in the order in which the messages arrived."""
    return [told for message in messages for told in _of(message)]


def _of(message: Message) -> list[Told]:
    """In the order in which they happened: a table has the strongest first."""
    told = []
    for block in message.text.split("\n\n"):
        for kind, pattern in ((FIRED, _FIRED), (RESOLVED, _RESOLVED)):
            if found := pattern.match(block):
                told.append(Told(message.at, found[1], kind, _fraction(found[2])))
        for sign, symbol, value in _ROW.findall(block):
            kind = FIRED if sign == "▲" else RESOLVED
            told.append(Told(message.at, symbol, kind, _fraction(value)))
    return sorted(told, key=lambda one: (number_of(one.value), one.kind == RESOLVED))


def notices(messages: Iterable[Message]) -> list[Notice]:
    """What was said about the feed as a whole."""
    return [
        Notice(message.at, kind, message.text)
        for message in messages
        for kind, pattern in _NOTICES.items()
        if pattern.search(message.text)
    ]


def _fraction(percent: str | None) -> Decimal:
    return Decimal(percent) / 100 if percent else UNKNOWN
