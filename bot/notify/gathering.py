"""Stretches of time in which the store does not hold all that was decided."""

import asyncio
import contextlib
from collections.abc import Iterator


class Gathering:
    """What is committed while it goes on belongs together and is not all there before its end."""

    def __init__(self) -> None:
        self.is_on = False
        self.begun = 0  # how many there were
        self._over = asyncio.Event()
        self._over.set()

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        self.is_on = True
        self.begun += 1
        self._over.clear()
        try:
            yield
        finally:
            self.is_on = False
            self._over.set()

    async def over(self) -> None:
        """Waits for the end of the present one, if there is one."""
        await self._over.wait()
