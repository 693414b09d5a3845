"""Lives of the real program that are cut short by SIGKILL, a hundred times as fast as whole starts.

Everything is imported once, and each life is a fork of that: `bot.app.run.Program` with its store
on a real file and its requests over real HTTP. What it is about to do and what it has done it says
through a pipe, word by word, so that whoever killed it knows how far it had come. Between two
lives the machine's clock goes on by more than the lives take, as if it had been switched off.
"""

import asyncio
import contextlib
import gc
import json
import os
import random
import select
import signal
import sqlite3
import ssl
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bot.app.desk import Desk
from bot.app.rules_source import RulesSource
from bot.app.run import Program, build
from bot.app.wiring import Wiring
from bot.market.stream import StreamSettings
from bot.notify.bot_api import BotApi
from bot.notify.channel import Outcome, Written
from bot.notify.notifier import Settings as NotifierSettings
from bot.store.records import ChatRow, Commit, Committed, OutboxRow
from bot.store.sql import SqlStore
from tests.torture.clocks import Clocks, real_monotonic, run_fast

Word = tuple[Any, ...]  # what it is, and what it is about
Say = Callable[..., None]
Describe = Callable[[int, int | None, Written], Any]  # of a message, for the word of its request
NOWHERE = "127.0.0.1:9"  # where no market is: the ticks come from elsewhere
LONGEST = 4.0  # starts: a life whose moment does not come
DAY = 86_400_000  # ms


class SpokenStore(SqlStore):
    """The store, and a word before and after each step that matters."""

    def __init__(self, url: str, say: Say) -> None:
        super().__init__(url)
        self._say = say

    async def commit(self, commit: Commit) -> Committed:
        self._say("commit", commit.update_id)
        committed = await super().commit(commit)
        self._say("committed", commit.update_id)
        return committed

    async def lease(
        self, now: int, until: int, limit: int, busy_chats: frozenset[int] = frozenset()
    ) -> Sequence[OutboxRow]:
        rows = await super().lease(now, until, limit, busy_chats)
        if rows:
            self._say("leased")
        return rows

    async def settle(
        self,
        rows: Sequence[OutboxRow],
        chats: Sequence[ChatRow] = (),
        added: Sequence[OutboxRow] = (),
    ) -> int:
        told = sorted({row.chat_id for row in rows})
        self._say("settle", told)
        counted = await super().settle(rows, chats, added)
        self._say("settled", told)
        return counted


class SpokenApi(BotApi):
    """The Bot API's client, and a word before and after each request that matters."""

    def __init__(self, token: str, url: str, say: Say, describe: Describe) -> None:
        super().__init__(token, url)
        self._say = say
        self._describe = describe

    async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
        self._say("send", chat_id, self._describe(chat_id, topic, written))
        outcome = await super().send(chat_id, topic, written)
        self._say("answered", chat_id, type(outcome).__name__)
        return outcome

    async def get_updates(self, offset: int, timeout: int) -> list[dict[str, Any]]:  # noqa: ASYNC109 - BotApi's
        self._say("poll", offset)
        updates = await super().get_updates(offset, timeout)
        if updates:
            self._say("polled", len(updates))
        return updates


@dataclass(frozen=True)
class Place:
    """Where lives are lived."""

    folder: Path
    url: str  # of the Telegram double
    token: str
    admin: int
    describe: Describe
    talks: bool = False  # whether people's commands are read
    open_to_all: bool = False

    @property
    def database(self) -> Path:
        return self.folder / "bot.db"

    def wiring(self, say: Say, database: Path) -> Wiring:
        api = SpokenApi(self.token, self.url, say, self.describe)
        return Wiring(
            store=SpokenStore(f"sqlite:///{database}", say),
            channel=api,
            api=api if self.talks else None,
            stream=StreamSettings(f"ws://{NOWHERE}/market"),
            rest_root=f"http://{NOWHERE}",
            source=RulesSource(self.folder / "rules.yaml", named=False),
            desk=Desk([self.admin], open_to_all=self.open_to_all),
            notifier=NotifierSettings(max_age=DAY),
        )


@dataclass(frozen=True)
class Moment:
    """When a life ends: so long (s) after its `count`-th word of a kind; "" is its beginning.

    At the latest it ends after `longest` (s).
    """

    word: str
    count: int = 1
    delay: float = 0.0
    longest: float = 5.0


@dataclass(frozen=True)
class Life:
    """One child: what it said, and how long (s) it took to be ready, if it was."""

    words: list[Word]
    start: float | None

    @property
    def last(self) -> str:
        return str(self.words[-1][0]) if self.words else ""


Work = Callable[[Program, Say], Coroutine[Any, Any, None]]


