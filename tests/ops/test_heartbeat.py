"""The call to an outside watcher, over real HTTP."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from bot.ops import heartbeat
from bot.ops.heartbeat import EVERY, Heartbeat
from tests.doubles.loopback_server import LoopbackServer, Reply

SECRET = "/hunter2?key=swordfish"


class Watcher(LoopbackServer):
    """Notes each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str]] = []
        self.answer = Reply(200, b"OK")

    async def reply(self, verb: str, path: str, content_type: str, body: bytes) -> Reply:
        self.calls.append((verb, path))
        return self.answer


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def watcher() -> AsyncIterator[Watcher]:
    async with Watcher() as watcher:
        yield watcher


async def seconds_pass(beating: Heartbeat, clock: Clock, healthy: list[bool]) -> None:
    """One look a second."""
    for each in healthy:
        await beating.beat(healthy=each)
        clock.now += 1.0


async def test_it_is_called_at_once_and_then_every_30_s(watcher: Watcher) -> None:
    clock = Clock()
    async with Heartbeat(watcher.url + SECRET, monotonic=clock) as beating:
        await seconds_pass(beating, clock, [True])
        assert watcher.calls == [("GET", SECRET)]
        await seconds_pass(beating, clock, [True] * (2 * int(EVERY) - 1))
        assert len(watcher.calls) == 2
        await seconds_pass(beating, clock, [True])
        assert len(watcher.calls) == 3
    assert beating.results == {"ok": 3}


async def test_it_is_called_only_while_all_is_well_and_again_after(watcher: Watcher) -> None:
    clock = Clock()
    async with Heartbeat(watcher.url, monotonic=clock) as beating:
        await seconds_pass(beating, clock, [False] * 100)
        assert watcher.calls == []
        await seconds_pass(beating, clock, [True] + [False] * 100)
        assert len(watcher.calls) == 1
        await seconds_pass(beating, clock, [True])
        assert len(watcher.calls) == 2


@pytest.mark.parametrize("healthy_every", [2, 7])
async def test_what_comes_and_goes_does_not_make_it_call_more_often(
    watcher: Watcher, healthy_every: int
) -> None:
    clock = Clock()
    async with Heartbeat(watcher.url, monotonic=clock) as beating:
        flapping = [second % healthy_every == 0 for second in range(120)]
        await seconds_pass(beating, clock, flapping)
    assert 3 <= len(watcher.calls) <= 4


async def test_without_an_address_nothing_is_called() -> None:
    async with Heartbeat(None) as beating:
        await beating.beat(healthy=True)
    assert beating.results == {}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Reply(404), "answers HTTP 404"),
        (Reply(302), "answers HTTP 302"),
        (Reply(0), "cannot be reached (RemoteProtocolError)"),
        (Reply(200, delay=5.0), "no answer within 0.3 s"),
        (None, "cannot be reached (ConnectError)"),
    ],
)
async def test_a_failure_is_said_once_and_its_end_once_without_the_address(
    watcher: Watcher,
    answer: Reply | None,
    words: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heartbeat, "PATIENCE", 0.3)
    caplog.set_level(logging.INFO, "bot")
    clock, address = Clock(), watcher.url + SECRET
    async with Heartbeat(address, monotonic=clock) as beating:
        if answer is None:
            await watcher.go_down()
        else:
            watcher.answer = answer
        await seconds_pass(beating, clock, [True] * 61)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert words in caplog.text
        if answer is None:
            await watcher.come_back()
        watcher.answer = Reply(204)
        await seconds_pass(beating, clock, [True] * 60)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert beating.results["ok"] == 2
    assert beating.results["failed"] == 3
    host = watcher.url.partition("//")[2]
    for secret in ("hunter2", "swordfish", host):
        assert secret not in caplog.text
        assert secret not in repr(beating)


async def test_a_failure_that_becomes_another_is_said(
    watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    async with Heartbeat(watcher.url, monotonic=clock) as beating:
        for status in (500, 500, 410, 500):
            watcher.answer = Reply(status)
            await seconds_pass(beating, clock, [True] * int(EVERY))
    assert [record.getMessage().split()[3].rstrip(";") for record in caplog.records] == [
        "500", "410", "500",
    ]  # fmt: skip


async def test_a_loopback_address_asks_no_proxy(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with Heartbeat(watcher.url) as beating:
        await beating.beat(healthy=True)
    assert beating.results == {"ok": 1}


async def test_a_large_answer_is_not_read(watcher: Watcher) -> None:
    watcher.answer = Reply(200, b"x" * (8 << 20))
    async with Heartbeat(watcher.url) as beating, asyncio.timeout(5):
        await beating.beat(healthy=True)
    assert beating.results == {"ok": 1}
