"""The getUpdates loop: exactly once, in order, whatever breaks."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from bot.chat.answer import Answer, reply
from bot.chat.request import Request
from bot.chat.router import Apply, Router
from bot.notify.bot_api import (
    BotApi,
    BotApiError,
    PollConflictError,
    TokenRefusedError,
    UnreachableError,
)
from bot.store.memory import MemoryStore
from bot.store.port import StoreError
from tests.chat.world import ADMIN, NOW, FakeWorld, message, query
from tests.doubles.telegram import TelegramDouble


class FakeApi:
    """getUpdates as the server keeps it: what is below the offset is confirmed and gone."""

    def __init__(self, *updates: Mapping[str, Any]) -> None:
        self.waiting = list(updates)
        self.errors: list[BotApiError] = []
        self.offsets: list[int] = []
        self.toasts: list[tuple[str, str]] = []

    async def get_updates(self, offset: int, timeout: int) -> Sequence[Mapping[str, Any]]:  # noqa: ASYNC109 - the server's
        await asyncio.sleep(0)
        self.offsets.append(offset)
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

    def __init__(self, api: Any, apply: Apply, decide: Callable[[Request], Answer] = echo) -> None:
        self.faults: list[str | None] = []
        self.pauses: list[float] = []
        self.router = Router(
            api, decide, sorry, apply, self.faults.append, poll_seconds=1, sleep=self._sleep
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
    assert run.faults == ["commands cannot be stored: the disk is full", None]


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
        UnreachableError("refused"), UnreachableError("refused"), UnreachableError("refused"),
        UnreachableError("slow down", 17), PollConflictError("another program reads"),
    ]  # fmt: skip
    run = Run(api, applied)
    await run.until(lambda: applied.order)
    assert run.faults == ["refused", "slow down", "another program reads", None]
    assert run.pauses == [1.0, 2.0, 4.0, 17, 16.0]


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
