"""Faults in random sequences: the real program, and what it told. The seed is in every report."""

import asyncio
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.chaos.figures import Figures
from tests.chaos.lane import a_lane
from tests.chaos.scenes import AGAIN
from tests.chaos.sequences import LONG_TIMES, SHORT_TIMES, sequence

Report = Callable[[str, object], None]
AT_ONCE = 12  # programs of the long run
HANDOVERS = ("23h", "3s", "10s")  # HANDOVER_AFTER


async def live_through(
    folder: Path, figures: Figures, seed: int, scenes: int, times: tuple[float, ...]
) -> list[str]:
    """One program through the sequence of a seed; what was wrong."""
    environment = {"HANDOVER_AFTER": random.Random(seed).choice(HANDOVERS)}
    name = f"sequence-{seed}"
    async with a_lane(folder / name, figures, name, seed=seed, environment=environment) as lane:
        played = sequence(seed, scenes, times)
        for scene in played:
            await lane.play(scene)
        await lane.comes_back("after the sequence", AGAIN)
        wrong = await lane.finish()
    story = "; ".join(f"{scene.name} for {scene.seconds:g} s" for scene in played)
    return [f"{each}\n    ({story})" for each in wrong]


async def all_of(
    folder: Path, figures: Figures, seeds: Iterable[int], scenes: int, times: tuple[float, ...]
) -> list[str]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(seed: int) -> list[str]:
        async with room:
            return await live_through(folder, figures, seed, scenes, times)

    found = await asyncio.gather(*map(one, seeds))
    return [each for wrong in found for each in wrong]


@pytest.mark.parametrize(
    ("count", "scenes", "times"),
    [
        pytest.param(5, 4, SHORT_TIMES, marks=pytest.mark.timeout(240)),
        pytest.param(200, 6, LONG_TIMES, marks=[pytest.mark.torture, pytest.mark.timeout(14_400)]),
    ],
)
async def test_no_sequence_of_faults_makes_the_program_lie_or_end(
    count: int,
    scenes: int,
    times: tuple[float, ...],
    tmp_path: Path,
    record_property: Report,
) -> None:
    figures = Figures()
    wrong = await all_of(tmp_path, figures, range(1, count + 1), scenes, times)
    record_property("summary", figures.table(f"{count} sequences of faults"))
    assert not wrong, "\n".join(wrong)
