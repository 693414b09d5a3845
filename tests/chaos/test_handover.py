"""A new connection for an old one: no row lost, none taken twice, no event changed."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bot.simulator.server import Simulator, SimulatorSettings
from tests.app.program import quiet
from tests.chaos.handover import ALL, BASE, MORE, Side, a_side
from tests.chaos.lane import WATCHED
from tests.chaos.weather import Weather

Report = Callable[[str, object], None]
OFTEN = 1.0  # s between handovers
FEW = 6  # streams a connection carries, where there is to be an array in between
SETTLED = 1.5  # s until what was delivered is decided


async def _leave(_: Side) -> None:
    return


async def _widen(side: Side) -> None:
    """More symbols than the streams of a connection, then fewer, again and again."""
    while True:
        for rules in ([*BASE, MORE], BASE):
            await asyncio.sleep(1.2)
            await side.use(*rules)


async def _all(side: Side) -> None:
    """Every symbol, then a few, again and again."""
    while True:
        for rules in ([*BASE, ALL], BASE):
            await asyncio.sleep(1.5)
            await side.use(*rules)


async def _add_one(side: Side) -> None:
    """A symbol more on the same connection, then one fewer."""
    one = '{name: one, symbols: SOLUSDT, when: "rate > 50%"}'
    while True:
        for rules in ([*BASE, one], BASE):
            await asyncio.sleep(1.0)
            await side.use(*rules)


# How each is disturbed: seconds between handovers, streams a connection carries, what is edited.
DISTURBED: dict[str, tuple[float, int, Callable[[Side], Coroutine[Any, Any, None]]]] = {
    "handovers of streams per symbol": (OFTEN, 200, _leave),
    "handovers of the array": (OFTEN, 2, _leave),
    "another set of streams": (3600.0, 200, _add_one),
    "from streams to the array and back": (3600.0, FEW, _widen),
    "from streams to ALL and back": (3600.0, 200, _all),
    "all of it together": (OFTEN, FEW, _widen),
}


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(12.0, marks=pytest.mark.timeout(120)),
        # 30 connects in any 5 minutes are a limit that stands above handovers as well.
        pytest.param(240.0, marks=[pytest.mark.torture, pytest.mark.timeout(900)]),
    ],
)
async def test_a_handover_loses_nothing_and_changes_nothing(
    seconds: float, tmp_path: Path, record_property: Report
) -> None:
    async with AsyncExitStack() as stack:
        venue = await stack.enter_async_context(
            Simulator(SimulatorSettings(symbols=40, period=0.25))
        )
        quiet(venue)
        weather = Weather(venue, WATCHED, seed=3)
        calm = await stack.enter_async_context(a_side(tmp_path, venue, "undisturbed"))
        sides = [
            await stack.enter_async_context(
                a_side(
                    tmp_path,
                    venue,
                    name,
                    handover_after=max(often, seconds / 15) if often == OFTEN else often,
                    streams=streams,
                )
            )
            for name, (often, streams, _) in DISTURBED.items()
        ]
        begun = time.monotonic()
        weather.begin()
        disturbing = [asyncio.create_task(DISTURBED[side.name][2](side)) for side in sides]
        await asyncio.sleep(seconds)
        ended = time.monotonic()
        for task in disturbing:
            task.cancel()
        await asyncio.sleep(SETTLED)
        wrong = [each for side in sides for each in side.wrong(begun, ended, calm)]
        record_property("summary", _table(sides, calm))
    assert not wrong, "\n".join(wrong)
    assert calm.events
    assert all(len(side.tap.links) > seconds / 5 for side in sides if side.name.startswith("hand"))


def _table(sides: list[Side], calm: Side) -> str:
    lines = [f"handovers, against {len(calm.events)} events of {len(calm.taken)} rows undisturbed:"]
    for side in sides:
        twice = len(side.taken) - len(set(side.taken))
        lines.append(
            f"  {side.name:<36} {len(side.tap.links):>3} connections, "
            f"{len(side.tap.stream_rows()):>5} rows came, {twice} taken twice, "
            f"{len(side.events)} events"
        )
    return "\n".join(lines)
