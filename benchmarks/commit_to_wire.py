"""From commit to wire: how long after its commit an alert's request reaches Telegram's server.

Nothing else waits, the store is a real file, and the server is on loopback in the same process.
The promise is 50 ms at the 99th percentile. `python benchmarks/commit_to_wire.py`
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the doubles of the tests

from bot.notify.payload import outbox_row_for
from bot.rules.rule import Target
from tests.doubles.telegram import TelegramDouble
from tests.notify.events import event
from tests.torture.office import an_office, wall

PAUSE = 0.05  # s between commits: below the overall limit of messages a second


async def waits(count: int, folder: Path) -> list[float]:
    """Seconds from the end of each commit to its request, sorted."""
    found = []
    async with TelegramDouble() as telegram, an_office(folder, telegram) as office:
        for chat_id in range(1, count + 1):
            telegram.add_chat(chat_id, "private")
            committed = await office.commit(outbox_row_for(event(), Target(chat_id), wall()))
            await telegram.wait_for(lambda: telegram.to(chat_id), 30)  # noqa: B023 - awaited here
            found.append(telegram.to(chat_id)[0].at - committed)
            await asyncio.sleep(PAUSE)
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
