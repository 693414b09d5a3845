"""What only a database can get wrong."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, event

from bot.alerts.lifecycle import Phase, State
from bot.store.dialect import Sqlite, open_file
from bot.store.port import StoreBusyError, StoreError
from bot.store.records import (
    ChatRow,
    Commit,
    OutboxRow,
    Sample,
    SavedState,
    StateKey,
    Watch,
)
from bot.store.schema import metadata
from bot.store.sql import SqlStore
from bot.store.transaction import Transaction
from tests.store.build import reply, row, sent

KEY = StateKey("file:hot", "f1", "BTCUSDT")
EVERYTHING = Commit(
    states=(SavedState(KEY, State(phase=Phase.FIRING, since=5, sides=(1, None))),),
    samples=(Sample("BTCUSDT", "mark", 60_000, "28000.5"),),
    watches=(Watch(7, None, 1, "BTCUSDT rate > 0", 1, 99),),
    chats=(ChatRow(7, title="me", not_before=5),),
    facts={"heartbeat": "1"},
    outbox=(row(key="first"), row(key="second")),
    update_id=1,
)


def ask(store: SqlStore, question: Callable[[Connection], object]) -> "asyncio.Task[object]":
    """Asks in the writer thread, inside a transaction of the store's."""

    def work(transaction: Transaction) -> object:
        return question(transaction.connection)

    return asyncio.create_task(store._run(work))


def script(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


# --- the connection


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000)],
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


async def test_the_queries_of_delivery_are_served_by_indexes(sqlite: SqlStore) -> None:
    """However many rows wait: no query of the way out reads the whole outbox."""
    plans: dict[str, list[str]] = {}

    def explain(
        _: Connection, cursor: sqlite3.Cursor, statement: str, values: object, *__: object
    ) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            row = values[0] if isinstance(values, list) else values
            steps = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", row)  # type: ignore[arg-type]
            plans[statement] = [step[3] for step in steps]

    assert sqlite._engine is not None
    event.listen(sqlite._engine, "before_cursor_execute", explain)
    await sqlite.commit(Commit(ended=(KEY,), outbox=(row(), reply())))
    await sqlite.settle([sent(r) for r in await sqlite.lease(1, 2, 9)], [ChatRow(7)])
    await sqlite.next_due(1)
    await sqlite.pending(7)
    await sqlite.chat_rows(7, "file:hot", "BTCUSDT", 900)
    await sqlite.message_rows(7, 1)
    await sqlite.prune(1)
    assert len(plans) > 12
    whole = [plan for plan in plans.values() if any(s.startswith("SCAN outbox") for s in plan)]
    assert whole == []


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


# --- the schema


async def test_the_migrations_build_the_tables_that_the_program_uses(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/new.db")
    await store.open()
    differences = await ask(
        store, lambda c: compare_metadata(MigrationContext.configure(c), metadata)
    )
    await store.close()
    assert differences == []
