"""The two stores, for what both must keep."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.store.memory import MemoryStore
from bot.store.port import Store
from bot.store.sql import SqlStore


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables: copying it is quicker than migrating for every test."""

    async def create(path: Path) -> None:
        store = SqlStore(f"sqlite:///{path}")
        await store.open()
        await store.close()

    path = tmp_path_factory.mktemp("store") / "empty.db"
    asyncio.run(create(path))
    return path


@pytest.fixture
def path(tmp_path: Path, empty_database: Path) -> Path:
    return Path(shutil.copy(empty_database, tmp_path / "store.db"))


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else SqlStore(url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def sqlite(url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore(url)
    await store.open()
    yield store
    await store.close()
