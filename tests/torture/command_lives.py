"""Lives in which people's commands are obeyed: `python -m tests.torture.command_lives`.

Its arguments are a folder, a Telegram double's URL and token, a seed and the number of kills. It
says, one JSON object a line, how each life ended. After the last kill it goes on until there is a
file `done` in the folder.
"""

import asyncio
import json
import logging
import random
import sys
from pathlib import Path

from bot.app.run import Program
from bot.notify.channel import Written
from tests.torture.clocks import Clocks
from tests.torture.lives import Life, Lives, Moment, Place, Say, doubts_of
from tests.torture.typists import ADMIN

LATER = 60_000  # ms by which the clock goes on between two lives
CALM = 5.0  # s, the longest of the last lives
MOST_CALM = 100
# How many of each a life may wait for: in a life some fifty commands are obeyed.
WORDS = {
    "poll": 6, "polled": 6, "commit": 60, "committed": 60, "leased": 30, "send": 60,
    "answered": 60, "settle": 60, "settled": 60,
}  # fmt: skip
PHASES = {
    "poll": "confirm", "polled": "decide", "commit": "commit", "committed": "commit",
    "leased": "answer", "send": "answer", "answered": "answer", "settle": "answer",
    "settled": "answer",
}  # fmt: skip


def described(_: int, __: int | None, ___: Written) -> None:
    """A request is one answer: there is nothing more to say of it."""


class Arena:
    """So many lives on one database, and some more in which what is left is answered."""

    def __init__(self, folder: Path, url: str, token: str, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.clocks = Clocks()
        place = Place(folder, url, token, ADMIN, described, talks=True, open_to_all=True)
        self.lives = Lives(place, self.clocks)

    def run(self, rounds: int) -> None:
        for _ in range(rounds):
            self._live(self.lives.moment(self.chance, WORDS, longest=25.0))
        _tell(calm=True)
        for _ in range(MOST_CALM):
            self._live(Moment("quiet", longest=CALM))
            if (self.folder / "done").exists():
                break
        assert self.lives.stored("PRAGMA integrity_check") == [("ok",)]
        watches = self.lives.stored("SELECT chat_id, number, line FROM watches ORDER BY 1, 2")
        _tell(watches=watches)

    def _live(self, moment: Moment) -> None:
        self.clocks.ahead += LATER
        life = self.lives.live(self._look_on, moment)
        _tell(phase=_phase(life), doubts=[chat_id for chat_id, _ in doubts_of(life)])

    async def _look_on(self, program: Program, say: Say) -> None:
        """People write and the program answers; here one waits until they have done."""
        await program.venue.second.ready.wait()
        say("ready")
        while not (self.folder / "done").exists():  # noqa: ASYNC110 - a file rings no bell
            await asyncio.sleep(1)
        say("quiet")
        await asyncio.Event().wait()


def _phase(life: Life) -> str:
    word, *about = life.words[-1] if life.words else ("",)
    if word == "poll" and not about[0]:
        return "poll"
    return PHASES.get(str(word), "start")


def _tell(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    Arena(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])).run(int(sys.argv[5]))
