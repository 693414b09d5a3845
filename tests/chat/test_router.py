"""The getUpdates loop: exactly once, in order, whatever breaks."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.chat import watchdog
from bot.chat.answer import Answer, reply
from bot.chat.request import Request
from bot.chat.router import CONFLICT, REFUSED, UNSTORED, Apply, Router
from bot.notify.bot_api import (
    BotApi,
    BotApiError,
    PollConflictError,
    TokenRefusedError,
    UnreachableError,
)
from bot.notify.port import TOKEN, UNREACHABLE
from bot.store.memory import MemoryStore
from bot.store.port import StoreError
from tests.chat.world import ADMIN, NOW, FakeWorld, message, query
from tests.doubles.telegram import Fault, TelegramDouble


class FakeApi:
    """getUpdates as the server keeps it: what is below the offset is confirmed and gone."""

    def __init__(self, *updates: Mapping[str, Any]) -> None:
        self.waiting = list(updates)
        self.errors: list[BotApiError] = []
        self.offsets: list[int] = []
        self.toasts: list[tuple[str, str]] = []
        self.stuck = 0  # polls that will not end
        self.renewed = 0

    def renew_polling(self) -> None:
        self.renewed += 1

    async def get_updates(self, offset: int, timeout: int) -> Sequence[Mapping[str, Any]]:  # noqa: ASYNC109 - the server's
        await asyncio.sleep(0)
        self.offsets.append(offset)
        if self.stuck:
            self.stuck -= 1
            await asyncio.Event().wait()
        if self.errors:
            raise self.errors.pop(0)
        self.waiting = [one for one in self.waiting if one["update_id"] >= offset]
        return list(self.waiting)

    async def answer_callback(self, query_id: str, text: str = "") -> bool:
        self.toasts.append((query_id, text))
        return True


class Applied:
    """Stands for the app: remembers what was handled, and passes over what was before."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.order: list[int] = []
        self.errors: list[Exception] = []

    async def __call__(self, request: Request, answer: Answer) -> None:
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        if request.update_id not in self.texts:
            self.order.append(request.update_id)
            self.texts[request.update_id] = answer.replies[0].text if answer.replies else ""


def echo(request: Request) -> Answer:
    if request.text == "/raise":
        raise ValueError("a defect of ours")
    return Answer(toast="pressed") if request.data else reply(request.text)


def sorry(request: Request) -> Answer:
    return reply("sorry")


class Run:
    """A running router and all it told."""

    def __init__(
        self,
        api: Any,
        apply: Apply,
        decide: Callable[[Request], Answer] = echo,
        *,
        overtime: float = 10.0,
        poll_seconds: int = 1,
    ) -> None:
        self.faults: list[tuple[str, str | None]] = []
        self.pauses: list[float] = []
        self.slept = 0.0  # s that passed beside the steady clock
        self.router = Router(
            api,
            decide,
            sorry,
            apply,
            lambda kind, words: self.faults.append((kind, words)),
            poll_seconds=poll_seconds,
            overtime=overtime,
            sleep=self._sleep,
            clock=lambda: time.monotonic() + self.slept,
        )

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    async def until(self, holds: Callable[[], object]) -> None:
        task = asyncio.create_task(self.router.run())
        try:
            async with asyncio.timeout(30):
                while not holds() and not task.done():  # noqa: ASYNC110 - holds() has no event
                    await asyncio.sleep(0.001)
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def text(update_id: int, words: str) -> dict[str, Any]:
    return {"update_id": update_id, "message": message(words)}


async def test_updates_are_applied_in_order_and_then_confirmed() -> None:
    api, applied = FakeApi(text(10, "a"), text(11, "b"), text(12, "c")), Applied()
    run = Run(api, applied)
    await run.until(lambda: not api.waiting)
    assert applied.order == [10, 11, 12]
    assert api.offsets[:2] == [0, 13]
    assert run.router.last_poll is not None


async def test_an_update_is_not_confirmed_before_it_is_applied() -> None:
    api, applied = FakeApi(text(10, "a")), Applied()
    applied.errors = [StoreError("the disk is full")] * 3
    run = Run(api, applied)
    await run.until(lambda: applied.order)
    assert api.offsets[:2] == [0, 11]
    assert run.faults == []  # who writes decisions to the store tells it
    assert run.pauses == [1.0, 2.0, 4.0]


