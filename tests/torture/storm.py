"""Hundreds of symbols that cross together, and the many chats that watch all of them."""

import asyncio
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.app.program import Place
from tests.doubles.telegram import Message, TelegramDouble

_ROW = re.compile(r"^([▲✓])(.)(\S+) +\+[\d.]+ %$", re.MULTILINE)
_HEADLINE = re.compile(r"^(?:🔔|(✅)) (\S+) ", re.MULTILINE)
_TOTAL = re.compile(r"^🔔 (\d+) alerts: ")
_PAGE = re.compile(r"^(\d+)–(\d+) of (\d+) alerts")
_PATIENCE = 180.0  # s


@dataclass
class Told:
    """What one chat was told of one swing of the market."""

    messages: list[Message] = field(default_factory=list)
    alerts: int = 0  # as the messages count them
    symbols: set[tuple[str, bool]] = field(default_factory=set)  # those that can be read; over

    def take(self, message: Message) -> None:
        self.messages.append(message)
        total = _TOTAL.match(message.text)
        shown = read(message)
        self.symbols |= shown
        self.alerts += int(total[1]) if total else len(shown)


def read(message: Message) -> set[tuple[str, bool]]:
    """The symbols that a message names, each with whether its alert is over."""
    rows = {(symbol, sign == "✓") for sign, _, symbol in _ROW.findall(message.text)}
    return rows or {(symbol, bool(over)) for over, symbol in _HEADLINE.findall(message.text)}


class Storm:
    """The market's swings and what the chats hear of them."""

    def __init__(self, place: Place, chats: Iterable[int], symbols: int) -> None:
        self.place = place
        self.chats = tuple(chats)
        listings = place.venue.universe.listings.values()
        trading = [one.symbol for one in listings if one.funded and not one.coin_margined]
        self.symbols = frozenset(trading[:symbols])
        assert len(self.symbols) == symbols, f"only {len(trading)} trade"
        self._others = [one for one in place.venue.universe.listings if one not in self.symbols]
        self._heard = 0
        self.times: list[float] = []  # s until all had been told, of each swing
        for chat_id in self.chats:
            place.telegram.add_chat(chat_id, "private")
        self.calm()

    @property
    def telegram(self) -> TelegramDouble:
        return self.place.telegram

    def calm(self) -> None:
        """Every rate is back below every threshold, with the next push."""
        for symbol in (*self._others, *self.symbols):
            self.place.venue.set_row(symbol, mark="100", index="100", rate="0.00010000")

    def rage(self) -> None:
        """Every rate is over, with the next push; each its own."""
        for number, symbol in enumerate(sorted(self.symbols)):
            self.place.venue.set_row(symbol, rate=f"{0.002 + number * 1e-6:.8f}")

    def write_rules(self, *, by_file: bool) -> None:
        """One rule for all chats; or one about something else."""
        if by_file:
            rule = f'{{name: all, symbols: ALL, when: "rate > 0.1%", to: {list(self.chats)}}}'
        else:
            rule = '{name: other, symbols: BTCUSDT, when: "mark > 1k", to: [1001]}'
        self.place.write_rules(rule)

    async def watch(self) -> None:
        """Every chat asks for ALL."""
        for chat_id in self.chats:
            self.telegram.say(chat_id, "/watch ALL rate > 0.1%")
        await self._until(lambda: all(self.telegram.to(chat_id) for chat_id in self.chats))
        self._heard = len(self.telegram.messages)

    async def told(self) -> dict[int, Told]:
        """Waits until every chat has been told of every symbol; what each was told since."""
        began = time.monotonic()
        told: dict[int, Told] = {chat_id: Told() for chat_id in self.chats}

        def complete() -> bool:
            for message in self.telegram.messages[self._heard :]:
                if message.chat_id in told:
                    told[message.chat_id].take(message)
            self._heard = len(self.telegram.messages)
            return all(one.alerts >= len(self.symbols) for one in told.values())

        await self._until(complete)
        self.times.append(time.monotonic() - began)
        return told

    async def settled(self) -> None:
        """Waits until the program has written down what came of all it sent."""
        query = "SELECT count(*) FROM outbox WHERE status IN ('new', 'leased', 'uncertain')"
        with sqlite3.connect(f"file:{self.place.folder}/bot.db?mode=ro", uri=True) as database:
            async with asyncio.timeout(_PATIENCE):
                while database.execute(query).fetchone() != (0,):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)  # a database rings no bell

    async def open_all(self, told: dict[int, Told]) -> int:
        """Presses every "+N more" through to its end; the number of presses."""
        begun = len(self.telegram.messages)
        pressed = await asyncio.gather(
            *(self._open(chat_id, one, begun) for chat_id, one in told.items())
        )
        self._heard = len(self.telegram.messages)
        return sum(pressed)

    async def _open(self, chat_id: int, told: Told, begun: int) -> int:
        pressed = 0
        for message in told.messages:
            page: Message | None = message
            while page is not None and (more := _more(page)):
                seen = sum(m.chat_id == chat_id for m in self.telegram.messages[begun:])
                self.telegram.press(page, more)
                page = await self._page(chat_id, begun, seen)
                told.symbols |= read(page)
                pressed += 1
        return pressed

    async def _page(self, chat_id: int, begun: int, seen: int) -> Message:
        """The next message of a chat, which must be a page of a table."""

        def new() -> list[Message]:
            mine = [m for m in self.telegram.messages[begun:] if m.chat_id == chat_id]
            return mine[seen:]

        await self._until(new)
        page = new()[0]
        assert _PAGE.match(page.text), page.text
        return page

    async def _until(self, holds: Callable[[], object]) -> None:
        await self.telegram.wait_for(holds, _PATIENCE)


def most_messages(told: dict[int, Told]) -> int:
    return max(len(one.messages) for one in told.values())


def unread(told: dict[int, Told], symbols: frozenset[str], *, over: bool) -> dict[int, set[str]]:
    """What chats cannot read anywhere, by chat."""
    missing = defaultdict(set)
    for chat_id, one in told.items():
        if lacking := symbols - {name for name, is_over in one.symbols if is_over is over}:
            missing[chat_id] = set(lacking)
    return dict(missing)


def _more(message: Message) -> str:
    return next((data for data in message.data if data.startswith("more:")), "")
