"""getUpdates and webhooks (Client.cpp: process_get_updates_query, process_set_webhook_query)."""

import asyncio
import contextlib
from typing import Any

from tests.doubles.telegram_rules import integer, is_true, parsed
from tests.doubles.telegram_values import Json, RefusedError, bad, too_many
from tests.doubles.telegram_world import TelegramWorld

_LONGEST_POLL = 50  # s
_CONFLICT_SPACING = 3.0  # s between two answers 409
_QUICK = 3.0  # s within which the same question again waits for as long
_HASTY = 0.5  # s within which it gets one update at most
_OTHER_POLL = (
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is "
    "running"
)
_WEBHOOK = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete "
    "the webhook first"
)


class Polling(TelegramWorld):
    """How a bot gets its updates."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.webhook = ""  # its address; "" without
        self.strict_polls = True  # the same getUpdates again at once waits, and gets one update
        self.on_update = self._end_poll
        self._poll: asyncio.Event | None = None
        self._terminated: dict[asyncio.Event, str] = {}
        self._next_conflict = -100.0
        self._last_poll: tuple[int, float] = (0, -100.0)  # offset and begin of the one before
        self._next_webhook = -100.0

    @property
    def polling(self) -> bool:
        """Whether a long poll is waiting."""
        return self._poll is not None

    async def get_updates(self, parameters: dict[str, str]) -> list[Json]:
        if self.webhook:
            await self._conflict(_WEBHOOK)
        offset = integer(parameters.get("offset"), 0, -(1 << 31), (1 << 31) - 1)
        limit = integer(parameters.get("limit"), 100, 1, 100)
        seconds = integer(parameters.get("timeout"), 0, 0, _LONGEST_POLL)
        self._allow(parameters)
        limit, waits = self._slowed(offset, limit, seconds)
        updates = self._queue.get(offset, limit)
        if updates or not waits:
            return updates
        await self._long_poll(waits)
        return self._queue.get(max(offset, 0), limit)

    def set_webhook(self, parameters: dict[str, str]) -> bool:
        url = parameters.get("url", "")
        if not url:
            return self.delete_webhook(parameters)
        if self.clock() < self._next_webhook:
            raise too_many(1)
        self._next_webhook = self.clock() + 1
        if not url.startswith("https://"):
            raise bad("bad webhook: An HTTPS URL must be provided for webhook")
        self._allow(parameters)
        if is_true(parameters.get("drop_pending_updates")):
            self._queue.clear()
        self._terminate("Conflict: terminated by setWebhook request")
        self.webhook = url
        return True

    def delete_webhook(self, parameters: dict[str, str]) -> bool:
        if is_true(parameters.get("drop_pending_updates")):
            self._queue.clear()
        self.webhook = ""
        return True

    def webhook_info(self, _: dict[str, str]) -> Json:
        info = {
            "url": self.webhook,
            "has_custom_certificate": False,
            "pending_update_count": len(self._queue),
        }
        return info | ({"max_connections": 40} if self.webhook else {})

    def _allow(self, parameters: dict[str, str]) -> None:
        kinds = parsed(parameters.get("allowed_updates"), "Can't parse allowed_updates")
        if isinstance(kinds, list):
            self._queue.allow([kind for kind in kinds if isinstance(kind, str)])

    def _slowed(self, offset: int, limit: int, seconds: float) -> tuple[int, float]:
        """What is done about a bot that asks the same again and again: limit and wait."""
        before, begun = self._last_poll
        now = self.clock()
        self._last_poll = offset, now
        if offset == before and self.strict_polls:
            if seconds < _QUICK and now < begun + _QUICK:
                seconds = _QUICK
            if now < begun + _HASTY:
                limit = 1
        return limit, seconds

    async def _long_poll(self, seconds: float) -> None:
        self._terminate(_OTHER_POLL)  # the earlier poll is the one that ends
        poll = self._poll = asyncio.Event()
        self._changed.set()
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(poll.wait(), seconds)
        finally:
            if self._poll is poll:
                self._poll = None
        if poll in self._terminated:
            await self._conflict(self._terminated.pop(poll))

    def _terminate(self, words: str) -> None:
        if self._poll is not None:
            self._terminated[self._poll] = words
            self._poll.set()
            self._poll = None

    async def _conflict(self, words: str) -> None:
        """409, at once only if the last one was a while ago."""
        if self.clock() >= self._next_conflict:
            self._next_conflict = self.clock() + _CONFLICT_SPACING
        else:
            await asyncio.sleep(_CONFLICT_SPACING)
        raise RefusedError(409, words)

    def _end_poll(self) -> None:
        if self._poll is not None:
            self._poll.set()
