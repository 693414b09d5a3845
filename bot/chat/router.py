"""Our own getUpdates loop: every update takes effect exactly once, however often it is delivered.

An update's effect and its id are committed together by `apply`; only then the offset moves past
it. The libraries' own loops confirm first and handle afterwards, which loses commands in a crash.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from bot.chat.answer import Answer
from bot.chat.request import Request, RequestKind, read_update
from bot.notify.bot_api import BotApiError, TokenRefusedError, UnreachableError
from bot.store.port import StoreError

_log = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0  # s between polls that fail
_OVERTIME = 30.0  # s beyond its long poll after which a request counts as stuck

Decide = Callable[[Request], Answer]
LookUp = Callable[[Request], Awaitable[None]]
Apply = Callable[[Request, Answer], Awaitable[None]]


class Updates(Protocol):
    """The part of BotApi that the loop needs."""

    async def get_updates(self, offset: int, timeout: int) -> Sequence[Mapping[str, Any]]: ...  # noqa: ASYNC109 - the server's

    async def answer_callback(self, query_id: str, text: str = "") -> bool: ...


class Router:
    """Polls, decides, applies, one update after the other.

    Args:
        api: asks Telegram.
        decide: makes a request an answer; pure.
        look_up: fetches beforehand what deciding will look at and nobody has at hand.
        apologise: the answer to a request whose deciding or applying failed in our code.
        apply: commits an answer with its update's id (an id that was handled before changes
            nothing) and hands it to the engine. Raises StoreError where it cannot be stored:
            then it is tried again, and nothing is polled meanwhile.
        on_fault: hears in words what keeps the loop from working, once; None when it is over.
    """

    def __init__(  # noqa: PLR0913 - each is another side of the loop
        self,
        api: Updates,
        decide: Decide,
        apologise: Decide,
        apply: Apply,
        on_fault: Callable[[str | None], None],
        *,
        look_up: LookUp | None = None,
        poll_seconds: int = 25,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._api = api
        self._decide = decide
        self._look_up = look_up
        self._apologise = apologise
        self._apply = apply
        self._on_fault = on_fault
        self._poll_seconds = poll_seconds
        self._sleep = sleep
        self._offset = 0
        self._fault: str | None = None
        self._failures = 0
        self._toasts: set[asyncio.Task[None]] = set()
        self.last_poll: float | None = None  # time.monotonic() of Telegram's last updates
        self.last_answer: float | None = None  # and of any answer, a refusal too

    async def run(self) -> None:
        """Until it is cancelled.

        Raises:
            TokenRefusedError: Telegram knows no bot with this token.
        """
        try:
            while True:
                for update in await self._poll():
                    await self._handle(update)
        finally:
            for task in self._toasts:
                task.cancel()
            await asyncio.gather(*self._toasts, return_exceptions=True)

    async def _poll(self) -> Sequence[Mapping[str, Any]]:
        """The next updates; none after a fault, which is waited out here."""
        try:
            async with asyncio.timeout(self._poll_seconds + _OVERTIME):
                updates = await self._api.get_updates(self._offset, self._poll_seconds)
        except TokenRefusedError:
            raise
        except TimeoutError:
            await self._wait_out("Telegram does not answer: a request is stuck", None)
            return ()
        except BotApiError as error:
            if isinstance(error, UnreachableError):
                await self._wait_out(str(error), error.retry_after)
            else:
                self.last_answer = time.monotonic()
                await self._wait_out(str(error), None)
            return ()
        self.last_poll = self.last_answer = time.monotonic()
        self._recovered()
        if not isinstance(updates, Sequence) or not updates:
            # Everything below the offset is confirmed. After a week of silence Telegram may
            # number from anywhere: an old offset would delete what comes with a smaller id.
            self._offset = 0
            return ()
        return updates

    async def _handle(self, update: Mapping[str, Any]) -> None:
        request = read_update(update)
        if request is not None:
            await self._answer(request)
        update_id = update.get("update_id") if isinstance(update, Mapping) else None
        if isinstance(update_id, int):
            self._offset = max(self._offset, update_id + 1)

    async def _answer(self, request: Request) -> None:
        answer = await self._decided(request)
        try:
            await self._stored(request, answer)
        except Exception:  # noqa: BLE001 - one update must not keep the next ones from people
            _log.exception("an update could not be applied", extra={"update": request.update_id})
            answer = self._apology(request)
            try:
                await self._stored(request, answer)
            except Exception:  # noqa: BLE001 - as above
                _log.exception("nor the apology", extra={"update": request.update_id})
        if request.kind is RequestKind.PRESS and request.callback_id:
            task = asyncio.create_task(self._toast(request.callback_id, answer.toast))
            self._toasts.add(task)
            task.add_done_callback(self._toasts.discard)

    async def _decided(self, request: Request) -> Answer:
        try:
            if self._look_up is not None:
                await self._look_up(request)
            return self._decide(request)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("an update made us fail", extra={"update": request.update_id})
            return self._apology(request)

    def _apology(self, request: Request) -> Answer:
        try:
            return self._apologise(request)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("no apology either", extra={"update": request.update_id})
            return Answer()

    async def _stored(self, request: Request, answer: Answer) -> None:
        """Applies an answer, waiting for a store that cannot take it now."""
        while True:
            try:
                await self._apply(request, answer)
            except StoreError as error:
                await self._wait_out(f"commands cannot be stored: {error}", None)
            else:
                self._recovered()
                return

    async def _toast(self, callback_id: str, text: str) -> None:
        """Ends the waiting mark on the button; the effect is stored already."""
        try:
            await self._api.answer_callback(callback_id, text[:200])
        except BotApiError as error:
            _log.info("a button's notice was not shown", extra={"reason": str(error)})

    async def _wait_out(self, fault: str, wait: float | None) -> None:
        if fault != self._fault:
            self._fault = fault
            self._on_fault(fault)
        pause = min(_FIRST_PAUSE * 2 ** min(self._failures, 10), _LONGEST_PAUSE)
        self._failures += 1
        await self._sleep(max(pause, wait or 0.0))

    def _recovered(self) -> None:
        self._failures = 0
        if self._fault is not None:
            self._fault = None
            self._on_fault(None)
