"""From commit to wire: how long after its commit an alert's request reaches Telegram's server.

Nothing else waits, the store is a real file, and the server is on loopback in the same process.
The promise is 50 ms at the 99th percentile. `python benchmarks/commit_to_wire.py`
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the doubles of the tests

from bot.notify.bot_api import BotApi
from bot.notify.item import Reader
from bot.notify.notifier import Notifier
from bot.notify.payload import outbox_row_for
from bot.rules.rule import Target
from bot.store.records import ChatRow, Commit
from bot.store.sql import SqlStore
from tests.doubles.telegram import TelegramDouble
from tests.notify.events import event

PAUSE = 0.05  # s between commits: below the overall limit of messages a second


class Quiet:
    """Chats that nobody has settings for, in a program without faults."""

    def reader(self, chat_id: int) -> Reader:  # noqa: ARG002 - all are alike
        return Reader()

    def row(self, chat_id: int) -> ChatRow:
        return ChatRow(chat_id)

    def changed(self, row: ChatRow) -> None:
        raise AssertionError(row)

    async def move(self, old: int, new: int) -> None:
        raise AssertionError(old, new)

    def is_on(self, rule_id: str, symbol: str, episode: int) -> bool:
        raise AssertionError(rule_id, symbol, episode)

    def raised(self, kind: str, text: str) -> None:  # noqa: ARG002 - the text says it
        raise AssertionError(text)

    def cleared(self, kind: str) -> None:
        """There was none."""


def now() -> int:
    return time.time_ns() // 1_000_000


async def waits(count: int, folder: Path) -> list[float]:
    """Seconds from the end of each commit to its request, sorted."""
    store, quiet = SqlStore(f"sqlite:///{folder}/bot.db"), Quiet()
    await store.open()
    async with TelegramDouble() as telegram:
        api = BotApi(telegram.token, telegram.url)
        notifier = Notifier(store, api, quiet, quiet, now)
        await notifier.start()
        found = []
        for chat_id in range(1, count + 1):
            telegram.add_chat(chat_id, "private")
            row = outbox_row_for(event(), Target(chat_id), now())
            await store.commit(Commit(outbox=(row,)))
            committed = time.monotonic()
            notifier.wake()
            await telegram.wait_for(lambda: telegram.to(chat_id), 30)  # noqa: B023 - awaited here
            found.append(telegram.to(chat_id)[0].at - committed)
            await asyncio.sleep(PAUSE)
        await notifier.stop(1)
        await api.close()
    await store.close()
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=300)
    count: int = parser.parse_args().alerts
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(waits(count, Path(folder)))
    print(f"commit to wire, {count} alerts, nothing else waiting:")
    for percentile in (50, 90, 99):
        wait = found[min(count * percentile // 100, count - 1)]
        print(f"  {percentile} %: {wait * 1000:6.1f} ms")


if __name__ == "__main__":
    main()
