"""A client's end of the wire: what the tests of the simulator say and hear."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from bot.market.binance import Frame, decode_frame
from bot.market.tick import Tick
from bot.simulator.server import Simulator, SimulatorSettings

DEADLINE = 30.0  # s; what a test waits for comes within a fraction of it
QUIET = 0.2  # s; four pushes
FAST = SimulatorSettings(symbols=60, period=0.05)
ALL = "/ws/!markPrice@arr@1s"
BITCOIN = "/ws/btcusdt@markPrice@1s"


def link(simulator: Simulator, target: str = ALL) -> connect:
    return connect(simulator.stream_url + target, proxy=None, ping_interval=None, close_timeout=1)


def legacy(simulator: Simulator, target: str) -> connect:
    root = simulator.stream_url.removesuffix("/market")
    return connect(root + target, proxy=None, ping_interval=None, close_timeout=1)


async def frame(websocket: ClientConnection) -> Frame:
    async with asyncio.timeout(DEADLINE):
        return decode_frame((await websocket.recv()).encode())  # type: ignore[union-attr]


async def tick(websocket: ClientConnection, fits: Callable[[Tick], bool] = lambda _: True) -> Tick:
    """The first row that fits."""
    async with asyncio.timeout(DEADLINE):
        while True:
            found = [row for row in (await frame(websocket)).ticks if fits(row)]
            if found:
                return found[0]


async def is_silent(websocket: ClientConnection) -> bool:
    """Whether nothing more comes once what was on its way has arrived."""
    for _ in range(10):  # frames that were under way; a server that pushes leaves no such pause
        try:
            await asyncio.wait_for(websocket.recv(), QUIET)
        except TimeoutError:
            return True
    return False


async def get(simulator: Simulator, path: str) -> httpx.Response:
    # Without verify httpx reads every root certificate first, for plain HTTP too.
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=DEADLINE) as client:
        return await client.get(simulator.rest_url + path)


async def switch(simulator: Simulator, query: str) -> Any:
    return (await get(simulator, f"/simulator/{query}")).json()


async def until(holds: Callable[[], bool]) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(DEADLINE):
        while not holds():  # noqa: ASYNC110 - conditions of the simulator's inside have no event
            await asyncio.sleep(0.01)
