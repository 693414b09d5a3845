"""900 symbols cross in one second for 50 chats that watch ALL: told at once, in few messages."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.simulator.server import Simulator, SimulatorSettings
from tests.app.program import Place, Run
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
        place = Place(folder, venue, telegram, {"LOG_LEVEL": "info", "ACCESS": "open"})
        place.write_rules('{name: other, symbols: BTCUSDT, when: "mark > 1k", to: [1001]}')
        yield place


SIZES = [
    pytest.param(200, 10, marks=pytest.mark.timeout(120)),
    pytest.param(900, 50, marks=[pytest.mark.torture, pytest.mark.timeout(900)]),
]


@pytest.mark.parametrize(("symbols", "chats"), SIZES)
async def test_a_storm_is_told_to_all_in_a_few_messages_with_every_symbol(
    symbols: int, chats: int, tmp_path: Path, record_property: Report
) -> None:
    async with a_large_place(tmp_path, symbols) as place:
        storm = Storm(place, range(1001, 1001 + chats), symbols)
        async with place.start() as run, Vitals(run) as vitals:
            vitals.phase("watching")
            await storm.watch()
            print(run.output[-3000:], [m.text for m in storm.telegram.messages][:2])
            await run.said("Rows flow", within=15)
            vitals.phase("storm")
            began = time.monotonic()
            storm.rage()
            fired = await storm.told()
            fired_in = time.monotonic() - began
            await storm.settled()
            vitals.phase("buttons")
            await run.kill()
        print(vitals.words, fired_in, most_messages(fired))
        async with place.start() as run, Vitals(run) as again:
            await run.said("Rows flow", within=15)
            again.phase("buttons")
            began = time.monotonic()
            pressed = await storm.open_all(fired)
            print("pressed", pressed, time.monotonic() - began)
            again.phase("over")
            began = time.monotonic()
            storm.calm()
            over = await storm.told()
            over_in = time.monotonic() - began
            again.phase("over buttons")
            await storm.open_all(over)
            again.phase("end")
        print(again.words, over_in, most_messages(over))
        assert unread(fired, storm.symbols, over=False) == {}
        assert unread(over, storm.symbols, over=True) == {}
        assert max(most_messages(fired), most_messages(over)) <= MOST
