import asyncio

import pytest

from bot.notify.scheduler import Scheduler


async def test_a_failing_job_is_logged_and_runs_again(caplog: pytest.LogCaptureFixture) -> None:
    runs, enough = 0, asyncio.Event()

    async def job() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            enough.set()
        raise ValueError("no luck")

    scheduler = Scheduler()
    scheduler.add("unlucky", 0.01, job)
    scheduler.start()
    await asyncio.wait_for(enough.wait(), 30)
    scheduler.stop()
    scheduler.stop()
    assert "unlucky" in caplog.text
    assert "no luck" in caplog.text


async def test_a_slow_job_never_runs_twice_at_once() -> None:
    under_way, most, runs = 0, 0, 0
    enough = asyncio.Event()

    async def job() -> None:
        nonlocal under_way, most, runs
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        runs += 1
        if runs == 3:
            enough.set()

    scheduler = Scheduler()
    scheduler.add("slow", 0.01, job)
    scheduler.start()
    await asyncio.wait_for(enough.wait(), 30)
    scheduler.stop()
    assert most == 1


async def test_a_job_that_the_end_cuts_short_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def job() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    scheduler = Scheduler()
    scheduler.add("long", 0.01, job)
    scheduler.start()
    await asyncio.wait_for(begun.wait(), 30)
    scheduler.stop()
    await asyncio.wait_for(ended.wait(), 30)
    for _ in range(3):  # the library hears of it a step later
        await asyncio.sleep(0)
    assert caplog.text == ""
