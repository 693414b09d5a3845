"""Every way in which the venue can fail, alone: the real program, and what it told."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.chaos.figures import Figures
from tests.chaos.lane import a_lane
from tests.chaos.scenes import PROGRAMMES, Programme

Report = Callable[[str, object], None]


async def play(folder: Path, figures: Figures, name: str, programme: Programme) -> list[str]:
    """One program through its scenes; what was wrong."""
    lane_folder = folder / name.replace(" ", "-")
    async with a_lane(
        lane_folder, figures, name, terms=programme.terms, environment=programme.environment
    ) as lane:
        for scene in programme.scenes:
            await lane.play(scene)
        return await lane.finish()


async def play_all(
    folder: Path, figures: Figures, programmes: Mapping[str, Programme]
) -> list[str]:
    """All at once: mostly they wait."""
    found = await asyncio.gather(
        *(play(folder, figures, name, programme) for name, programme in programmes.items())
    )
    return [each for wrong in found for each in wrong]


@pytest.mark.timeout(240)
async def test_each_switch_alone_is_noticed_named_and_survived(
    tmp_path: Path, record_property: Report
) -> None:
    figures = Figures()
    wrong = await play_all(tmp_path, figures, PROGRAMMES)
    record_property("summary", figures.table("each switch alone"))
    assert not wrong, "\n".join(wrong)
