"""A market that goes up and down, people who type, and somebody who kills the program.

Everything waits for what it expects before it goes on, so what each chat must have been told is
known here exactly and not read from the program's own records.
"""

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from tests.app.program import Place, Run
from tests.doubles.telegram import Fault, TelegramDouble
from tests.torture.ledger import MARK, Ledger, Told, high, low

CHATS = (7, 8, 9)  # hear alerts
TYPIST = 10
WIDE = ("LTCUSDT", "BCHUSDT", "1000SHIBUSDT")  # rules for all of them
OF_FILE = {
    7: ("ETHUSDT", "AVAXUSDT", "NEARUSDT"),
    8: ("XRPUSDT", "ENAUSDT", "SEIUSDT"),
    9: ("ADAUSDT", "ETCUSDT", "C98USDT"),
}
OF_WATCH = {
    7: ("BNBUSDT", "1INCHUSDT", "APTUSDT"),
    8: ("LINKUSDT", "ARBUSDT", "OPUSDT"),
    9: ("SUIUSDT", "INJUSDT", "TIAUSDT"),
}
MOST = 6  # firings of a symbol: what fires more often in an hour is summed up
LIFE = 4.0  # s, about
PATIENCE = 180.0  # s; a busy machine starts the program slowly, and it is killed meanwhile
MOMENTS = ("obeying", "telling", "obeying", "starting", "working", "sending")
WAITING = "status IN ('new', 'leased', 'uncertain')"


@dataclass
class Swing:
    """A symbol that goes over its threshold and back, each time when all have heard the last."""

    chats: tuple[int, ...]
    symbol: str
    done: list[tuple[int, bool]] = field(default_factory=list)

    async def go_on(self, crowd: "Crowd") -> None:
        for number in range(1, MOST + 1):
            for over in (False, True):
                rate = low(number) if over else high(number)
                crowd.place.venue.set_row(self.symbol, rate=rate)
                self.done.append((number, over))
                for chat_id in self.chats:
                    await crowd.hears(Told(chat_id, self.symbol, over, number))
                await crowd.passes(crowd.chance.uniform(0, crowd.pause))
            if crowd.ended.is_set():
                return


@dataclass
class Typist:
    """Somebody who makes watches and removes some; `answers` are words of each answer, in order."""

    lines: dict[int, str] = field(default_factory=dict)  # by number, what must be left
    answers: list[str] = field(default_factory=list)
    said: int = 0
    made: int = 0

    async def go_on(self, crowd: "Crowd") -> None:
        telegram = crowd.place.telegram
        while not crowd.ended.is_set():
            which = crowd.chance.choice(("make", "remove", "make and remove"))
            if which != "remove" or not self.lines:
                self._make(telegram)
            if which != "make":  # obeyed again, a watch made and removed would be back
                number = crowd.chance.choice(list(self.lines)) if which == "remove" else self.made
                self._remove(telegram, number)
            await telegram.wait_for(lambda: self.said - len(self.heard(crowd)) < 4, PATIENCE)
            await asyncio.sleep(crowd.chance.uniform(0, 0.5))
        await telegram.wait_for(lambda: self.said == len(self.heard(crowd)), PATIENCE)

    def _make(self, telegram: TelegramDouble) -> None:
        self.made += 1
        self.lines[self.made] = f"BTCUSDT mark > {1_000_000 + self.made}"
        self._say(telegram, f"/watch {self.lines[self.made]}", f"#{self.made}")

    def _remove(self, telegram: TelegramDouble, number: int) -> None:
        self._say(telegram, f"/unwatch {number}", f"/watch {self.lines.pop(number)}")

    def _say(self, telegram: TelegramDouble, command: str, answer: str) -> None:
        telegram.say(TYPIST, command)
        self.answers.append(answer)
        self.said += 1

    def heard(self, crowd: "Crowd") -> dict[str, list[bool]]:
        """Every answer by its text, with whether each copy bore the mark; no notices."""
        heard: dict[str, list[bool]] = {}
        for message in crowd.place.telegram.to(TYPIST):
            kept = [line for line in message.text.split("\n") if MARK not in line]
            if "mark >" in message.text:
                heard.setdefault("\n".join(kept).strip(), []).append(MARK in message.text)
        return heard


