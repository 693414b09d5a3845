"""What chats were told, read from the messages themselves: each alert is known by its value."""

import re
from dataclasses import dataclass

from tests.doubles.telegram import Message, TelegramDouble

MARK = "ossible repeat"
_FIRED = re.compile(r"🔔 (\S+) \+([\d.]+) %")
_OVER = re.compile(r"✅ (\S+) over after .* peak \+([\d.]+) %")
_ROW = re.compile(r"([▲✓])(.)(\S+) +\+([\d.]+) %")  # of a table: on or over, `?` a repeat


@dataclass(frozen=True)
class Told:
    """One alert: the `number`-th time that a symbol went over or came back."""

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
        for block in message.text.split("\n\n"):
            for pattern, over in ((_FIRED, False), (_OVER, True)):
                if found := pattern.match(block):
                    told = Told(message.chat_id, found[1], over, _number(found[2]))
                    self.copies.setdefault(told, []).append(MARK in block)
            for sign, mark, symbol, value in _ROW.findall(block):
                told = Told(message.chat_id, symbol, sign == "✓", _number(value))
                self.copies.setdefault(told, []).append(mark == "?")
