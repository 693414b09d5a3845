"""Two programs on one token, each with a database of its own: said once by each, nothing lost."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.app.program import ADMIN, Place, Run, a_place

pytestmark = pytest.mark.timeout(150)
ANOTHER = "another program reads this bot's updates"
READS_AGAIN = 35.0  # s after the other one is gone


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path) as made:
        made.write_rules('{name: hot, symbols: ETHUSDT, when: "rate > 0.1%"}')
        yield made


def told(place: Place, words: str) -> int:
    return len([message for message in place.telegram.to(ADMIN) if words in message.text])


def handled(place: Place, file: str) -> set[int]:
    """The updates whose effects a program has stored."""
    with sqlite3.connect(f"file:{place.folder}/{file}?mode=ro", uri=True) as database:
        return {number for (number,) in database.execute("SELECT update_id FROM handled_updates")}


def warned(run: Run, words: str) -> int:
    return len([line for line in run.output.splitlines() if "WARNING" in line and words in line])


async def test_each_says_it_once_and_who_stays_reads_on(place: Place) -> None:
    async with place.start() as first:
        await first.said("Rows flow")
        async with place.start(DATABASE_URL=f"sqlite:///{place.folder}/other.db") as second:
            await place.telegram.wait_for(lambda: told(place, ANOTHER) >= 2, timeout=30)
            said = []
            for number in range(1, 7):
                said.append(place.telegram.say(ADMIN, f"/watch BTCUSDT mark > {number}"))
                await asyncio.sleep(0.4)  # over several polls of either
            assert await second.stop() == 0
        gone = time.monotonic()
        said.append(place.telegram.say(ADMIN, "/watch BTCUSDT mark > 7"))
        await place.heard(ADMIN, "mark > 7", within=READS_AGAIN)
        assert time.monotonic() - gone < READS_AGAIN
        assert handled(place, "bot.db") | handled(place, "other.db") >= set(said)
        assert told(place, ANOTHER) == 2
        assert warned(first, ANOTHER) == 1
        assert await first.stop() == 0


async def test_a_webhook_is_said_in_words_and_left_alone(place: Place) -> None:
    place.telegram.webhook = "https://elsewhere.example/hook"
    async with place.start() as run:
        message = await place.heard(ADMIN, "a webhook is set for this bot")
        assert "deleteWebhook" in message.text
        assert place.telegram.token not in message.text
        place.telegram.say(ADMIN, "/id")
        assert place.telegram.webhook
        place.telegram.webhook = ""
        await place.heard(ADMIN, str(ADMIN), within=READS_AGAIN)
        assert await run.stop() == 0
    assert warned(run, "a webhook is set") == 1
    assert place.telegram.token not in run.output
