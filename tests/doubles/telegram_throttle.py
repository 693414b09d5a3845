"""Telegram's limits, enforced: a message beyond one earns a 429 and closes its chat for a while."""

import math
import time
from collections import defaultdict, deque

from tests.doubles.telegram_values import Limits, RefusedError


class Throttle:
    """Counts messages; None of limits lets everything pass."""

    def __init__(self, limits: Limits | None) -> None:
        self.earned = 0
        self._limits = limits
        self._sent: dict[int | None, deque[float]] = defaultdict(deque)  # None: to all chats
        self._closed_until: dict[int | None, float] = {}

    def count(self, chat_id: int) -> None:
        """Raises the 429 that this message earns, if any."""
        now = time.monotonic()
        for key, count, span in self._windows(chat_id):
            recent = [at for at in self._sent[key] if at > now - span]
            if len(recent) >= count:
                self._closed_until[key] = max(
                    self._closed_until.get(key, 0.0), recent[-count] + span
                )
            if now < self._closed_until.get(key, 0.0):
                self.earned += 1
                wait = max(1, math.ceil(self._closed_until[key] - now))
                self._closed_until[key] = now + wait
                text = f"Too Many Requests: retry after {wait}"
                raise RefusedError(429, text, retry_after=wait)
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
