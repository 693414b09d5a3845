"""Random work on both stores at once: they must not be told apart."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bot.alerts.lifecycle import Phase, State
from bot.store.memory import MemoryStore
from bot.store.port import Store
from bot.store.records import (
    ChatRow,
    Commit,
    Copied,
    Held,
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

CHATS = (7, 8, -5, -1005)
chat_ids = st.sampled_from(CHATS)
times = st.integers(0, 100)
rule_ids = st.sampled_from(["file:hot", *(f"watch:{n}:1" for n in CHATS)])
state_keys = st.builds(StateKey, rule_ids, st.sampled_from(["f1", "f2"]), st.sampled_from("AB"))
ended_keys = st.builds(
    StateKey, rule_ids, st.sampled_from(["f1", "f2"]), st.sampled_from(["A", "B", ""])
)
states = st.builds(
    SavedState, state_keys, st.builds(State, phase=st.sampled_from(Phase), since=times)
)
rows = st.builds(
    OutboxRow,
    key=st.integers(0, 500).map(str),
    kind=st.sampled_from([*OutboxKind, *[OutboxKind.ALERT] * 4, *[OutboxKind.REPLY] * 2]),
    chat_id=chat_ids,
    topic=st.none() | st.just(4),
    payload=st.just(b"{}"),
    created_at=times,
    rule_id=rule_ids,
    fingerprint=st.just("f1"),
    symbol=st.sampled_from("AB"),
    episode=st.integers(0, 1),
    event=st.sampled_from(["fired", "resolved", ""]),
    expires_at=st.none() | times,
    not_before=st.sampled_from([0, 0, 0, 30, 60]),
    held=st.sampled_from([*[Held.NO] * 6, Held.FLAP, Held.PAUSE]),
)
pairs = st.tuples(chat_ids, rule_ids)
pauses = st.builds(Pause, chat_ids, rule_ids, st.just("name"), times, st.just("notice"))
chats = st.builds(
    ChatRow,
    chat_id=chat_ids,
    title=st.sampled_from(["", "t"]),
    disabled=st.sampled_from(["", "", "blocked"]),
    not_before=st.sampled_from([0, 0, 40, 80]),
    next_watch=st.integers(1, 4),
)
watches = st.builds(
    Watch, chat_ids, st.none(), st.integers(1, 3), st.just("line"), times, st.just(99)
)


def few(strategy: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=most).map(tuple)


commits = st.builds(
    Commit,
    states=few(states),
    ended=few(ended_keys, 1),
    samples=few(st.builds(Sample, st.sampled_from("AB"), st.just("mark"), times, st.just("1"))),
    outbox=few(rows, 6),
    watches=few(watches),
    unwatched=few(st.tuples(chat_ids, st.integers(1, 3)), 1),
    chats=few(chats, 1),
    facts=st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=1),
    update_id=st.none() | st.integers(0, 9),
    at=times,
    pauses=few(pauses, 1),
    resumed=few(pairs, 1),
    summed=few(st.integers(1, 40), 2),
)


async def _look(store: Store) -> Any:
    return (
        await store.load(),
        await store.outbox_counts(),
        await store.next_due(50),
        await store.chat_rows(7, "file:hot", "A", 1),
        [await store.pending(chat_id) for chat_id in (None, *CHATS)],
        await store.held_counts(),
        await store.flapping_rows(50),
        await store.recent_sends(30),
        await store.firings(1),
        await store.uncopied(CHATS[:3], 5),
        [await store.late_rows(chat_id, 40, 20) for chat_id in CHATS],
    )


class Stores(RuleBasedStateMachine):
    empty: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = shutil.copy(self.empty, Path(self.folder.name) / "store.db")
        self.loop = asyncio.new_event_loop()
        self.memory, self.sql = MemoryStore(), SqlStore(f"sqlite:///{path}")
        self.leased: list[OutboxRow] = []
        self.loop.run_until_complete(self.sql.open())

    def teardown(self) -> None:
        self.loop.run_until_complete(self.sql.close())
        self.loop.close()
        self.folder.cleanup()

    def same(self, ask: Callable[[Store], Awaitable[Any]]) -> Any:
        async def both() -> tuple[Any, Any]:
            return await ask(self.memory), await ask(self.sql)

        memory, sql = self.loop.run_until_complete(both())
        assert memory == sql
        return memory

    @rule(commit=commits)
    def commit(self, commit: Commit) -> None:
        self.same(lambda store: store.commit(commit))

    @rule(now=times, length=st.integers(1, 50), limit=st.integers(1, 6), busy=few(chat_ids))
    def lease(self, now: int, length: int, limit: int, busy: tuple[int, ...]) -> None:
        self.leased += self.same(
            lambda store: store.lease(now, now + length, limit, frozenset(busy))
        )

    @rule(
        data=st.data(),
        status=st.sampled_from(OutboxStatus),
        not_before=times,
        given=few(chats, 1),
        added=few(rows, 1),
    )
    def settle(
        self,
        data: st.DataObject,
        status: OutboxStatus,
        not_before: int,
        given: tuple[ChatRow, ...],
        added: tuple[OutboxRow, ...],
    ) -> None:
        sent_at = not_before if status is OutboxStatus.SENT else None
        outcomes = [
            msgspec.structs.replace(row, status=status, not_before=not_before, sent_at=sent_at)
            for row in self._some_leased(data)
        ]
        self.same(lambda store: store.settle(outcomes, given, added))

    @rule(data=st.data(), added=few(rows, 1))
    def bury(self, data: st.DataObject, added: tuple[OutboxRow, ...]) -> None:
        given = self._some_leased(data)
        self.same(lambda store: store.bury(given, "late", added))

    def _some_leased(self, data: st.DataObject) -> list[OutboxRow]:
        size = len(self.leased)
        chosen = data.draw(st.lists(st.sampled_from(range(size)), max_size=4)) if size else []
        return [self.leased[n] for n in chosen]

    @rule(chat_id=chat_ids, now=times, before=times)
    def bury_late(self, chat_id: int, now: int, before: int) -> None:
        late = self.same(lambda store: store.late_rows(chat_id, now, before))
        self.same(lambda store: store.bury(late, "late"))

    @rule(now=times)
    def hasten(self, now: int) -> None:
        self.same(lambda store: store.hasten(now))

    @rule(ids=few(st.integers(1, 40), 3), copied=st.sampled_from(Copied))
    def copy(self, ids: tuple[int, ...], copied: Copied) -> None:
        self.same(lambda store: store.mark_copied(ids, copied))

    @rule(old=chat_ids, new=chat_ids)
    def move(self, old: int, new: int) -> None:
        self.same(lambda store: store.move_chat(old, new))

    @rule(before=times, samples_before=st.none() | times)
    def prune(self, before: int, samples_before: int | None) -> None:
        self.same(lambda store: store.prune(before, samples_before))

    @invariant()
    def they_hold_the_same(self) -> None:
        self.same(_look)


@pytest.mark.timeout(300)  # a failure takes its time to become a short example
def test_the_stores_cannot_be_told_apart(
    empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stores, "empty", empty_database, raising=False)
    run_state_machine_as_test(
        Stores,
        settings=settings(
            max_examples=10,
            stateful_step_count=20,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
