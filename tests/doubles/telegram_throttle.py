"""Telegram's limits, enforced: a message beyond one earns a 429 and closes its chat for a while.

Telegram does not say how it counts. This one takes the strictest reading of what it asks for: no
bursts, and a chat that was told to wait stays closed for at least as long as it was told.
"""

import math
from collections import defaultdict, deque
from collections.abc import Callable

from tests.doubles.telegram_values import Limits, too_many


class Throttle:
    """Counts messages; None of limits lets everything pass. `clock`: steady seconds."""

    def __init__(self, limits: Limits | None, clock: Callable[[], float]) -> None:
        self.earned = 0
        self.trespasses = 0  # requests that came before a `retry_after` was over
        self._limits = limits
        self._clock = clock
        self._sent: dict[int | None, deque[float]] = defaultdict(deque)  # None: to all chats
        self._closed_until: dict[int | None, float] = {}
        self._told: dict[int | None, float] = {}  # until when a chat was told to wait

    def told(self, chat_id: int | None, seconds: float) -> None:
        """A 429 was said for the chat, or for all of them."""
        self._told[chat_id] = max(self._told.get(chat_id, 0.0), self._clock() + seconds)

    def arrived(self, chat_id: int) -> None:
        """A request for the chat, whatever becomes of it."""
        now = self._clock()
        self.trespasses += any(now < self._told.get(key, 0.0) for key in (chat_id, None))

    def count(self, chat_id: int) -> None:
        """Raises the 429 that this message earns, if any."""
        now = self._clock()
        for key, count, span in self._windows(chat_id):
            recent = [at for at in self._sent[key] if at > now - span]
            if len(recent) >= count:
                end = recent[-count] + span
                self._closed_until[key] = max(self._closed_until.get(key, 0.0), end)
            if now < self._closed_until.get(key, 0.0):
                self.earned += 1
                wait = max(1, math.ceil(self._closed_until[key] - now))
                self._closed_until[key] = now + wait
                self.told(key, wait)
                raise too_many(wait)
        for key in (chat_id, None):
            self._sent[key].append(now)
            while self._sent[key][0] < now - 120:
                self._sent[key].popleft()

    def _windows(self, chat_id: int) -> list[tuple[int | None, int, float]]:
        """Whose messages, how many, in how many seconds."""
        limits = self._limits
        if limits is None:
            return []
        windows: list[tuple[int | None, int, float]] = []
        if limits.per_chat is not None:
            windows.append((chat_id, 1, limits.per_chat))
        if limits.group_window is not None and chat_id < 0:
            windows.append((chat_id, *limits.group_window))
        if limits.overall is not None:
            windows.append((None, limits.overall, 1.0))
        return windows
