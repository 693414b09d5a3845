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
    OutboxKind,
    OutboxRow,
    OutboxStatus,
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
    kind=st.sampled_from([*OutboxKind, OutboxKind.ALERT, OutboxKind.ALERT]),
    chat_id=chat_ids,
    topic=st.none(),
    payload=st.just(b"{}"),
    created_at=times,
    rule_id=rule_ids,
    fingerprint=st.just("f1"),
    symbol=st.sampled_from("AB"),
    episode=st.integers(0, 1),
    not_before=st.sampled_from([0, 0, 0, 30, 60]),
)
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
)


async def _look(store: Store) -> Any:
    return (
        await store.load(),
        await store.outbox_counts(),
        await store.next_due(50),
        await store.chat_rows(7, "file:hot", "A", 1),
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
    )
    def settle(
        self, data: st.DataObject, status: OutboxStatus, not_before: int, given: tuple[ChatRow, ...]
    ) -> None:
        size = len(self.leased)
        chosen = data.draw(st.lists(st.sampled_from(range(size)), max_size=4)) if size else []
        outcomes = [
            msgspec.structs.replace(self.leased[n], status=status, not_before=not_before)
            for n in chosen
        ]
        self.same(lambda store: store.settle(outcomes, given))

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