def _own(symbols: Mapping[int, Sequence[str]]) -> list[tuple[int, str]]:
    return [(chat, symbol) for chat, names in symbols.items() for symbol in names]


class Crowd:
    """All of them around one place."""

    def __init__(self, place: Place, rounds: int) -> None:
        self.place = place
        self.chance = random.Random(rounds)
        self.pause = rounds * LIFE / MOST  # s, at most, between two alerts of a symbol
        self.ledger = Ledger(place.telegram)
        self.ended = asyncio.Event()
        self.swings = [Swing((chat,), symbol) for chat, symbol in _own(OF_FILE) + _own(OF_WATCH)]
        self.swings += [Swing(CHATS, symbol) for symbol in WIDE]
        self.typist = Typist()

    def prepare(self) -> None:
        to = [(symbol, str(chat)) for chat, symbol in _own(OF_FILE)]
        to += [(symbol, ", ".join(map(str, CHATS))) for symbol in WIDE]
        rules = [
            f'{{name: of-{symbol}, symbols: {symbol}, when: "rate > 0.1%", to: [{chats}]}}'
            for symbol, chats in to
        ]
        self.place.write_rules(*rules)
        for swing in self.swings:
            self.place.venue.set_row(swing.symbol, rate=low(0))
        for chat_id in (*CHATS, TYPIST):
            self.place.telegram.add_chat(chat_id, "private")
        for chat_id, symbol in _own(OF_WATCH):
            self.place.telegram.say(chat_id, f"/watch {symbol} rate > 0.1%")

    def start(self) -> Run:
        return self.place.start(ADMINS=",".join(map(str, (*CHATS, TYPIST))), LOG_LEVEL="info")

    async def hears(self, told: Told) -> None:
        await self.place.telegram.wait_for(lambda: self.ledger.heard(told), PATIENCE)

    async def passes(self, seconds: float) -> None:
        """Lets some time pass, but not beyond the end of the kills."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), seconds)

    async def live_through(self, rounds: int) -> None:
        """So many lives of the program, each ended by SIGKILL, then one in which all is heard."""
        async with asyncio.TaskGroup() as people:
            going = [people.create_task(swing.go_on(self)) for swing in self.swings]
            going.append(people.create_task(self.typist.go_on(self)))
            for number in range(rounds):
                async with self.start() as run:
                    await self._moment(run, MOMENTS[number % len(MOMENTS)])
                    await run.kill()
            self.ended.set()
            async with self.start() as run:
                await asyncio.wait(going)
                await self._nothing_waits()
                await run.kill()

    async def _moment(self, run: Run, which: str) -> None:
        """Waits for the moment of a kill.

        At any time of a start or of its work; when a message has just arrived; or where it hurts
        most: a message has arrived and nobody said so yet, a command took effect and its update
        is not confirmed.
        """
        telegram = self.place.telegram
        if which == "starting":
            await asyncio.sleep(self.chance.uniform(0, 2))
            return
        await run.said("Rows flow", within=PATIENCE)
        if which == "working":
            await asyncio.sleep(self.chance.uniform(0, 1.5))
        elif which == "obeying":
            await self._polls(HTTPStatus.OK)
            telegram.fail_next(Fault.drop(acted=False), method="getUpdates")
            await self._polls(0)
        else:
            chat_id = self.chance.choice(CHATS)
            begun = len(telegram.to(chat_id))
            if which == "telling":
                telegram.fail_next(Fault.slow(5), chat_id=chat_id)
            with contextlib.suppress(AssertionError):  # nothing is due for a while
                await telegram.wait_for(lambda: len(telegram.to(chat_id)) > begun, LIFE)

    async def _polls(self, status: int) -> None:
        """Waits for another getUpdates that ends so; 0: without an answer."""
        requests = self.place.telegram.requests
        begun = len(requests)

        def ended() -> bool:
            polls = (one.status for one in requests[begun:] if one.method == "getUpdates")
            return status in polls

        await self.place.telegram.wait_for(ended, PATIENCE)

    async def _nothing_waits(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.stored(f"SELECT count(*) FROM outbox WHERE {WAITING}") != [(0,)]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # a database rings no bell

    def stored(self, query: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(f"file:{self.place.folder}/bot.db?mode=ro", uri=True) as database:
            return database.execute(query).fetchall()