class Lives:
    """Forks. To be made before any thread or event loop; the program is run once to warm up."""

    def __init__(self, place: Place, clocks: Clocks) -> None:
        self.place = place
        self.clocks = clocks
        # Reading the machine's certificates takes longer than all else of a start.
        ssl.create_default_context = lru_cache(maxsize=1)(ssl.create_default_context)  # type: ignore[assignment]
        # httpcore looks for it at each of its locks, which takes as long as the request.
        sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]
        run_fast(_once(place))
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join(5.0)  # the store's, which ends by itself
        assert threading.active_count() == 1
        gc.collect()
        gc.freeze()
        self.start = 0.1  # s, what a start takes here and now

    def live(self, work: Work, moment: Moment) -> Life:
        """Forks a child that runs the program and `work` beside it, and kills it."""
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            _be_child(self.place, work, writer)
        os.close(writer)
        listener = _Listener(reader, moment)
        listener.wait()
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        life = listener.rest()
        os.close(reader)
        assert os.WIFSIGNALED(status), f"the program ended by itself: {life.words[-3:]}"
        if life.start is not None:
            self.start += 0.1 * (life.start - self.start)
        return life

    def moment(
        self, chance: random.Random, words: Mapping[str, int], longest: float = LONGEST
    ) -> Moment:
        """Any time of a start or of the work after it, or close to some word.

        `words` has how many of each kind a life may wait for. Times are as long as starts take,
        so that a busy machine comes as far as an idle one; `longest` is in starts.
        """
        which, longest = chance.random(), longest * self.start
        if which < 0.1:
            return Moment("", delay=chance.uniform(0, self.start))
        if which < 0.4:
            return Moment("ready", 1, chance.uniform(0, 0.4 * longest), longest)
        word = chance.choice(list(words))
        delay = chance.choice((0.0, chance.uniform(0, 0.1 * self.start)))
        return Moment(word, chance.randint(1, words[word]), delay, longest)

    def stored(self, query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.place.database)) as database:
            return database.execute(query).fetchall()


def doubts_of(life: Life) -> list[tuple[int, Any]]:
    """The chat and the description of each request that may have been carried out, or not.

    Its answer said so, or the life ended before what became of it was on the disk.
    """
    under_way: dict[int, Any] = {}
    doubts = []
    for word, *about in life.words:
        if word == "send":
            under_way[about[0]] = about[1]
        elif word == "answered" and about[1] != "Sent":
            described = under_way.pop(about[0])
            if about[1] == "Doubtful":
                doubts.append((about[0], described))
        elif word == "settled":
            for chat_id in about[0]:
                under_way.pop(chat_id, None)
    return [*doubts, *under_way.items()]


class _Listener:
    """Hears a child's words until its moment has come."""

    def __init__(self, reader: int, moment: Moment) -> None:
        self._reader = reader
        self._moment = moment
        self._left = moment.count
        self._began = real_monotonic()
        self._until = self._began + (moment.longest if moment.word else moment.delay)
        self._start: float | None = None
        self._text = b""
        self._words: list[Word] = []

    def wait(self) -> None:
        while (left := self._until - real_monotonic()) > 0:
            if select.select([self._reader], [], [], left)[0] and not self._hear():
                return

    def rest(self) -> Life:
        while self._hear():
            pass
        return Life(self._words, self._start)

    def _hear(self) -> bool:
        """Reads on; False where there is nobody any more."""
        heard = os.read(self._reader, 1 << 16)
        *lines, self._text = (self._text + heard).split(b"\n")
        for line in lines:
            word = tuple(json.loads(line))
            self._words.append(word)
            if word[0] == "ready":
                self._start = real_monotonic() - self._began
            if word[0] == self._moment.word and self._left:
                self._left -= 1
                if not self._left:
                    self._until = real_monotonic() + self._moment.delay
        return bool(heard)


def _be_child(place: Place, work: Work, pipe: int) -> None:
    def say(*word: object) -> None:
        os.write(pipe, json.dumps(word).encode() + b"\n")

    gc.disable()  # a collection would copy every page that the fork shares
    try:
        say("start")
        run_fast(_run(place, work, say))
    except BaseException:  # noqa: BLE001 - nothing of the parent may run on in its fork
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


async def _run(place: Place, work: Work, say: Say) -> None:
    async with build(place.wiring(say, place.database)) as program, asyncio.TaskGroup() as group:
        group.create_task(program.run(asyncio.Event()))
        group.create_task(work(program, say))


async def _once(place: Place) -> None:
    """What is imported, compiled and cached at the first use is so afterwards."""
    database = place.folder / "warm.db"
    for _ in range(2):
        stop = asyncio.Event()
        async with build(place.wiring(lambda *_: None, database)) as program:
            run = asyncio.create_task(program.run(stop))
            await program.venue.second.ready.wait()
            await asyncio.sleep(5)
            stop.set()
            await run
        assert isinstance(program.wiring.channel, BotApi)
        await program.wiring.channel.close()
