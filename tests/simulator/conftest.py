from collections.abc import AsyncIterator

import pytest

from bot.simulator.server import Simulator
from tests.simulator.wire import FAST


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(FAST) as running:
        yield running
