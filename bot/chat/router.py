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
from bot.chat.watchdog import StuckError, watched
from bot.notify.bot_api import BotApiError, PollConflictError, TokenRefusedError, UnreachableError
from bot.notify.port import TOKEN, UNREACHABLE
from bot.store.port import StoreError

_log = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0  # s between polls that fail
_LONGEST_AWAY = 8.0  # s between polls that reach nobody: its return is soon noticed
_OVERTIME = 10.0  # s beyond its long poll after which a request counts as stuck
_CALM = 60.0  # s of polls without a conflict after which the other program counts as gone
CONFLICT = "conflict"  # another program, or a webhook, gets the updates
REFUSED = "poll refused"  # the server will not answer, for whatever other reason
UNSTORED = "commands unstored"  # the store cannot take what commands do
# How often in a row something fails before it is told. One poll fails with every connection that
# breaks; a store that cannot write is told by who writes decisions to it, if it is not this alone.
_PATIENCE = {UNREACHABLE: 2, REFUSED: 2, UNSTORED: 6}

Decide = Callable[[Request], Answer]
LookUp = Callable[[Request], Awaitable[None]]
Apply = Callable[[Request, Answer], Awaitable[None]]
OnFault = Callable[[str, str | None], None]


class Updates(Protocol):
    """The part of BotApi that the loop needs."""

    async def get_updates(self, offset: int, timeout: int) -> Sequence[Mapping[str, Any]]: ...  # noqa: ASYNC109 - the server's

    def renew_polling(self) -> None: ...

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
        on_fault: hears what keeps the loop from working, once each: its kind (one of the
            constants here, UNREACHABLE, TOKEN) and its words; None for words when it is over.
        clock: seconds that also pass while the machine sleeps.
    """

    def __init__(  # noqa: PLR0913 - each is another side of the loop
        self,
        api: Updates,
        decide: Decide,
        apologise: Decide,
        apply: Apply,
        on_fault: OnFault,
        *,
        look_up: LookUp | None = None,
        poll_seconds: int = 25,
        overtime: float = _OVERTIME,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._decide = decide
        self._look_up = look_up
        self._apologise = apologise
        self._apply = apply
        self._on_fault = on_fault
        self._poll_seconds = poll_seconds
        self._patience = poll_seconds + overtime
        self._sleep = sleep
        self._clock = clock
        self._offset = 0
        self._told: dict[str, str] = {}  # present faults, kind to words
        self._failures = 0  # in a row
        self._conflicts = 0  # since the last one was over
        self._calm_since: float | None = None  # the first success behind the last conflict
        self._toasts: set[asyncio.Task[None]] = set()
        self.last_poll: float | None = None  # time.monotonic() of Telegram's last updates
        self.last_answer: float | None = None  # and of any answer, a refusal too

    async def run(self) -> None:
        """Until it is cancelled.

        Raises:
            TokenRefusedError: Telegram knows no bot with this token, and has not since the start.
        """
        try:
            while True:
                for update in await self._poll():
                    await self._handle(update)
        finally:
            for task in self._toasts:
                task.cancel()
            await asyncio.gather(*self._toasts, return_exceptions=True)

    # -- polling ---------------------------------------------------------------------------

    async def _poll(self) -> Sequence[Mapping[str, Any]]:
        """The next updates; none after a fault, which is waited out here."""
        # After a failure the server is not to wait for an update: that it answers is news enough.
        seconds = 0 if self._failures and not self._conflicts else self._poll_seconds
        try:
            updates = await watched(
                self._api.get_updates(self._offset, seconds),
                self._patience,
                self._clock,
            )
        except StuckError as stuck:
            await self._renew(stuck)
            return ()
        except BotApiError as error:
            await self._failed(error)
            return ()
        self.last_poll = self.last_answer = time.monotonic()
        self._polled()
        if not isinstance(updates, Sequence) or not updates:
            # Everything below the offset is confirmed. After a week of silence Telegram may
            # number from anywhere: an old offset would delete what comes with a smaller id.
            self._offset = 0
            return ()
        return updates

    async def _renew(self, stuck: StuckError) -> None:
        """Asks anew over new connections: at once, unless that was of no use just before."""
        self._api.renew_polling()
        if stuck.slept:
            _log.info("the machine or this program stood still; updates are asked for anew")
        elif self._failures:
            await self._wait_out(UNREACHABLE, "Telegram does not answer: a request is stuck")
        else:
            self._failures = 1
            _log.warning(
                "Telegram did not answer a request for updates within %g s: its connections are "
                "thrown away, and it is asked again",
                self._patience,
                extra={"action": "polling_renewed"},
            )

    async def _failed(self, error: BotApiError) -> None:
        if isinstance(error, UnreachableError) and error.retry_after is None:
            await self._wait_out(UNREACHABLE, str(error))
        elif isinstance(error, TokenRefusedError):
            if self.last_poll is None:
                raise error
            await self._wait_out(TOKEN, str(error))
        else:
            self.last_answer = time.monotonic()
            is_conflict = isinstance(error, PollConflictError)
            wait = error.retry_after if isinstance(error, UnreachableError) else None
            await self._wait_out(CONFLICT if is_conflict else REFUSED, str(error), wait)

    def _polled(self) -> None:
        """Updates could be read: what kept them from it is over.

        But a conflict is not: two programs end each other's polls in turn, and each of them has
        some that succeed in between.
        """
        self._over(UNREACHABLE, TOKEN, REFUSED)
        self._failures = 0
        if not self._conflicts:
            return
        now = self._clock()
        if self._calm_since is None:
            self._calm_since = now
        if now - self._calm_since >= _CALM:
            self._conflicts = 0
            self._over(CONFLICT)

    async def _wait_out(self, kind: str, words: str, wait: float | None = None) -> None:
        self._failures += 1
        if kind == CONFLICT:
            self._conflicts += 1
            self._calm_since = None
        if self._failures >= _PATIENCE.get(kind, 1) and kind not in self._told:
            self._told[kind] = words
            self._on_fault(kind, words)
        times = self._conflicts if kind == CONFLICT else self._failures
        longest = _LONGEST_AWAY if kind == UNREACHABLE else _LONGEST_PAUSE
        pause = min(_FIRST_PAUSE * 2 ** min(times - 1, 10), longest)
        await self._sleep(max(pause, wait or 0.0))

    def _over(self, *kinds: str) -> None:
        for kind in kinds:
            if self._told.pop(kind, None) is not None:
                self._on_fault(kind, None)

    # -- handling --------------------------------------------------------------------------

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
                await self._wait_out(UNSTORED, f"commands cannot be stored: {error}")
            else:
                self._failures = 0
                self._over(UNSTORED)
                return

    async def _toast(self, callback_id: str, text: str) -> None:
        """Ends the waiting mark on the button; the effect is stored already."""
        try:
            await self._api.answer_callback(callback_id, text[:200])
        except BotApiError as error:
            _log.info("a button's notice was not shown", extra={"reason": str(error)})