async def test_a_store_that_takes_no_command_for_long_is_told_once_and_loses_none() -> None:
    api, applied = FakeApi(text(10, "a"), text(11, "b")), Applied()
    applied.errors = [StoreError("the disk is full")] * 9
    run = Run(api, applied)
    await run.until(lambda: not api.waiting)
    assert run.faults == [
        (UNSTORED, "commands cannot be stored: the disk is full"),
        (UNSTORED, None),
    ]
    assert applied.order == [10, 11]


async def test_a_redelivered_update_is_applied_once() -> None:
    api, applied = FakeApi(text(10, "a")), Applied()
    await Run(api, applied).until(lambda: applied.order)
    api.waiting = [text(10, "a"), text(11, "b")]
    await Run(api, applied).until(lambda: not api.waiting)
    assert applied.order == [10, 11]


@pytest.mark.parametrize(
    "update",
    [{"update_id": 10}, {"update_id": 10, "poll": {}}, {"update_id": 10, "message": {}}],
)
async def test_what_is_not_understood_is_confirmed_all_the_same(update: dict[str, Any]) -> None:
    api, applied = FakeApi(update, text(11, "b")), Applied()
    await Run(api, applied).until(lambda: not api.waiting)
    assert applied.order == [11]


async def test_an_update_that_makes_our_code_raise_is_answered_and_does_not_block(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api, applied = FakeApi(text(10, "/raise"), text(11, "b")), Applied()
    with caplog.at_level(logging.ERROR):
        await Run(api, applied).until(lambda: not api.waiting)
    assert applied.texts == {10: "sorry", 11: "b"}
    assert "an update made us fail" in caplog.text


async def test_an_answer_that_cannot_be_applied_gives_way_to_an_apology() -> None:
    api, applied = FakeApi(text(10, "a"), text(11, "b")), Applied()
    applied.errors = [ValueError("a defect of ours")]
    await Run(api, applied).until(lambda: not api.waiting)
    assert applied.texts == {10: "sorry", 11: "b"}


async def test_a_press_is_ended_after_its_effect() -> None:
    api, applied = FakeApi({"update_id": 10, "callback_query": query("unmute")}), Applied()
    await Run(api, applied).until(lambda: api.toasts)
    assert applied.order == [10]
    assert api.toasts == [("4242", "pressed")]


async def test_faults_of_polling_are_told_once_and_spaced() -> None:
    api, applied = FakeApi(text(10, "a")), Applied()
    api.errors = [
        UnreachableError("refused"), UnreachableError("refused"), UnreachableError("reset"),
        UnreachableError("slow down", 17), BotApiError("nonsense"),
    ]  # fmt: skip
    run = Run(api, applied)
    await run.until(lambda: applied.order)
    assert run.faults == [
        (UNREACHABLE, "refused"), (REFUSED, "slow down"), (UNREACHABLE, None), (REFUSED, None),
    ]  # fmt: skip
    assert run.pauses == [1.0, 2.0, 4.0, 17, 16.0]


async def test_one_poll_that_fails_is_not_worth_a_word() -> None:
    api, applied = FakeApi(text(10, "a")), Applied()
    api.errors = [UnreachableError("the server closed the connection")]
    run = Run(api, applied)
    await run.until(lambda: applied.order)
    assert run.faults == []


# -- the watchdog ------------------------------------------------------------------------------


async def test_a_poll_that_does_not_end_is_given_up_and_asked_again_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api, applied = FakeApi(text(10, "a")), Applied()
    api.stuck = 1
    run = Run(api, applied, overtime=-0.9)
    with caplog.at_level(logging.WARNING):
        await run.until(lambda: applied.order)
    assert (api.renewed, run.pauses, run.faults) == (1, [], [])
    assert "Telegram did not answer a request for updates within 0.1 s" in caplog.text


async def test_what_hangs_again_is_told_once_and_so_is_its_end() -> None:
    api, applied = FakeApi(text(10, "a")), Applied()
    api.stuck = 4
    run = Run(api, applied, overtime=-0.95)
    await run.until(lambda: applied.order)
    assert run.faults == [
        (UNREACHABLE, "Telegram does not answer: a request is stuck"), (UNREACHABLE, None)
    ]  # fmt: skip
    assert (api.renewed, run.pauses) == (4, [2.0, 4.0, 8.0])


async def test_after_the_machine_slept_updates_are_asked_for_anew_and_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watchdog, "_LOOK", 0.02)
    monkeypatch.setattr(watchdog, "_GRACE", 0.05)
    api, applied = FakeApi(text(10, "a")), Applied()
    api.stuck = 1
    run = Run(api, applied, overtime=60)

    def asleep() -> bool:
        run.slept = 3_600.0 if api.offsets else 0.0
        return bool(applied.order)

    with caplog.at_level(logging.WARNING):
        await run.until(asleep)
    assert (api.renewed, run.pauses, run.faults, caplog.text) == (1, [], [], "")


