"""What only a database can get wrong."""

import asyncio
import sqlite3
import threading
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bot.store.dialect import Sqlite, open_file
from bot.store.records import Commit, Held, Pause, SavedState, StateKey
from bot.store.sql import SqlStore
from tests.store.build import FIRING, KEY, NOW, put, row, sent, take, uncertain
from tests.store.sqlite_file import EVERYTHING, ask

PAUSE = Pause(7, "file:hot", "hot", 1, "n")

# --- the connection


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 2000)],
)
async def test_the_connection_is_set_for_safety(
    sqlite: SqlStore, pragma: str, value: object
) -> None:
    read = await ask(sqlite, lambda c: c.exec_driver_sql(f"PRAGMA {pragma}").scalar_one())
    assert read == value


async def test_a_transaction_locks_for_writing_at_its_start(sqlite: SqlStore, path: Path) -> None:
    def begin_beside(_: Connection) -> None:
        other = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
        finally:
            other.close()

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await ask(sqlite, begin_beside)


async def test_every_call_uses_the_one_connection_in_one_thread(path: Path) -> None:
    opened: list[int] = []

    def connect(name: str) -> sqlite3.Connection:
        opened.append(threading.get_ident())
        return open_file(name)  # refuses to be used in another thread

    store = SqlStore(Sqlite(str(path), connect))
    await store.open()
    await asyncio.gather(*(store.commit(Commit(outbox=(row(),))) for _ in range(20)))
    assert await store.pending() == 20
    await store.close()
    assert len(opened) == 1
    assert opened != [threading.get_ident()]


# --- durability


