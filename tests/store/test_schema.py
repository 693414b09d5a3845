"""The tables: their history, and that every question is answered from an index."""

import sqlite3
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, event

from bot.store.port import Store
from bot.store.records import (
    ChatRow,
    Commit,
    Copied,
    Held,
    OutboxKind,
    OutboxStatus,
    Pause,
    StateKey,
    Watch,
)
from bot.store.schema import metadata
from bot.store.sql import SqlStore
from tests.store.build import KEY, keys, put, reply, row, sent, take
from tests.store.sqlite_file import ask

PAUSE = Pause(7, "file:hot", "hot", 1, "n")
FOLDER = Path(__file__).parents[2] / "bot" / "store" / "migrations"


async def test_the_migrations_build_the_tables_that_the_program_uses(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/new.db")
    await store.open()
    differences = await ask(
        store, lambda c: compare_metadata(MigrationContext.configure(c), metadata)
    )
    written = await ask(store, _indexes)
    await store.close()
    assert differences == []
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        assert written == _indexes(connection)  # alembic does not compare their predicates
    engine.dispose()


def _indexes(connection: Connection) -> dict[str, str]:
    found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
    return {name: sql for name, sql in found.all() if sql}


# --- 0001


def first_version(path: Path) -> None:
    """A database as the first version left it, with something of everything."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    rows = [  # key, kind, lane, chat, payload, status, doubtful, not_before, message
        ("sent", "alert", 1, 7, b'{"kind":"fired"}', "sent", 0, 0, 11),
        ("fired", "alert", 1, 7, b'{"kind":"fired","at":1}', "new", 0, 0, None),
        ("resolved", "alert", 1, 7, b'{"at":1,"kind":"resolved"}', "uncertain", 1, 50, None),
        ("strange", "alert", 1, 8, b"\xff no json", "new", 0, 0, None),
        ("odd", "alert", 1, 9, b'{"kind":7}', "new", 0, 0, None),
        ("queued", "reply", 1, 9, b"{}", "new", 0, 0, None),  # as the second version had some
        ("notice", "notice", 1, 7, b'{"kind":"fired"}', "new", 0, 0, None),
        ("leased", "reply", 0, 10, b"{}", "leased", 0, 0, None),
        ("reply", "reply", 0, 7, b"{}", "new", 0, 0, None),
    ]
    file = sqlite3.connect(path)
    file.executemany(
        "INSERT INTO outbox (key, kind, lane, chat_id, payload, status, doubtful, not_before,"
        " message_id, created_at, rule_id, fingerprint, symbol, episode, attempts, lease_until,"
        " error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 5, 'file:hot', 'f1', 'BTCUSDT', 900, 1, 0, '')",
        rows,
    )
    file.executescript(
        "INSERT INTO chats VALUES (7, 'private', 'me', '', 'UTC', 0, '', 0, 3);"
        "INSERT INTO watches VALUES (7, 2, NULL, 'line', 1, 99);"
        "INSERT INTO facts VALUES ('a', 'b');"
        "INSERT INTO handled_updates VALUES (5, 1);"
        "INSERT INTO turns SELECT chat_id, 0, min(id) FROM outbox WHERE status <> 'sent'"
        " GROUP BY chat_id;"
        "UPDATE turns SET first_id = 8 WHERE chat_id = 7;"
    )
    file.close()


@pytest.fixture
async def migrated(tmp_path: Path) -> SqlStore:
    first_version(tmp_path / "old.db")
    store = SqlStore(f"sqlite:///{tmp_path}/old.db")
    await store.open()
    return store


async def test_a_database_of_the_first_version_keeps_everything(migrated: SqlStore) -> None:
    saved = await migrated.load()
    assert (saved.chats[0].title, saved.watches[0].line, saved.facts) == ("me", "line", {"a": "b"})
    assert saved.pauses == ()
    assert not (await migrated.commit(Commit(update_id=5))).applied
    told = await migrated.row_of("sent")
    assert told is not None
    assert (told.status, told.message_id, told.held) == (OutboxStatus.SENT, 11, Held.NO)
    assert (await migrated.outbox_counts())[OutboxStatus.SENT] == 1
    await migrated.close()


@pytest.mark.parametrize(
    ("key", "event"),
    [
        ("fired", "fired"), ("resolved", "resolved"), ("strange", ""), ("odd", ""), ("notice", ""),
        ("sent", ""),
    ],
)  # fmt: skip
async def test_unsent_rows_of_the_first_version_learn_their_event(
    migrated: SqlStore, key: str, event: str
) -> None:
    found = await migrated.row_of(key)
    assert found is not None
    assert found.event == event
    await migrated.close()


async def test_rows_of_the_first_version_go_out_in_their_order(migrated: SqlStore) -> None:
    await put(migrated, row(key="new"), row(key="rest", kind=OutboxKind.REST), row(10, key="ten"))
    told: dict[int, list[str]] = {}
    while rows := await take(migrated):
        for one in rows:
            told.setdefault(one.chat_id, []).append(one.key)
        await migrated.settle([sent(r) for r in rows])
    assert told == {
        7: ["rest", "reply", "fired", "resolved", "notice", "new"],
        8: ["strange"],
        9: ["queued", "odd"],
        10: ["leased", "ten"],
    }
    await migrated.close()


async def test_alerts_of_the_first_version_can_be_held_buried_and_ended(
    migrated: SqlStore,
) -> None:
    assert keys(await migrated.late_rows(7, 10, 6)) == ["fired", "resolved"]
    await migrated.commit(Commit(pauses=(PAUSE,)))
    assert await migrated.held_counts() == {(7, "file:hot"): 2}
    assert (await migrated.commit(Commit(ended=(KEY,)))).outbox_dropped == 4
    await migrated.close()


# --- indexes


async def everything_asked(store: Store) -> None:
    """Every method that a running program calls, in ways that reach all of its queries."""
    flap = row(held=Held.FLAP)
    watch = Watch(8, None, 1, "line", 1, 99)
    await store.commit(Commit(outbox=(row(), row(8), flap), pauses=(PAUSE,), watches=(watch,)))
    leased = list(await store.lease(1, 2, 9))
    await store.commit(
        Commit(
            ended=(KEY, StateKey("file:cold", "f1", "")),
            resumed=((7, "file:hot"),),
            pauses=(msgspec.structs.replace(PAUSE, chat_id=8),),
            summed=(3,),
            outbox=(row(), reply(), row(8)),
            unwatched=((7, 1),),
        )
    )
    leased += await store.lease(3, 4, 9)
    await store.settle([sent(r) for r in leased], [ChatRow(7)], (row(kind=OutboxKind.REST),))
    await store.bury(await store.late_rows(7, 5, 5_000), "late", (row(),))
    await store.commit(Commit(outbox=(row(not_before=99),)))
    await store.hasten(5)
    await store.recent_sends(1)
    await store.firings(1)
    await store.flapping_rows(1)
    await store.held_counts()
    await store.row_of("x")
    await store.mark_copied([r.id for r in await store.uncopied([7, 8], 9)], Copied.DONE)
    await store.next_due(1)
    await store.pending(7)
    await store.pending()
    await store.outbox_counts()
    await store.chat_rows(7, "file:hot", "BTCUSDT", 900)
    await store.episode_rows("file:hot", "BTCUSDT", 900)
    await store.message_rows(7, 1)
    await store.prune(1)
    await store.move_chat(8, 9)


async def test_every_query_is_served_by_an_index(sqlite: SqlStore) -> None:
    """However many rows are stored: none of them reads the whole outbox, or all that was sent."""
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
    await everything_asked(sqlite)
    assert len(plans) > 50
    by_status_alone = "outbox_by_age (status=?)"  # a look at all that was ever sent, or waits
    slow = {
        statement: plan
        for statement, plan in plans.items()
        if any(
            step.startswith("SCAN outbox")
            or (step.endswith(by_status_alone) and "COVERING" not in step)
            for step in plan
        )
    }
    assert slow == {}
