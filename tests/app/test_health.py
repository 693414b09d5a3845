"""Probes and the heartbeat of the real program, in a venue and a Telegram that come and go."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from tests.app.program import ADMIN, Place, Run, a_place
from tests.doubles.loopback_server import LoopbackServer, Reply

SECRET = "hunter2"

pytestmark = pytest.mark.timeout(120)


class Watcher(LoopbackServer):
    """Counts heartbeats."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.called = asyncio.Event()

    async def reply(self, verb: str, path: str, content_type: str, body: bytes) -> Reply:
        assert (verb, path) == ("GET", f"/{SECRET}")
        self.calls += 1
        self.called.set()
        return Reply(200)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path) as made:
        made.write_rules('{name: hot, symbols: ETHUSDT, when: "rate > 0.1%"}')
        yield made


@pytest.fixture
async def watcher() -> AsyncIterator[Watcher]:
    async with Watcher() as watcher:
        yield watcher


async def page(run: Run, path: str) -> tuple[int, str]:
    await run.said("Health pages at ")
    [address] = re.findall(r"Health pages at (http://\S+)", run.output)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{address}{path}")
    return answer.status_code, answer.text.strip()


async def comes(look: Callable[[], Awaitable[tuple[int, str]]], wanted: tuple[int, str]) -> None:
    """Waits until a page says this; the text may be its beginning."""
    seen = (0, "")
    try:
        async with asyncio.timeout(20):
            while not (seen[0] == wanted[0] and seen[1].startswith(wanted[1])):
                await asyncio.sleep(0.1)
                seen = await look()
    except TimeoutError:
        raise AssertionError(f"wanted {wanted}, seen {seen}") from None


async def test_a_silent_feed_is_not_ready_but_alive_and_ready_again_after(place: Place) -> None:
    async with place.start() as run:

        async def ready() -> tuple[int, str]:
            return await page(run, "/readyz")

        await comes(ready, (200, "rows flow; messages can be sent"))
        place.venue.faults.set("silent")
        await comes(ready, (503, "not ready: no new row for 1"))
        assert await page(run, "/healthz") == (200, "ok")
        place.venue.faults.clear("silent")
        await comes(ready, (200, "rows flow"))


async def test_an_unreachable_telegram_is_not_ready_but_alive(place: Place) -> None:
    async with place.start() as run:

        async def ready() -> tuple[int, str]:
            return await page(run, "/readyz")

        await comes(ready, (200, "rows flow"))
        await place.telegram.go_down()
        place.venue.set_row("ETHUSDT", rate="0.00200000")
        await comes(ready, (503, "not ready: rows flow; messages cannot be sent: Telegram"))
        assert await page(run, "/healthz") == (200, "ok")
        await place.telegram.come_back()
        await comes(ready, (200, "rows flow"))


@pytest.mark.parametrize("broken", ["feed", "sender"])
async def test_the_heartbeat_waits_for_both_and_its_address_is_a_secret(
    place: Place, watcher: Watcher, broken: str
) -> None:
    if broken == "feed":
        place.venue.faults.set("silent")
    else:
        await place.telegram.go_down()
    async with place.start(HEARTBEAT_URL=f"{watcher.url}/{SECRET}") as run:
        if broken == "feed":
            await place.telegram.wait_for(lambda: place.telegram.requests)
            reason = "no row has come yet; messages can be sent"
        else:
            await run.said("Rows flow")
            reason = "rows flow; Telegram has not answered yet"
        await comes(lambda: page(run, "/readyz"), (503, f"not ready: {reason}"))
        assert watcher.calls == 0
        if broken == "feed":
            place.venue.faults.clear("silent")
        else:
            await place.telegram.come_back()
        async with asyncio.timeout(40):
            await watcher.called.wait()
        assert await run.stop() == 0
    assert SECRET not in run.output
    assert "HEARTBEAT_URL" not in run.output


async def test_a_heartbeat_that_nobody_answers_harms_nothing(place: Place) -> None:
    async with place.start(HEARTBEAT_URL=f"http://127.0.0.1:1/{SECRET}") as run:
        await run.said("HEARTBEAT_URL: cannot be reached (ConnectError)")
        place.telegram.say(ADMIN, "/status")
        await place.heard(ADMIN, "rows arrive")
        assert await run.stop() == 0
    assert SECRET not in run.output


async def test_the_metrics_follow_the_feed(place: Place) -> None:
    async with place.start() as run:

        async def shown() -> tuple[int, str]:
            status, text = await page(run, "/metrics")
            lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
            said = [lines[f"fundingbot_{name}"] for name in ("ready", "stream_connections")]
            return status, " ".join(said)

        await comes(shown, (200, "1.0 1.0"))
        place.venue.faults.set("refuse", 451)
        place.venue.faults.set("close", 1001)
        await comes(shown, (200, "0.0 0.0"))
