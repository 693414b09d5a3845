"""900 symbols cross in one second for 50 chats that watch ALL: told at once, in few messages."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.simulator.server import Simulator, SimulatorSettings
from tests.app.program import Place
from tests.doubles.telegram import Limits, TelegramDouble
from tests.torture.storm import Storm, most_messages, unread
from tests.torture.vitals import Vitals

Report = Callable[[str, object], None]
MEMORY = 150  # MB
WITHIN = 120  # s
MOST = 3  # messages


@asynccontextmanager
async def a_large_place(folder: Path, symbols: int) -> AsyncIterator[Place]:
    """A market with at least so many symbols that trade, and a Telegram that keeps its limits."""
    settings = SimulatorSettings(symbols=symbols + symbols // 10 + 30)
    async with Simulator(settings) as venue, TelegramDouble(limits=Limits()) as telegram:
        yield Place(folder, venue, telegram, {"LOG_LEVEL": "info", "ACCESS": "open"})


SIZES = [
    pytest.param(200, 10, marks=pytest.mark.timeout(120)),
    pytest.param(900, 50, marks=[pytest.mark.torture, pytest.mark.timeout(900)]),
]


@pytest.mark.parametrize("by_file", [False, True], ids=["watches", "file"])
@pytest.mark.parametrize(("symbols", "chats"), SIZES)
async def test_a_storm_is_told_to_all_in_a_few_messages_with_every_symbol(
    symbols: int, chats: int, by_file: bool, tmp_path: Path, record_property: Report
) -> None:
    async with a_large_place(tmp_path, symbols) as place:
        storm = Storm(place, range(1001, 1001 + chats), symbols)
        storm.write_rules(by_file=by_file)
        async with place.start() as run, Vitals(run) as first:
            if not by_file:
                await storm.watch()
            await run.said("Rows flow", within=60)
            first.phase("storm")
            storm.rage()
            fired = await storm.told()
            await storm.settled()
            await run.kill()
        async with place.start() as run, Vitals(run) as second:
            await run.said("Rows flow", within=60)
            second.phase("buttons")
            pressed = await storm.open_all(fired)
            second.phase("over")
            storm.calm()
            over = await storm.told()
            second.phase("buttons again")
            pressed += await storm.open_all(over)
            await run.kill()
    most = max(most_messages(fired), most_messages(over))
    longest = max(storm.times)
    record_property(
        "summary",
        f"{symbols} symbols cross for {chats} chats and back: all told in {longest:.1f} s in at "
        f"most {most} messages, {pressed} buttons pressed after a kill; before it "
        f"{first.words}; after it {second.words}",
    )
    assert unread(fired, storm.symbols, over=False) == {}
    assert unread(over, storm.symbols, over=True) == {}
    assert storm.telegram.limited == 0
    assert most <= MOST
    assert longest <= WITHIN
    assert max(first.peak, second.peak) <= MEMORY