async def test_an_answer_that_came_while_the_program_stood_still_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchdog, "_LOOK", 0.05)

    async def slow() -> str:
        await asyncio.sleep(0.2)
        return "answer"

    began = time.monotonic()
    late = iter([began, began + 90, began + 90, began + 90.1])
    assert await watchdog.watched(slow(), 0.3, lambda: next(late, began + 91)) == "answer"


@pytest.mark.parametrize("fault", [Fault.slow(3_600), Fault(dropped=True, delay=3_600)])
async def test_a_server_that_falls_silent_is_asked_again_over_a_new_connection(
    fault: Fault,
) -> None:
    applied = Applied()
    async with TelegramDouble() as telegram:
        api = BotApi(telegram.token, telegram.url)
        run = Run(api, applied, overtime=-0.5)
        telegram.fail_next(fault, method="getUpdates")
        first = telegram.say(7, "hello")
        await run.until(lambda: applied.order)
        assert (applied.texts, run.faults) == ({first: "hello"}, [])
        await api.close()


@asynccontextmanager
async def serving(serve: Callable[..., Coroutine[Any, Any, None]]) -> AsyncIterator[str]:
    """A server of anything on loopback; its URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await serve(writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_answer_that_never_ends_is_given_up() -> None:
    """Each byte restarts the clock of a read: only a bound on the whole ends it."""
    served = 0

    async def drip(writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(drip) as url:
        api = BotApi("1:x", url)
        run = Run(api, Applied(), overtime=-0.8)
        await run.until(lambda: run.faults)
        await api.close()
    assert run.faults == [(UNREACHABLE, "Telegram does not answer: a request is stuck")]
    assert served >= 2


async def test_a_pool_without_a_free_connection_is_thrown_away() -> None:
    """Requests that hang keep their places in the pool; a new pool has free ones."""
    served = 0

    async def third_time_lucky(writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        if served < 3:
            await asyncio.Event().wait()
        body = b'{"ok":true,"result":[]}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    async with serving(third_time_lucky) as url:
        api = BotApi("1:x", url, connect_timeout=60)
        hanging = [asyncio.create_task(api.get_updates(0, 600)) for _ in range(2)]
        run = Run(api, Applied(), overtime=-0.5)
        await run.until(lambda: run.router.last_poll is not None)
        assert run.faults == []
        assert served >= 3
        await api.close()
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


# -- another program ---------------------------------------------------------------------------


async def test_a_conflict_is_over_only_when_polls_have_gone_well_for_a_minute() -> None:
    api, applied = FakeApi(), Applied()
    run = Run(api, applied)
    another = PollConflictError("another program reads")
    api.errors = [another]
    await run.until(lambda: len(api.offsets) > 3)
    for passed in (50.0, 50.0, 59.0):  # it polls again before the minute is over
        run.slept += passed
        await run.until(lambda: run.router.last_poll is not None)
        api.errors = [another]
        await run.until(lambda: not api.errors)
    assert run.faults == [(CONFLICT, "another program reads")]
    at = len(api.offsets)
    await run.until(lambda: len(api.offsets) > at + 2)
    run.slept += 61.0
    await run.until(lambda: len(run.faults) > 1)
    assert run.faults[1:] == [(CONFLICT, None)]


async def test_a_conflict_backs_off_to_half_a_minute_over_polls_that_go_well() -> None:
    api, applied = FakeApi(), Applied()
    run = Run(api, applied)
    for _ in range(8):
        api.errors = [PollConflictError("another program reads")]
        at = len(api.offsets)
        await run.until(lambda at=at: len(api.offsets) > at + 2)  # type: ignore[misc]
    assert run.pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


async def test_what_comes_during_a_conflict_is_handled_and_nothing_is_passed_over() -> None:
    api, applied = FakeApi(text(10, "a")), Applied()
    run = Run(api, applied)
    api.errors = [PollConflictError("another program reads")] * 3

    async def pause(_: float) -> None:
        await asyncio.sleep(0)
        if len(api.errors) == 1:
            api.waiting.append(text(11, "b"))

    run.router._sleep = pause
    await run.until(lambda: not api.waiting)
    assert (applied.order, api.offsets[:5]) == ([10, 11], [0, 0, 0, 0, 12])


async def test_a_token_refused_later_on_does_not_end_the_loop() -> None:
    api, applied = FakeApi(), Applied()
    run = Run(api, applied)
    await run.until(lambda: run.router.last_poll is not None)
    api.errors = [TokenRefusedError("check TELEGRAM_TOKEN")] * 3
    api.waiting = [text(10, "a")]
    await run.until(lambda: applied.order)
    assert run.faults == [(TOKEN, "check TELEGRAM_TOKEN"), (TOKEN, None)]


async def test_a_refused_token_ends_the_loop() -> None:
    api = FakeApi()
    api.errors = [TokenRefusedError("check TELEGRAM_TOKEN")]
    with pytest.raises(TokenRefusedError, match="TELEGRAM_TOKEN"):
        await Run(api, Applied()).until(lambda: False)


async def test_after_an_empty_answer_any_number_is_asked_for_again() -> None:
    api, applied = FakeApi(text(10_000, "a")), Applied()
    run = Run(api, applied)
    await run.until(lambda: len(api.offsets) > 2)
    assert api.offsets[:3] == [0, 10_001, 0]
    api.waiting = [text(4, "after a week of silence")]
    await run.until(lambda: not api.waiting)
    assert applied.order == [10_000, 4]


class Desk:
    """The app in small: a store that outlives crashes, and a world built anew from it."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.world = FakeWorld(rows=False)
        self.crash_at = 0  # the commit after which everything is forgotten but the store

    async def start(self) -> None:
        saved = await self.store.load()
        self.world.chats = {row.chat_id: row for row in saved.chats}
        for watch in saved.watches:
            self.world.held.setdefault(watch.chat_id, []).append(watch)

    def decide(self, request: Request) -> Answer:
        return self.world.decide(request)

    async def apply(self, request: Request, answer: Answer) -> None:
        done = await self.store.commit(answer.commit(request, NOW, {}))
        self.crash_at -= done.applied
        if self.crash_at == 0:
            raise asyncio.CancelledError
        if done.applied:
            self.world.take(request, answer)


