"""One alert for 1,000 chats at once: how long until each chat was told.

The server is strict about its limits and on loopback; the overall limit is 30 a second, which most
bots have, and 1,000, which is paid for. The promise is 40 s at 30.
`python benchmarks/chats_told.py`
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the doubles of the tests

from bot.notify.notifier import Settings
from bot.notify.pacing import Limits
from bot.notify.payload import outbox_row_for
from bot.rules.rule import Target
from tests.doubles.telegram import Limits as ServerLimits
from tests.doubles.telegram import TelegramDouble
from tests.notify.events import event
from tests.torture.office import an_office, wall

WITHIN = 300.0  # s


async def told(chats: int, overall: int, folder: Path) -> tuple[list[float], int]:
    """Seconds from the commit until each chat's request, sorted; the 429 that were earned."""
    settings = Settings(limits=Limits(overall=overall))
    limits = ServerLimits(overall=overall)
    async with (
        TelegramDouble(limits=limits) as telegram,
        an_office(folder, telegram, settings) as office,
    ):
        for chat_id in range(1, chats + 1):
            telegram.add_chat(chat_id, "private")
        now = wall()
        rows = [outbox_row_for(event(), Target(chat_id), now) for chat_id in range(1, chats + 1)]
        committed = await office.commit(*rows)
        await telegram.wait_for(lambda: len(telegram.messages) == chats, WITHIN)
        await office.drained(WITHIN)
        return sorted(message.at - committed for message in telegram.messages), telegram.limited


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chats", type=int, default=1_000)
    chats: int = parser.parse_args().chats
    for overall in (30, 1_000):
        with tempfile.TemporaryDirectory() as folder:
            found, earned = asyncio.run(told(chats, overall, Path(folder)))
        print(
            f"{chats} chats told with {overall} messages a second: the first after "
            f"{found[0] * 1000:.0f} ms, half after {found[len(found) // 2]:.1f} s, all after "
            f"{found[-1]:.1f} s; {earned} x 429"
        )


if __name__ == "__main__":
    main()
