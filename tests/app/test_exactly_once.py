"""A command takes effect exactly once, wherever a crash, a full disk or a defect of ours comes."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from bot.alerts.engine import Engine
from bot.app.run import OUTBOX_KEPT
from bot.app.start import restore_desk
from bot.chat.answer import Answer, reply
from bot.chat.request import Request
from bot.chat.router import Router
from bot.market.catalog import Catalog
from bot.rules.rules_file import RulesFile
from bot.store.port import StoreError
from bot.store.records import ChatRow, Commit, Committed, OutboxKind, Watch
from bot.store.sql import SqlStore
from tests.alerts.build import START
from tests.app.test_live import ADMIN, Around
from tests.chat.test_router import FakeApi, text

DAY = 86_400_000


class Crash(BaseException):
    """The process is gone: nobody catches that."""


class CrashingStore(SqlStore):
    """A database in whose commits something goes wrong when asked to."""

    before: Callable[[Commit], None] = staticmethod(lambda _: None)
    after: Callable[[Commit], None] = staticmethod(lambda _: None)

    async def commit(self, commit: Commit) -> Committed:
        self.before(commit)
        done = await super().commit(commit)
        self.after(commit)
        return done


class Life(Around):
    """One run of the program on a database, as far as commands are concerned."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.disk = CrashingStore(f"sqlite:///{path}")
        self.live._store = self.live.ends._store = self.disk

    async def __aenter__(self) -> Self:
        await self.disk.open()
        restore_desk(self.desk, await self.disk.load(), RulesFile((), {}, {}), START)
        self.engine.replace_rules(self.desk.book.rules)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disk.close()

    def decide(self, request: Request) -> Answer:
        """The text of a message is the line of a watch."""
        chat = self.desk.chats.get(ADMIN) or ChatRow(ADMIN)
        watch = Watch(ADMIN, None, chat.next_watch, request.text, START, ADMIN)
        chat = ChatRow(ADMIN, next_watch=chat.next_watch + 1)
        return replace(reply(f"watching {request.text}"), watches=(watch,), chats=(chat,))

    async def apply(self, request: Request, answer: Answer) -> None:
        await self.live.apply(request, answer, self.desk.chats.get(ADMIN))

    async def run(self, api: FakeApi, until: Callable[[], object]) -> None:
        def sorry(_: Request) -> Answer:
            return reply("sorry")

        async def no_pause(_: float) -> None:
            await asyncio.sleep(0)

        router = Router(api, self.decide, sorry, self.apply, lambda *_: None, sleep=no_pause)
        task = asyncio.create_task(router.run())
        try:
            async with asyncio.timeout(10):
                while not until() and not task.done():  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0.001)
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def lines(self) -> list[str]:
        return [watch.line for watch in (await self.disk.load()).watches]

    async def replies(self) -> int:
        rows = await self.disk.uncopied([ADMIN], 99)
        assert all(row.kind is not OutboxKind.REPLY for row in rows)
        return await self.disk.pending(ADMIN)


def only_commands(does: Callable[[], None]) -> Callable[[Commit], None]:
    """Does something at the commit of a command, once."""
    left = [does]

    def at(commit: Commit) -> None:
        if commit.update_id is not None and left:
            left.pop()()

    return at


def crash() -> None:
    raise Crash


def full() -> None:
    raise StoreError("the disk is full")


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_around_the_commit_neither_loses_nor_repeats(
    tmp_path: Path, moment: str
) -> None:
    api = FakeApi(text(10, "BTCUSDT mark > 1"), text(11, "BTCUSDT mark > 2"))
    async with Life(tmp_path / "a.db") as life:
        setattr(life.disk, moment, only_commands(crash))
        with pytest.raises(Crash):
            await life.run(api, lambda: not api.waiting)
    assert len(api.waiting) == 2  # nothing was confirmed
    async with Life(tmp_path / "a.db") as life:
        await life.run(api, lambda: not api.waiting)
        assert await life.lines() == ["BTCUSDT mark > 1", "BTCUSDT mark > 2"]
        assert await life.replies() == 2
        assert [rule.id for rule in life.engine.rules] == [f"watch:{ADMIN}:1", f"watch:{ADMIN}:2"]


async def test_what_cannot_be_stored_waits_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    api = FakeApi(text(10, "BTCUSDT mark > 1"), text(11, "BTCUSDT mark > 2"))
    async with Life(tmp_path / "a.db") as life:
        life.disk.before = only_commands(full)
        await life.run(api, lambda: not api.waiting)
        assert await life.lines() == ["BTCUSDT mark > 1", "BTCUSDT mark > 2"]
        assert await life.replies() == 2
        assert life.desk.chats[ADMIN].next_watch == 3


@pytest.mark.parametrize("where", ["follow", "decide"])
async def test_a_defect_of_ours_blocks_nothing_and_repeats_nothing(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = FakeApi(text(10, "BTCUSDT mark > 1"), text(11, "BTCUSDT mark > 2"))
    async with Life(tmp_path / "a.db") as life:
        whole: Any = life.decide if where == "decide" else life.live._swap

        def broken(given: Any) -> Any:
            if "mark > 2" not in repr(given):
                raise ValueError("a defect of ours")
            return whole(given)

        owner, name = (life, "decide") if where == "decide" else (life.live, "_swap")
        monkeypatch.setattr(owner, name, broken)
        await life.run(api, lambda: not api.waiting)
        first = [] if where == "decide" else ["BTCUSDT mark > 1"]
        assert await life.lines() == [*first, "BTCUSDT mark > 2"]
        assert await life.replies() == 2  # one of them an apology where nothing was done


async def test_a_handled_update_is_known_for_longer_than_telegram_keeps_it(tmp_path: Path) -> None:
    """Bot API, getUpdates: updates are kept for 24 hours."""
    assert OUTBOX_KEPT > 2 * DAY
    waiting: Mapping[str, Any] = text(10, "BTCUSDT mark > 1")
    async with Life(tmp_path / "a.db") as life:
        api = FakeApi(waiting)
        await life.run(api, lambda: not api.waiting)
        life.time = START + 25 * 3_600_000
        await life.disk.prune(life.time - OUTBOX_KEPT)
        api = FakeApi(waiting)
        await life.run(api, lambda: not api.waiting)
        assert await life.lines() == ["BTCUSDT mark > 1"]
        assert await life.replies() == 1


async def test_the_engine_is_rebuilt_with_what_a_crash_left_unfollowed(tmp_path: Path) -> None:
    api = FakeApi(text(10, "BTCUSDT mark > 1"))
    async with Life(tmp_path / "a.db") as life:
        life.disk.after = only_commands(crash)
        with pytest.raises(Crash):
            await life.run(api, lambda: False)
        assert life.engine.rules == Engine([], Catalog()).rules  # this run did not get to it
    async with Life(tmp_path / "a.db") as life:
        assert len(life.engine.rules) == 1
