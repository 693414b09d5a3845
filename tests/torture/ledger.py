"""What chats were told, read from the messages themselves: each alert is known by its value."""

import re
from dataclasses import dataclass

from tests.doubles.telegram import Message, TelegramDouble

MARK = "ossible repeat"
_HEADLINES = {
    "fired": re.compile(r"^🔔 (\S+) \+([\d.]+) %", re.MULTILINE),
    "reminded": re.compile(r"^🔁 (\S+) \+([\d.]+) % .*still on", re.MULTILINE),
    "resolved": re.compile(r"^✅ (\S+) over after .* peak \+([\d.]+) %", re.MULTILINE),
}
_SIGNS = {"▲": "fired", "↻": "reminded", "✓": "resolved"}
_ROW = re.compile(r"^([▲✓↻])(.)(\S+) +\+([\d.]+) %", re.MULTILINE)  # of a table; `?` a repeat


@dataclass(frozen=True)
class Alert:
    """The `number`-th time that a symbol went over, still was, or came back."""

    kind: str
    symbol: str
    number: int


@dataclass(frozen=True)
class Copy:
    """An alert in a message: where in its text, and whether it is said to be a possible repeat."""

    alert: Alert
    position: int
    marked: bool
    in_full: bool  # not a row of a table


@dataclass(frozen=True)
class Told:
    """One alert in one chat."""

    chat_id: int
    symbol: str
    over: bool
    number: int


def high(number: int) -> str:
    """A rate that fires `rate > 0.1%`, and says which one it is."""
    return f"{0.002 + number * 1e-6:.8f}"


def low(number: int) -> str:
    return f"{0.0001 + number * 1e-6:.8f}"


def _number(percent: str) -> int:
    value = round(float(percent) * 10_000)
    return value - 2_000 if value >= 2_000 else value - 100


def copies_in(text: str) -> list[Copy]:
    """The alerts of a message in its order; those of a table bear their marks row by row."""
    marked = MARK in text
    found = [
        Copy(Alert(kind, match[1], _number(match[2])), match.start(), marked, in_full=True)
        for kind, pattern in _HEADLINES.items()
        for match in pattern.finditer(text)
    ]
    found += [
        Copy(
            Alert(_SIGNS[row[1]], row[3], _number(row[4])),
            row.start(),
            marked and row[2] == "?",
            in_full=False,
        )
        for row in _ROW.finditer(text)
    ]
    return sorted(found, key=lambda copy: copy.position)


class Ledger:
    """Alerts in the order in which they arrived, and whether each copy bore the mark."""

    def __init__(self, telegram: TelegramDouble) -> None:
        self._telegram = telegram
        self._read = 0
        self.copies: dict[Told, list[bool]] = {}

    def heard(self, told: Told) -> bool:
        while self._read < len(self._telegram.messages):
            self._note(self._telegram.messages[self._read])
            self._read += 1
        return told in self.copies

    @property
    def repeats(self) -> int:
        return sum(len(marks) - 1 for marks in self.copies.values())

    @property
    def unmarked(self) -> list[Told]:
        """Those that came again without a word about it."""
        return [told for told, marks in self.copies.items() if not all(marks[1:])]

    def order(self, chat_id: int, symbol: str) -> list[tuple[int, bool]]:
        """The first copies about a symbol, as (number, over)."""
        return [
            (told.number, told.over)
            for told in self.copies
            if (told.chat_id, told.symbol) == (chat_id, symbol)
        ]

    def _note(self, message: Message) -> None:
        for copy in copies_in(message.text):
            alert = copy.alert
            over = alert.kind == "resolved"
            told = Told(message.chat_id, alert.symbol, over, alert.number)
            self.copies.setdefault(told, []).append(copy.marked)