async def test_reopening_keeps_everything(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    await store.commit(EVERYTHING)
    before = await store.load()
    await store.close()

    await store.open()
    assert await store.load() == before
    assert before.states == EVERYTHING.states
    assert not (await store.commit(EVERYTHING)).applied
    assert [r.key for r in await store.lease(10, 20, 9)] == ["first", "second"]
    await store.close()


async def test_leases_of_a_program_that_ended_are_doubtful_at_once(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    await store.commit(Commit(outbox=(row(),)))
    [leased] = await store.lease(10, 1_000_000, 9)
    await store.close()

    await store.open()
    assert await store.settle([sent(leased)]) == 0
    [repeat] = await store.lease(11, 20, 9)
    assert (repeat.doubtful, repeat.attempts) == (True, 2)
    await store.close()


async def test_an_alert_of_an_ended_rule_is_not_sent_again_by_the_next_program(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    await store.commit(Commit(outbox=(row(),)))
    await store.lease(10, 1_000_000, 9)
    await store.commit(Commit(ended=(KEY,)))
    await store.close()

    await store.open()
    assert await store.lease(11, 20, 9) == []
    assert await store.pending() == 0
    await store.close()


async def test_a_cancelled_commit_is_done_all_the_same(sqlite: SqlStore) -> None:
    gate = threading.Event()
    blocked = asyncio.create_task(sqlite._submit(gate.wait))
    commit = asyncio.create_task(sqlite.commit(EVERYTHING))
    await asyncio.sleep(0)  # both are with the thread
    commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit
    gate.set()
    await blocked
    assert (await sqlite.load()).facts == EVERYTHING.facts
    assert await sqlite.pending() == 2


async def test_a_cancelled_lease_is_taken_back(sqlite: SqlStore) -> None:
    await sqlite.commit(Commit(outbox=(row(),)))
    lapsed = await sqlite.lease(10, 20, 1)
    await sqlite.commit(Commit(outbox=(row(),)))
    gate = threading.Event()
    blocked = asyncio.create_task(sqlite._submit(gate.wait))
    lease = asyncio.create_task(sqlite.lease(30, 1_000_000, 9))
    await asyncio.sleep(0)
    lease.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lease
    gate.set()
    await blocked
    [repeat] = await sqlite.lease(30, 40, 9)
    assert (repeat.id, repeat.attempts, repeat.doubtful) == (lapsed[0].id, 2, True)
    await sqlite.settle([sent(repeat)])
    [fresh] = await sqlite.lease(30, 40, 9)
    assert (fresh.attempts, fresh.doubtful) == (1, False)


async def test_closing_finishes_what_was_asked_for(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    gate = threading.Event()
    blocked = asyncio.create_task(store._submit(gate.wait))
    commit = asyncio.create_task(store.commit(EVERYTHING))
    await asyncio.sleep(0)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(blocked, commit, closing)
    await store.open()
    assert await store.pending() == 2
    await store.close()


# --- what is held


async def test_an_alert_of_a_paused_rule_is_held_by_the_next_program(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    await store.commit(Commit(outbox=(row(), row(8))))
    await store.lease(10, 1_000_000, 9)
    await store.commit(Commit(pauses=(PAUSE,)))
    await store.close()

    await store.open()
    assert [r.chat_id for r in await store.lease(11, 20, 9)] == [8]
    assert await store.held_counts() == {(7, "file:hot"): 1}
    await store.commit(Commit(resumed=((7, "file:hot"),)))
    assert [(r.chat_id, r.doubtful) for r in await store.lease(12, 20, 9)] == [(7, True)]
    await store.close()


@pytest.mark.parametrize(
    ("meanwhile", "held", "pending"),
    [
        (Commit(), 0, 1),
        (Commit(pauses=(PAUSE,)), 1, 0),
        (Commit(ended=(KEY,)), 0, 0),
    ],
    ids=["nothing", "paused", "ended"],
)
async def test_a_lease_that_is_taken_back_meets_what_was_decided_meanwhile(
    sqlite: SqlStore, meanwhile: Commit, held: int, pending: int
) -> None:
    await sqlite.commit(Commit(outbox=(row(),)))
    gate = threading.Event()
    blocked = asyncio.create_task(sqlite._submit(gate.wait))
    lease = asyncio.create_task(sqlite.lease(30, 1_000_000, 9))
    decided = asyncio.create_task(sqlite.commit(meanwhile))
    await asyncio.sleep(0)  # all are with the thread, in this order
    lease.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lease
    gate.set()
    await asyncio.gather(blocked, decided)
    assert sum((await sqlite.held_counts()).values()) == held
    assert await sqlite.pending() == pending
    assert len(await sqlite.lease(30, 40, 9)) == pending


# --- much at once


async def test_a_large_commit_does_not_stand_in_memory_a_second_time(sqlite: SqlStore) -> None:
    rows = tuple(row(n % 50, payload=bytes(700)) for n in range(3_000))
    states = tuple(
        SavedState(StateKey(each.rule_id, "f1", f"S{n}USDT"), FIRING) for n, each in enumerate(rows)
    )
    await sqlite.commit(Commit(outbox=rows[:1], states=states[:1]))  # what is made once is made
    tracemalloc.start()
    await sqlite.commit(Commit(outbox=rows, states=states))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000  # a dict for each would be more than twice that


async def test_what_is_done_with_is_counted_over_everything_that_makes_or_removes_it(
    sqlite: SqlStore, path: Path
) -> None:
    def stored() -> dict[str, int]:
        with closing(sqlite3.connect(path)) as file:
            return dict(file.execute("SELECT status, count(*) FROM outbox GROUP BY status"))

    async def look(store: SqlStore) -> dict[str, int]:
        counts = {str(status): n for status, n in (await store.outbox_counts()).items() if n}
        assert counts == stored()
        return counts

    await put(sqlite, row(), row(8), row(9, created_at=5_000), sent(row()), row(held=Held.FLAP))
    first, second, third = await take(sqlite)
    await sqlite.settle([sent(first)], added=(sent(row(9, created_at=5_000)), row()))
    await sqlite.bury([second], "late", (row(8),))
    flap = (await sqlite.flapping_rows(NOW))[0].id
    await sqlite.commit(Commit(summed=(flap, flap), outbox=(sent(row(key=first.key)),)))
    assert await look(sqlite) == {"sent": 3, "dead": 2, "leased": 1, "new": 2}
    await sqlite.commit(Commit(ended=(KEY,)))
    await sqlite.settle([uncertain(third)])  # its rule ended while it was under way
    assert await look(sqlite) == {"sent": 3, "dead": 5}
    await sqlite.prune(4_000)
    assert await look(sqlite) == {"sent": 1, "dead": 1}
    await sqlite.close()
    await sqlite.open()
    assert await look(sqlite) == {"sent": 1, "dead": 1}
