"""A store, a Telegram and a time for tests of storms."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.store.memory import MemoryStore
from bot.store.port import Store
from bot.store.sql import SqlStore
from tests.app.storm_place import ADMIN, GROUP, OTHER, TOPIC, Clock
from tests.doubles.telegram import TelegramDouble


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    sql = SqlStore(f"sqlite:///{tmp_path / 'bot.db'}")
    made = MemoryStore() if request.param == "memory" else sql
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramDouble]:
    async with TelegramDouble() as made:
        for chat_id in (ADMIN, OTHER):
            made.add_chat(chat_id, "private")
        made.add_chat(GROUP, topics=(TOPIC,))
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()
