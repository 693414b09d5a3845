"""Every way in which the venue can fail, alone: the real program, and what it told."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.chaos.figures import Figures
from tests.chaos.lane import a_lane
from tests.chaos.scenes import AT_LENGTH, PROGRAMMES, Programme

Report = Callable[[str, object], None]


async def play(
    folder: Path, figures: Figures, name: str, programme: Programme, started: asyncio.Event
) -> list[str]:
    """One program through its scenes; what was wrong."""
    async with a_lane(
        folder / name.replace(" ", "-"),
        figures,
        name,
        terms=programme.terms,
        environment=programme.environment,
    ) as lane:
        started.set()
        for scene in programme.scenes:
            await lane.play(scene)
        return await lane.finish()


async def play_all(
    folder: Path, figures: Figures, programmes: Mapping[str, Programme]
) -> list[str]:
    """All at once, for they mostly wait; the first, which takes the longest, starts alone."""
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        playing = []
        for name, programme in programmes.items():
            playing.append(group.create_task(play(folder, figures, name, programme, started)))
            await started.wait()
    return [each for done in playing for each in done.result()]


@pytest.mark.parametrize(
    "programmes",
    [
        pytest.param(PROGRAMMES, id="briefly", marks=pytest.mark.timeout(240)),
        pytest.param(
            AT_LENGTH, id="at length", marks=[pytest.mark.torture, pytest.mark.timeout(3_600)]
        ),
    ],
)
async def test_each_switch_alone_is_noticed_named_and_survived(
    programmes: Mapping[str, Programme], tmp_path: Path, record_property: Report
) -> None:
    figures = Figures()
    wrong = await play_all(tmp_path, figures, programmes)
    record_property("summary", figures.table("each switch alone"))
    assert not wrong, "\n".join(wrong)