async def test_over_crashes_no_command_is_lost_and_none_is_obeyed_twice() -> None:
    store, noise = MemoryStore(), random.Random(4)
    await store.open()
    api = FakeApi(*(text(number, f"/watch BTC mark > {number}") for number in range(1, 61)))
    crashes = 0
    while api.waiting and crashes < 60:  # each crash comes after a command took effect
        desk = Desk(store)
        await desk.start()
        desk.crash_at = noise.randrange(1, 9)
        run = Run(api, desk.apply, desk.decide)
        try:
            await run.until(lambda: not api.waiting)
        except asyncio.CancelledError:
            crashes += 1
        assert run.faults == []
    saved = await store.load()
    lines = [watch.line for watch in sorted(saved.watches, key=lambda watch: watch.number)]
    assert lines == [f"BTCUSDT mark > {number}" for number in range(1, 61)]
    assert [watch.number for watch in saved.watches] == list(range(1, 61))
    assert await store.pending(ADMIN) == 60
    assert crashes > 5


async def test_the_loop_works_against_a_server() -> None:
    applied = Applied()
    async with TelegramDouble() as telegram:
        api = BotApi(telegram.token, telegram.url)
        run = Run(api, applied)
        first = telegram.say(7, "hello")
        await run.until(lambda: telegram.polling)
        assert applied.texts == {first: "hello"}
        assert telegram.waiting == 0
        await api.close()


async def test_a_token_that_the_server_does_not_know_ends_the_loop() -> None:
    async with TelegramDouble() as telegram:
        api = BotApi("99:unknown", telegram.url)
        with pytest.raises(TokenRefusedError):
            await Run(api, Applied()).until(lambda: False)
        await api.close()
