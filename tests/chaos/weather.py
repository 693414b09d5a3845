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
        self._numbers = dict.fromkeys(symbols, 0)  # the stretch that each is in
        self._chance = random.Random(seed)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        for symbol in self._numbers:
            venue.set_row(symbol, rate=low(0))

    def begin(self) -> None:
        for symbol in self._numbers:
            self.move(symbol)

    def calm(self) -> None:
        """What is above stays above, what is below stays below."""
        for task in self._tasks.values():
            task.cancel()

    def raise_(self, symbol: str) -> None:
        """Up, and no further moves."""
        self._tasks[symbol].cancel()
        self._numbers[symbol] += 1
        self._venue.set_row(symbol, rate=high(self._numbers[symbol]))

    def lower(self, symbol: str) -> None:
        """Down, and no further moves."""
        self._tasks[symbol].cancel()
        self._venue.set_row(symbol, rate=low(self._numbers[symbol]))

    def let_go(self, symbol: str) -> None:
        """The rate is what the simulated market makes of it."""
        self._venue.free_row(symbol)

    def move(self, symbol: str) -> None:
        """Up and down from now on."""
        chance = random.Random(self._chance.random())
        self._tasks[symbol] = asyncio.create_task(self._move(symbol, chance))

    async def _move(self, symbol: str, chance: random.Random) -> None:
        self._venue.set_row(symbol, rate=low(self._numbers[symbol]))
        while True:
            await asyncio.sleep(chance.choice(STRETCHES))
            self._numbers[symbol] += 1
            self._venue.set_row(symbol, rate=high(self._numbers[symbol]))
            await asyncio.sleep(chance.choice(STRETCHES))
            self._venue.set_row(symbol, rate=low(self._numbers[symbol]))
