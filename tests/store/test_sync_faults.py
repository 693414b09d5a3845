"""The driver that ships, while its writes and its syncs fail: nothing that was committed goes."""

import itertools
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.store.dialect import Sqlite
from bot.store.port import StoreError
from bot.store.records import Commit, OutboxStatus
from bot.store.sql import SqlStore
from tests.store.build import row, sent
from tests.store.faulty_files import FSYNC, OK, SHMSIZE, WRITE, Fault, FaultyFiles, library
from tests.torture.power.voyage import Voyage

pytestmark = pytest.mark.skipif(
    library() is None, reason="the driver's SQLite cannot be reached through ctypes"
)

FULL, FAILS = sqlite3.SQLITE_FULL, "cannot be read or written, its disk fails; look at the system"
IS_FULL = "cannot grow, its disk is full; free some space"


@pytest.fixture
def files() -> FaultyFiles:
    return FaultyFiles()


@pytest.fixture
async def store(files: FaultyFiles, path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(Sqlite(str(path), files.connect))
    await store.open()
    yield store
    await store.close()


async def voyage(folder: Path, files: FaultyFiles) -> tuple[list[str], str]:
    """A run from the making of the file to its end: what was refused, and what is in it then."""
    made = Voyage(folder / "bot.db", files.connect, [])
    await made.sail(1, 2)
    connection = sqlite3.connect(folder / "bot.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    content = "\n".join(connection.iterdump())
    connection.close()
    return made.refused, content


@pytest.mark.parametrize(
    ("call", "code", "words", "step"),
    [
        ("sync", FSYNC, FAILS, 1),
        ("sync", FULL, IS_FULL, 5),
        ("write", WRITE, FAILS, 37),
        ("write", FULL, IS_FULL, 41),
        ("truncate", WRITE, FAILS, 1),
        ("shm_map", SHMSIZE, IS_FULL, 1),
    ],
)
async def test_whichever_call_fails_the_next_attempt_makes_it_good(
    tmp_path: Path, files: FaultyFiles, call: str, code: int, words: str, step: int
) -> None:
    _, expected = await voyage(tmp_path / "clean", files)
    for number in range(1, len(files.calls[call]) + 1, step):
        faulty = FaultyFiles(only(call, code, number))
        refused, content = await voyage(tmp_path / str(number), faulty)
        assert content == expected, number
        assert all(words in said for said in refused), refused
        if call == "sync" and faulty.calls[call][number - 1] == "-wal" and code == FSYNC:
            assert len(refused) <= 1  # a log that is only copied needs no sync of its own


async def test_a_disk_that_fails_for_long_is_made_good_by_the_first_attempt_after_it(
    tmp_path: Path, files: FaultyFiles
) -> None:
    _, expected = await voyage(tmp_path / "clean", files)
    faulty = FaultyFiles(lambda call, _, n: FSYNC if call == "sync" and n % 12 > 4 else OK)
    refused, content = await voyage(tmp_path / "faulty", faulty)
    assert content == expected
    assert len(refused) > 15


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [("sync", FSYNC, FAILS), ("write", FULL, IS_FULL), ("write", WRITE, FAILS)],
)
async def test_a_commit_that_fails_is_not_there_and_what_comes_between_is_no_harm(
    store: SqlStore, files: FaultyFiles, path: Path, call: str, code: int, words: str
) -> None:
    await store.commit(Commit(outbox=(row(key="first"),)))
    files.fault = failing(call, code)
    for _ in range(3):
        with pytest.raises(StoreError, match=words):
            await store.commit(Commit(outbox=(row(key="second", payload=b"x" * 20_000),)))
        assert await store.pending() == 1  # reading goes on
    files.fault = failing()
    [leased] = await store.lease(5_000, 6_000, 9)
    assert (leased.key, leased.doubtful) == ("first", False)
    assert (await store.commit(Commit(outbox=(row(key="second"),)))).outbox_added == 1
    files.fault = failing(call, code)
    with pytest.raises(StoreError, match=words):
        await store.settle([sent(leased)])
    files.fault = failing()
    assert await store.settle([sent(leased)]) == 1
    await store.close()

    await store.open()
    [second] = await store.lease(5_000, 6_000, 9)
    assert (second.key, second.doubtful) == ("second", False)
    counts = await store.outbox_counts()
    assert (counts[OutboxStatus.SENT], counts[OutboxStatus.LEASED]) == (1, 1)


def only(call: str, code: int, first: int, last: int = 0) -> Fault:
    """The call of that number fails, and those behind it up to the last."""
    return lambda name, _, n: code if name == call and first <= n <= max(first, last) else OK


def failing(call: str = "", code: int = OK) -> Fault:
    return lambda name, suffix, _: code if (name, suffix) == (call, "-wal") else OK


async def test_a_log_that_cannot_be_copied_back_grows_and_nothing_is_lost(
    store: SqlStore, files: FaultyFiles, path: Path
) -> None:
    """SQLite copies its log after a commit and says nothing where that fails: the log has it."""
    files.fault = lambda name, suffix, _: FSYNC if (name, suffix) == ("sync", "") else OK
    for number in range(60):
        await store.commit(Commit(outbox=(row(key=f"alert-{number}"),), update_id=number, at=1))
    assert path.with_name("store.db-wal").stat().st_size > 60 * 4096
    files.fault = failing()
    await store.commit(Commit(facts={"n": "1"}))
    await store.close()
    await store.open()
    assert await store.pending() == 60


@pytest.mark.parametrize("code", [FSYNC, FULL])
async def test_a_store_that_cannot_be_made_is_made_by_a_later_attempt(
    tmp_path: Path, files: FaultyFiles, code: int
) -> None:
    """However far the first start came, the next one is not refused."""
    for number in itertools.count(1, 5):
        path = tmp_path / f"{number}.db"
        files.calls["write"].clear()
        files.fault = only("write", code, number, last=1_000_000)
        store = SqlStore(Sqlite(str(path), files.connect))
        try:
            await store.open()
        except StoreError:
            await store.close()
        else:
            await store.close()
            break
        files.fault = failing()
        again = SqlStore(f"sqlite:///{path}")
        await again.open()
        assert (await again.commit(Commit(outbox=(row(key="first"),)))).outbox_added == 1
        await again.close()
    assert number > 20
