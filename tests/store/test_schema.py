"""The tables: their history, and that every question is answered from an index."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from bot.store.schema import metadata
from bot.store.sql import SqlStore
from tests.store.sqlite_file import ask


async def test_the_migrations_build_the_tables_that_the_program_uses(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/new.db")
    await store.open()
    differences = await ask(
        store, lambda c: compare_metadata(MigrationContext.configure(c), metadata)
    )
    await store.close()
    assert differences == []
