"""What cannot be opened or written is said in words, and leaves nothing behind."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bot.store.dialect import Sqlite, open_file
from bot.store.port import StoreBusyError, StoreError
from bot.store.records import (
    Commit,
    OutboxRow,
)
from bot.store.sql import SqlStore
from tests.store.build import row
from tests.store.sqlite_file import EVERYTHING, ask, script

# --- who may open it


async def test_a_second_program_is_refused_in_words(sqlite: SqlStore, url: str, path: Path) -> None:
    second = SqlStore(url)
    with pytest.raises(StoreBusyError, match=f"Another fundingbot runs on .*{path.name}; stop it"):
        await second.open()
    await sqlite.commit(EVERYTHING)  # the first is not disturbed
    await sqlite.close()
    await second.open()
    assert await second.pending() == 2
    await second.close()


@pytest.mark.parametrize(
    "url",
    ["", "fundingbot.db", "sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://u:secret@h/d"],
)
def test_a_url_of_no_database_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(StoreError, match=r"expected sqlite:////absolute/file.db") as raised:
        SqlStore(url)
    assert "secret" not in str(raised.value)


async def test_a_relative_path_is_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqlStore("sqlite:///100%.db")
    await store.open()
    await store.close()
    assert (tmp_path / "100%.db").exists()


def _missing_folder(path: Path) -> Path:
    return path.parent / "nowhere" / "store.db"


def _folder(path: Path) -> Path:
    return path.parent


def _text(path: Path) -> Path:
    path.write_text("This is no database. " * 1_000)
    return path


def _damaged(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:4_096] + b"\xff" * 60_000)
    return path


def _newer(path: Path) -> Path:
    script(path, "UPDATE alembic_version SET version_num = '9999'")
    return path


def _no_version(path: Path) -> Path:
    script(
        path,
        "CREATE TABLE empty AS SELECT NULL AS version_num",
        "DROP TABLE alembic_version",
        "ALTER TABLE empty RENAME TO alembic_version",
    )
    return path


def _foreign(path: Path) -> Path:
    path = path.with_name("foreign.db")
    script(path, "CREATE TABLE outbox (x)")
    return path


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        (_missing_folder, "folder .*nowhere does not exist; create it, or set DATABASE_URL"),
        (_folder, "is a folder; set DATABASE_URL to a file"),
        (_text, "store.db is no SQLite database, or damaged; move the file away"),
        (_damaged, "store.db is damaged; stop this program and put back a copy"),
        (_newer, "store.db has schema 9999, .* newer fundingbot wrote it; install that version"),
        (_no_version, "store.db does not say which schema it has: .*; put back a copy"),
        (_foreign, "foreign.db holds the tables of another program; set DATABASE_URL"),
    ],
)
async def test_what_cannot_be_opened_is_said_in_words(
    path: Path, arrange: Callable[[Path], Path], words: str
) -> None:
    store = SqlStore(f"sqlite:///{arrange(path)}")
    for _ in range(2):  # the first attempt leaves nothing behind, the lock neither
        with pytest.raises(StoreError, match=words) as raised:
            await store.open()
        assert not isinstance(raised.value, StoreBusyError)
    with pytest.raises(StoreError, match="is not open"):
        await store.load()


async def test_a_store_that_is_open_is_not_opened_again(sqlite: SqlStore) -> None:
    with pytest.raises(StoreError, match="is open already"):
        await sqlite.open()
    assert await sqlite.pending() == 0


async def test_closing_twice_does_no_harm(sqlite: SqlStore) -> None:
    await sqlite.close()
    await sqlite.close()


# --- what fails later


@pytest.fixture
async def small(path: Path) -> AsyncIterator[SqlStore]:
    """A store whose disk is nearly full."""
    store = SqlStore(Sqlite(str(path)))
    await store.open()
    await ask(store, lambda c: c.exec_driver_sql("PRAGMA max_page_count = 40"))
    yield store
    await store.close()


def big(number: int) -> OutboxRow:
    return row(key=f"big-{number}", payload=b"x" * 100_000)


async def test_a_full_disk_leaves_nothing_behind_and_is_over_when_there_is_space(
    small: SqlStore,
) -> None:
    commit = Commit(facts={"n": "1"}, states=EVERYTHING.states, outbox=(row(), big(1), big(2)))
    for _ in range(3):
        with pytest.raises(StoreError, match=r"store.db cannot grow, its disk is full; free some"):
            await small.commit(commit)
    assert (await small.load()).facts == {}
    assert await small.pending() == 0

    await ask(small, lambda c: c.exec_driver_sql("PRAGMA max_page_count = 4000"))
    assert (await small.commit(commit)).outbox_added == 3
    assert (await small.load()).facts == {"n": "1"}


async def test_a_database_that_another_program_locks_is_said_to_be(
    sqlite: SqlStore, path: Path
) -> None:
    await ask(sqlite, lambda c: c.exec_driver_sql("PRAGMA busy_timeout = 20"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"store.db is locked by another program; end that"):
        await sqlite.commit(EVERYTHING)
    other.close()
    assert (await sqlite.commit(EVERYTHING)).outbox_added == 2


async def test_a_file_that_may_not_be_written_is_said_to_be(path: Path) -> None:
    def connect(name: str) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{name}?mode=ro", uri=True, isolation_level=None)

    store = SqlStore(Sqlite(str(path), connect))
    with pytest.raises(StoreError, match=r"store.db cannot be written; let the user that runs"):
        await store.open()


async def test_a_database_that_becomes_read_only_commits_nothing(path: Path) -> None:
    opened: list[sqlite3.Connection] = []

    def connect(name: str) -> sqlite3.Connection:
        opened.append(open_file(name))
        return opened[0]

    store = SqlStore(Sqlite(str(path), connect))
    await store.open()
    await store._submit(opened[0].execute, "PRAGMA query_only = 1")
    for _ in range(3):
        with pytest.raises(StoreError, match=r"store.db cannot be written"):
            await store.commit(EVERYTHING)
    await store._submit(opened[0].execute, "PRAGMA query_only = 0")
    assert (await store.load()).facts == {}
    assert (await store.commit(EVERYTHING)).outbox_added == 2
    await store.close()


async def test_a_state_that_nobody_can_read_is_said_to_be(url: str, path: Path) -> None:
    script(path, "INSERT INTO alert_states VALUES ('r', 'f', 's', 'x', '{\"phase\": \"x\"}')")
    store = SqlStore(url)
    await store.open()
    with pytest.raises(StoreError, match=r"store.db failed .*Invalid enum value 'x'"):
        await store.load()
    await store.close()


async def test_an_error_does_not_repeat_what_was_to_be_stored(small: SqlStore) -> None:
    secret = row(payload=b"secret" * 50_000)
    with pytest.raises(StoreError) as raised:
        await small.commit(Commit(outbox=(secret,)))
    assert "secret" not in f"{raised.value} {raised.value.__cause__}"
