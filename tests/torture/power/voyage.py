"""A run of the store with everything that the program asks of it, and what it was promised."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from bot.alerts.lifecycle import Phase, State
from bot.store.dialect import Connect, Sqlite
from bot.store.port import StoreError
from bot.store.records import (
    ChatRow,
    Commit,
    Copied,
    OutboxKind,
    OutboxRow,
    OutboxStatus,
    Pause,
    Sample,
    SavedState,
    StateKey,
    Watch,
)
from bot.store.sql import SqlStore
from tests.store.build import again, sent, uncertain
from tests.torture.power.disk import Image, Operation, put

RULE, CHATS, RESTARTS = "file:hot", 4, (20, 40)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Moment:
    """What held when a call had returned: after how many operations, and for which alerts."""

    operations: int
    files: Image
    promised: dict[str, bool]  # the keys of what is stored, and whether it was settled as sent


class Voyage:
    """Drives a store on `path`, whose `operations` grow meanwhile.

    The folder is as `found`; `promised` is known of what is in it.
    """

    def __init__(
        self,
        path: Path,
        connect: Connect,
        operations: list[Operation],
        found: Image | None = None,
        promised: dict[str, bool] | None = None,
    ) -> None:
        self.path = path
        self.found = found or {}
        self.moments: list[Moment] = []
        self.refused: list[str] = []  # what calls raised that were then made again
        self.committed = 0  # alerts
        self._operations = operations
        self._store = SqlStore(Sqlite(str(path), connect))
        self._promised = promised or {}
        self._made = dict.fromkeys(self._promised, 0)  # when, epoch ms
        put(path.parent, self.found)

    async def sail(self, first: int, last: int) -> None:
        """From its start to its end, through the alerts of these numbers."""
        await self._call(self._store.open)
        await self._call(lambda: self._store.commit(Commit(chats=_chats(), facts={"admins": "7"})))
        for number in range(first, last + 1):
            await self._tell(number)
            if number in RESTARTS:
                await self._call(self._store.close)
                await self._call(self._store.open)
        await self._call(self._store.close)

    async def _tell(self, number: int) -> None:
        now = number * 10_000
        await self._commit(_decision(number, now))
        if number % 7 in range(1, 6):
            await self._deliver(now)
        if number % 3 == 0:
            await self._commit(_command(number, now))
        if number % 5 == 0:
            facts = {"alive_at": str(now), "catalog": "x" * 9_000}
            await self._commit(Commit(facts=facts))
        if number % 15 == 0:
            pause = Pause(number % CHATS, RULE, "hot", now, f"pause-{number}")
            await self._commit(Commit(pauses=(pause,), outbox=(_notice(pause.notice, now),)))
        if number % 15 == 6:
            await self._commit(Commit(resumed=tuple((chat, RULE) for chat in range(CHATS))))
        if number % 7 == 0:
            await self._bury((number - 1) % CHATS, now)
            await self._call(lambda: self._store.hasten(now))
        if number % 20 == 10:
            await self._prune(now - 60_000)
        if number == 50:
            await self._call(lambda: self._store.move_chat(1, CHATS + 1))

    async def _commit(self, commit: Commit) -> None:
        async def work() -> None:
            await self._store.commit(commit)
            self._promise(commit.outbox)
            self.committed += sum(row.kind is OutboxKind.ALERT for row in commit.outbox)

        await self._call(work)

    def _promise(self, rows: Iterable[OutboxRow]) -> None:
        self._promised |= {row.key: False for row in rows}
        self._made |= {row.key: row.created_at for row in rows}

    async def _deliver(self, now: int) -> None:
        """Of the rows that go, most arrive; one in seven waits again, one in eleven is doubtful."""
        rows = await self._call(lambda: self._store.lease(now, now + 60_000, 3))
        for row in rows:
            outcome = sent(row, row.id, now)
            if row.attempts == 1 and row.id % 7 == 0:
                outcome = again(row, now + 5_000)
            elif row.attempts == 1 and row.id % 11 == 0:
                outcome = uncertain(row, now + 15_000)
            await self._settle(outcome)

    async def _settle(self, row: OutboxRow) -> None:
        """One message in five has a second part."""
        is_sent = row.status is OutboxStatus.SENT
        rest = (_rest(row),) if is_sent and row.id % 5 == 0 else ()
        chat = ChatRow(row.chat_id, not_before=row.not_before)

        async def work() -> None:
            await self._store.settle([row], [chat], rest)
            self._promised[row.key] = is_sent
            self._promise(rest)

        await self._call(work)

    async def _bury(self, chat_id: int, now: int) -> None:
        notice = _notice(f"late-{now}", now)
        rows = await self._call(lambda: self._store.late_rows(chat_id, now, now))

        async def work() -> None:
            if await self._store.bury(rows, "too late", (notice,)):
                self._promise((notice,))

        await self._call(work)
        await self._call(lambda: self._store.mark_copied([row.id for row in rows], Copied.DONE))

    async def _prune(self, before: int) -> None:
        """What is older may go from now on."""

        async def work() -> None:
            await self._store.prune(before)
            self._promised = {k: v for k, v in self._promised.items() if self._made[k] >= before}

        await self._call(work)

    async def _call(self, work: Callable[[], Awaitable[_Result]]) -> _Result:
        while True:
            try:
                result = await work()
            except StoreError as error:
                self.refused.append(str(error))
            else:
                self._note()
                return result

    def _note(self) -> None:
        files = {
            name: path.read_bytes()
            for name in (self.path.name, f"{self.path.name}-wal")
            if (path := self.path.with_name(name)).exists()
        }
        self.moments.append(Moment(len(self._operations), files, dict(self._promised)))


def _chats() -> tuple[ChatRow, ...]:
    return tuple(ChatRow(number, title=f"Chat {number}") for number in range(CHATS))


def _decision(number: int, now: int) -> Commit:
    """An alert begins, is over or is repeated: its state, its minute's values, its rows."""
    symbol = f"S{number % 9}USDT"
    key = StateKey(RULE, "f1", symbol)
    row = OutboxRow(
        f"alert-{number}", OutboxKind.ALERT, number % CHATS, None, b"{}" * (300 + number * 40),
        now, RULE, "f1", symbol, now, "fired",
    )  # fmt: skip
    return Commit(
        states=(SavedState(key, State(phase=Phase.FIRING, since=now, sides=(1, None))),),
        samples=tuple(
            Sample(f"S{place}USDT", field, now, "0.0001")
            for place in range(9)
            for field in ("rate", "mark")
        ),
        outbox=(row,),
        ended=(StateKey(RULE, "f1", "S0USDT"),) if number % 18 == 0 else (),
    )


def _command(number: int, now: int) -> Commit:
    watch = Watch(7, None, number, "BTCUSDT rate > 0.05%", now, 7)
    reply = OutboxRow(f"reply-{number}", OutboxKind.REPLY, 7, None, b"{}" * 200, now)
    unwatched = ((7, number - 6),) if number > 6 else ()
    return Commit(
        watches=(watch,), unwatched=unwatched, outbox=(reply,), update_id=number,
        chats=(ChatRow(7, next_watch=number + 1),),
    )  # fmt: skip


def _notice(key: str, now: int) -> OutboxRow:
    return msgspec.structs.replace(_command(0, now).outbox[0], key=key, kind=OutboxKind.NOTICE)


def _rest(row: OutboxRow) -> OutboxRow:
    return OutboxRow(
        f"rest|{row.key}|2", OutboxKind.REST, row.chat_id, row.topic, b"{}" * 500, row.created_at
    )
