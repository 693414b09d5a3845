"""What moves the market while faults come and go: rates that cross a threshold, each time anew.

Every stretch above or below has a rate of its own, so that a message tells which one it is about.
"""

import asyncio
import random
from collections.abc import Iterable
from decimal import Decimal

from bot.simulator.server import Simulator

STRETCHES = (0.3, 1.0, 2.0, 4.0, 7.0, 9.0)  # s above or below


def high(number: int) -> str:
    """A rate above 0.1 %, the `number`-th of its symbol."""
    return f"{0.002 + number * 1e-6:.8f}"


def low(number: int) -> str:
    return f"{0.0001 + number * 1e-6:.8f}"


def number_of(value: Decimal) -> int:
    """Which stretch a rate belongs to; 0 for one that is none of the weather's."""
    for base in (Decimal("0.002"), Decimal("0.0001")):
        number = (value - base) * 1_000_000
        if 0 <= number < 900 and number == int(number):
            return int(number)
    return 0


class Weather:
    """Moves some symbols' rates at random until it is calmed."""

    def __init__(self, venue: Simulator, symbols: Iterable[str], seed: int) -> None:
        self._venue = venue
        self._symbols = tuple(symbols)
        self._chance = random.Random(seed)
        self._tasks: list[asyncio.Task[None]] = []
        for symbol in self._symbols:
            venue.set_row(symbol, rate=low(0))

    def begin(self) -> None:
        self._tasks = [asyncio.create_task(self._move(symbol)) for symbol in self._symbols]

    def calm(self) -> None:
        """What is above stays above, what is below stays below."""
        for task in self._tasks:
            task.cancel()

    async def _move(self, symbol: str) -> None:
        chance = random.Random(self._chance.random())
        for number in range(1, 800):
            await asyncio.sleep(chance.choice(STRETCHES))
            self._venue.set_row(symbol, rate=high(number))
            await asyncio.sleep(chance.choice(STRETCHES))
            self._venue.set_row(symbol, rate=low(number))
