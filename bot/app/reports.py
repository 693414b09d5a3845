"""Faults that parts of the program report from where nothing can be awaited."""

import logging
from collections.abc import Callable
from functools import partial

from bot.app import texts
from bot.app.faults import Faults
from bot.chat.router import UNSTORED
from bot.notify.payload import HAPPENED
from bot.notify.port import DATABASE, TOKEN, UNREACHABLE
from bot.store.records import OutboxRow

POLLING = "polling: "  # the faults of updates that cannot be read, followed by the router's kind
RECORDING = "recording"  # the fault of a recording that cannot be written
_log = logging.getLogger(__name__)


class Reports:
    """The notices of such faults, until `take` is asked for them. `wall` is the outbox's clock."""

    def __init__(self, faults: Faults, wall: Callable[[], int]) -> None:
        self._faults = faults
        self._wall = wall
        self._waiting: list[OutboxRow] = []
        self._unpolled: set[str] = set()  # of UNREACHABLE and TOKEN, what polls meet as well
        self.answered: Callable[[], None] = lambda: None  # called when polls are answered again

    def take(self) -> list[OutboxRow]:
        """The notices since the last time."""
        taken, self._waiting = self._waiting, []
        return taken

    def begin(self, kind: str, text: str) -> None:
        now = self._wall()
        words = partial(texts.plain_fault, text)
        if kind == UNREACHABLE:
            words = partial(texts.unreachable, text, self._faults.since(kind) or now)
        self._waiting += self._faults.begin(kind, words, now)

    def end(self, kind: str) -> None:
        """Sending does not meet it any more. It is over where polls do not meet it either."""
        if kind in self._unpolled:
            return
        over = texts.telegram_back if kind in (UNREACHABLE, TOKEN) else texts.chat_back
        self._waiting += self._faults.end(kind, over, self._wall())

    def happened(self, text: str) -> None:
        """Something is lost or gone for good; it has no end."""
        _log.warning("%s", text, extra={"action": "sending_failed"})
        said = partial(texts.plain_fault, text)
        self._waiting += self._faults.notices(f"{HAPPENED}{text}", said, self._wall())

    def polling(self, kind: str, problem: str | None) -> None:
        """What keeps updates from being read, by the router's kinds; None: it is over.

        That Telegram is out of reach is one fault, whoever meets it.
        """
        if kind in (UNREACHABLE, TOKEN):
            self._unpolled.discard(kind)
            if problem is None:
                self.end(kind)
                self.answered()
            else:
                self._unpolled.add(kind)
                self.begin(kind, problem)
        elif problem is None:
            self._waiting += self._faults.end(POLLING + kind, texts.poller_back, self._wall())
        elif kind != UNSTORED or not self._faults.is_active(DATABASE):  # which was told
            self.begin(POLLING + kind, problem)

    def recording(self, problem: str | None) -> None:
        """Why the recording cannot be written; None: it can."""
        if problem is None:
            self._waiting += self._faults.end(RECORDING, texts.recording_over, self._wall())
        else:
            text = partial(texts.recording_fault, problem)
            self._waiting += self._faults.begin(RECORDING, text, self._wall())
