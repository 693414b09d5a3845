"""Thousands of messages to a Telegram that is strict about its limits, and that says wait."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from bot.notify.notifier import Settings
from bot.notify.pacing import Limits
from tests.doubles.telegram import Limits as ServerLimits
from tests.doubles.telegram import TelegramDouble
from tests.torture.office import an_office
from tests.torture.sends import Traffic

Report = Callable[[str, object], None]
WAIT = 1.0  # s that nobody waits longer than its limits ask for


@dataclass(frozen=True)
class Size:
    messages: int
    chats: int
    rate: float  # commits a second
    ours: Limits
    theirs: ServerLimits
    each: float  # s between two chats that are told to wait
    most: int  # s that they are told to


# The whole of it at the true limits takes 8 minutes; the same ten times as fast always runs.
SHORT = Size(
    240, 60, 80, Limits(0.1, 20, 6.0, 125), ServerLimits(0.1, (20, 6.0), 150), each=0.3, most=2
)
LONG = Size(10_000, 1_200, 21, Limits(), ServerLimits(), each=1.0, most=5)
SIZES = [
    pytest.param(SHORT, id="short"),
    pytest.param(LONG, id="long", marks=[pytest.mark.torture, pytest.mark.timeout(1_800)]),
]


@pytest.mark.parametrize("disturbed", [False, True], ids=["calm", "429"])
@pytest.mark.parametrize("size", SIZES)
async def test_no_limit_is_overstepped_and_nobody_waits_for_another(
    size: Size, disturbed: bool, tmp_path: Path, record_property: Report
) -> None:
    settings = Settings(limits=size.ours)
    async with TelegramDouble(limits=size.theirs) as telegram:
        traffic = Traffic(telegram, Random(size.messages), size.chats, size.ours, size.rate)
        for _ in range(2):  # a restart in the middle
            async with an_office(tmp_path, telegram, settings) as office:
                disturbing = asyncio.create_task(_disturb(traffic, size, disturbed=disturbed))
                await traffic.flow(office, size.messages // 2)
                disturbing.cancel()
                await office.drained(300)
        traffic.read()
    undisturbed = traffic.lateness(of_disturbed=False)
    others = traffic.lateness(of_disturbed=True)
    record_property("summary", _summary(traffic, size, undisturbed, others))
    assert telegram.limited == 0
    assert telegram.trespasses == 0
    assert [row.number for row in traffic.rows.values() if row.copies != 1] == []
    assert traffic.out_of_order() == []
    assert undisturbed[-1] <= WAIT
    assert disturbed == bool(others)


async def _disturb(traffic: Traffic, size: Size, *, disturbed: bool) -> None:
    if disturbed:
        await traffic.disturb(size.each, size.most)


def _summary(traffic: Traffic, size: Size, undisturbed: list[float], others: list[float]) -> str:
    telegram = traffic.telegram
    said = sum(one.status == 429 for one in telegram.requests)
    return (
        f"{size.messages} sends to {size.chats} chats: {telegram.limited} x 429 earned, "
        f"{said} scripted, {telegram.trespasses} requests inside a retry_after; waited beyond "
        f"the limits: {undisturbed[-1] * 1000:.0f} ms at most, "
        f"{undisturbed[len(undisturbed) * 99 // 100] * 1000:.0f} ms at 99 %"
        + (f"; {len(traffic.disturbed)} chats told to wait" if others else "")
    )
