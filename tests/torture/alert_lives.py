"""Lives in which alerts come and go: `python -m tests.torture.alert_lives`.

Its arguments are a folder, a Telegram double's URL and token, a seed and the number of kills. It
says, one JSON object a line, how each life ended, and last what was decided.
"""

import asyncio
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot.app.run import Program
from bot.market.inbox import Received
from bot.notify.channel import Written
from tests.doubles.telegram_html import parse_html
from tests.torture.clocks import Clocks
from tests.torture.ledger import copies_in
from tests.torture.lives import Life, Lives, Moment, Place, Say, doubts_of
from tests.torture.swings import ADMIN, CHATS, MINUTE, OF_SYMBOL, Step, Swings, tick, write_rules

LATER = MINUTE  # by which the clock goes on between two lives
MUCH_LATER = 10 * MINUTE  # and between two of the last ones: whatever waits is due then
CALM = 3.0  # s, the longest of the last lives
MOST_CALM = 40
FRESH = 25_000  # ms; what is older than 30 s is stale
CHECKED_EVERY = 50  # lives
WORDS = {
    "evaluate": 2, "commit": 4, "committed": 4, "leased": 3, "send": 5, "answered": 5,
    "settle": 5, "settled": 5,
}  # fmt: skip
PHASES = {
    "evaluate": "evaluate", "commit": "commit", "committed": "commit", "taken": "commit",
    "leased": "send", "send": "send", "answered": "settle", "settle": "settle",
    "settled": "settle",
}  # fmt: skip
WAITING = "SELECT count(*) FROM outbox WHERE status NOT IN ('sent', 'dead')"


def describe(chat_id: int, _: int | None, written: Written) -> list[Any]:
    """The alerts that a message begins to tell of; of its further parts nothing."""
    text = written.text if written.plain else parse_html(written.text).text
    return [[c.alert.kind, c.alert.symbol, c.alert.number] for c in copies_in(text)]


class Feed:
    """Brings the market's steps into a program, one frame after the other."""

    def __init__(self, swings: Swings, clocks: Clocks, chance: random.Random) -> None:
        self._swings = swings
        self._clocks = clocks
        self._chance = chance
        self._last = 0
        self._waiting: Counter[int] = Counter()  # alerts, by chat

    async def go_on(self, program: Program, say: Say) -> None:
        """What was cut off first; then how all stands, which is no news; then new steps."""
        await self._begin(program, say)
        for chat_id in CHATS:
            self._waiting[chat_id] = await program.wiring.store.pending(chat_id)
        while True:
            steps = self._swings.choose(self._chance, self._clocks.now(), self._waiting)
            if steps:
                await self._bring(program, say, steps)
                self._swings.take(steps, self._last)
                self._waiting.update(
                    chat for step in steps for chat, _ in OF_SYMBOL[step.symbol].to
                )
            await asyncio.sleep(self._chance.uniform(0, 1.5))

    async def end(self, program: Program, say: Say) -> None:
        """What was cut off, and nothing new until nothing waits."""
        await self._begin(program, say)
        while await program.wiring.store.pending():  # noqa: ASYNC110 - a database rings no bell
            await asyncio.sleep(1)
        say("quiet")
        await asyncio.Event().wait()

    async def _begin(self, program: Program, say: Say) -> None:
        await program.venue.second.ready.wait()
        say("ready")
        if self._swings.pending:
            await self._bring(program, say, self._swings.pending)
            self._swings.take(self._swings.pending, self._last)
        if standing := self._swings.standing():
            await self._put(program, standing)

    async def _bring(self, program: Program, say: Say, steps: Sequence[Step]) -> None:
        say("evaluate", [[step.symbol, step.count] for step in steps])
        await self._put(program, steps)
        say("taken", self._last)

    async def _put(self, program: Program, steps: Sequence[Step]) -> None:
        """Returns when the program has decided on them: what follows from them is committed.

        Rows may be stale when their turn comes: where the machine stalls for half a second it is
        half a minute here. As by a true feed, others follow them then.
        """
        while True:
            await self._put_once(program, steps)
            if program.engine.clock - self._last < FRESH:
                return

    async def _put_once(self, program: Program, steps: Sequence[Step]) -> None:
        record = program.stream.record
        before = record.last_taken
        self._last = max(self._last + 1, self._clocks.now())
        ticks = tuple(tick(step, self._last) for step in steps)
        program.stream.inbox.put(Received(self._last * 1000, b"", ticks))
        while record.last_taken == before:  # noqa: ASYNC110 - a feed rings no bell
            await asyncio.sleep(0.025)


class Arena:
    """So many lives on one database, and some more in which what is left is told."""

    def __init__(self, folder: Path, url: str, token: str, seed: int) -> None:
        self.chance = random.Random(seed)
        self.clocks = Clocks()
        write_rules(folder / "rules.yaml")
        self.lives = Lives(Place(folder, url, token, ADMIN, describe), self.clocks)
        self.swings = Swings()

    def run(self, rounds: int) -> None:
        for number in range(rounds):
            self._live(self.lives.moment(self.chance, WORDS))
            if number % CHECKED_EVERY == CHECKED_EVERY - 1:
                self._check()
        _tell(calm=True)
        for _ in range(MOST_CALM):
            self._live(Moment("quiet", longest=CALM), calm=True)
            if not self.swings.pending and self.lives.stored(WAITING) == [(0,)]:
                break
        self._check()
        steps = [[[s.symbol, s.count] for s in batch] for batch in self.swings.batches]
        _tell(
            batches=steps, rows=self.lives.stored("SELECT status, count(*) FROM outbox GROUP BY 1")
        )

    def _live(self, moment: Moment, *, calm: bool = False) -> None:
        self.clocks.ahead += MUCH_LATER if calm else LATER
        feed = Feed(self.swings, self.clocks, random.Random(self.chance.random()))
        work = feed.end if calm else feed.go_on
        life = self.lives.live(work, moment)
        self._learn(life)
        _tell(phase=PHASES.get(life.last, "start"), doubts=doubts_of(life))

    def _learn(self, life: Life) -> None:
        """Takes the steps that were certainly decided on, and keeps those that may have been."""
        for word, *about in life.words:
            if word == "evaluate":
                self.swings.pending = [Step(*step) for step in about[0]]
            elif word == "taken":
                self.swings.take(self.swings.pending, about[0])

    def _check(self) -> None:
        assert self.lives.stored("PRAGMA integrity_check") == [("ok",)]


def _tell(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    Arena(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])).run(int(sys.argv[5]))
