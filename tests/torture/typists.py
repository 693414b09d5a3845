"""People who type commands whose second effect would show, and what they must be answered."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from tests.doubles.telegram import Message, TelegramDouble
from tests.torture.ledger import MARK

ADMIN = 7
PEOPLE = tuple(range(201, 231))
GROUPS = tuple(range(-2_010, -2_000))  # in which the admin types
MOST_WATCHES = 2
MOST_WAITING = 20  # commands


@dataclass
class Typist:
    """One chat. `answers` are words that each answer must hold, in the commands' order."""

    chat_id: int
    lines: dict[int, str] = field(default_factory=dict)  # watches by number, as they must be left
    answers: list[tuple[str, ...]] = field(default_factory=list)
    heard: int = 0  # answers that came
    repeats: int = 0
    faults: list[str] = field(default_factory=list)
    _made: int = 0
    _muted: bool = False

    def type(self, telegram: TelegramDouble, chance: random.Random) -> None:
        """One more command."""
        command, words = self._next(chance)
        user_id = self.chat_id if self.chat_id > 0 else ADMIN
        telegram.say(user_id, command, chat_id=self.chat_id)
        self.answers.append(words)

    def _next(self, chance: random.Random) -> tuple[str, tuple[str, ...]]:
        if chance.random() < 0.2:
            self._muted = not self._muted
            if self._muted:
                return "/mute 20d", ("Muted for",)
            return "/unmute", ("Unmuted.",)
        if len(self.lines) < MOST_WATCHES and (not self.lines or chance.random() < 0.6):
            self._made += 1
            line = self.lines[self._made] = f"BTCUSDT mark > {1_000_000 + self._made}"
            return f"/watch {line}", (f"#{self._made} BTCUSDT", line.partition(" ")[2])
        number = chance.choice(list(self.lines))
        line = self.lines.pop(number)
        return f"/unwatch {number}", (f"/watch {line}",)

    def hear(self, message: Message) -> None:
        """An answer must be the next one, or the last one again with the mark."""
        if self._is(self.heard, message):
            self.heard += 1
        elif self.heard and self._is(self.heard - 1, message):
            self.repeats += 1
            if MARK not in message.text:
                self.faults.append(f"{self.chat_id} heard again, unmarked: {message.text}")
        else:
            self.faults.append(f"{self.chat_id} heard in place of {self.due}: {message.text}")

    @property
    def due(self) -> tuple[str, ...] | None:
        """What is to be answered next."""
        return self.answers[self.heard] if self.heard < len(self.answers) else None

    def _is(self, number: int, message: Message) -> bool:
        return number < len(self.answers) and all(
            words in message.text for words in self.answers[number]
        )


class Typists:
    """All of them; few commands wait at a time."""

    def __init__(self, telegram: TelegramDouble, chance: random.Random) -> None:
        self.all = {chat_id: Typist(chat_id) for chat_id in (*PEOPLE, *GROUPS)}
        self._telegram = telegram
        self._chance = chance
        self._read = 0
        self.allowed = 0  # commands so far
        telegram.add_chat(ADMIN, "private")
        for chat_id in self.all:
            telegram.add_chat(chat_id, "private" if chat_id > 0 else "supergroup", admins=(ADMIN,))

    @property
    def said(self) -> int:
        return sum(len(one.answers) for one in self.all.values())

    @property
    def heard(self) -> int:
        return sum(one.heard for one in self.all.values())

    @property
    def repeats(self) -> Counter[int]:
        return Counter({chat_id: one.repeats for chat_id, one in self.all.items()})

    @property
    def faults(self) -> list[str]:
        return [fault for one in self.all.values() for fault in one.faults]

    @property
    def watches(self) -> list[list[object]]:
        """Chat, number and line of every watch that must be left."""
        return sorted(
            [chat_id, number, line]
            for chat_id, one in self.all.items()
            for number, line in one.lines.items()
        )

    async def go_on(self, commands: int) -> None:
        """Types as many as are allowed, a few at a time, until all are answered."""
        while self.heard < commands:
            await asyncio.sleep(0.005)
            self.listen()
            waiting = self.said - self.heard
            for _ in range(min(MOST_WAITING - waiting, self.allowed - self.said)):
                self._chance.choice(list(self.all.values())).type(self._telegram, self._chance)

    def listen(self) -> None:
        """Reads on in what the program sent."""
        while self._read < len(self._telegram.messages):
            message = self._telegram.messages[self._read]
            self._read += 1
            if message.chat_id in self.all:
                self.all[message.chat_id].hear(message)
