"""How the running parts fare at one moment, for those who judge or show it."""

import time
from collections.abc import Callable

from bot.alerts.engine import Engine
from bot.app.copying import Copying
from bot.app.faults import Faults
from bot.app.recorder import Recorder
from bot.chat.world import RecordingView
from bot.market.stream import MarketStream
from bot.notify.notifier import Notifier
from bot.notify.port import DATABASE, TOKEN, UNREACHABLE
from bot.ops.judgement import Work

# Faults that keep every message from being sent, and how a probe hears of them.
BLOCKING = {
    DATABASE: "the database cannot be written",
    UNREACHABLE: "Telegram cannot be reached",
    TOKEN: "Telegram refuses the token",
}


class Vitals:
    """Looks at the parts when asked; told only of what they do not remember themselves.

    What is made later than this is set by who makes it. Times are monotonic seconds.
    """

    def __init__(
        self,
        engine: Engine,
        faults: Faults,
        stream: MarketStream,
        notifier: Notifier,
        *,
        now: Callable[[], int],
        is_telegram: bool,
    ) -> None:
        """`now` is the venue's clock, ms."""
        self.feed = stream.status
        self.is_telegram = is_telegram
        self.recorder: Recorder | None = None
        self.polled: Callable[[], float | None] = _never  # when Telegram last answered a poll
        self.read: Callable[[], float | None] = _never  # when it last gave updates
        self.copying: Copying | None = None
        self.catalog_at: Callable[[], float | None] = _never  # when it was last taken
        self.by_rest: Callable[[], frozenset[str]] = frozenset  # symbols with values by REST
        self._engine = engine
        self._faults = faults
        self._delivery = notifier.delivery
        self._now = now
        self._turned_at = time.monotonic()

    def turned(self) -> None:
        """Time has passed in the engine."""
        self._turned_at = time.monotonic()

    @property
    def blocked(self) -> tuple[str, ...]:
        """The kinds of faults that keep messages from being sent."""
        return tuple(kind for kind in BLOCKING if self._faults.is_active(kind))

    @property
    def answer_age(self) -> float | None:
        """Seconds since Telegram answered, a poll or a message; None: not yet."""
        times = (self.polled(), self._delivery.answered_at)
        return _age(max((at for at in times if at is not None), default=None))

    @property
    def reached_age(self) -> float | None:
        """Seconds since Telegram took a message or gave updates, even none; None: not yet."""
        times = (self.read(), self._delivery.sent_at)
        return _age(max((at for at in times if at is not None), default=None))

    @property
    def sent_age(self) -> float | None:
        """Seconds since the last message was sent."""
        return _age(self._delivery.sent_at)

    def recording(self) -> RecordingView | None:
        """How the recording fares; None where there is none."""
        recorder = self.recorder
        if recorder is None:
            return None
        writer = recorder.writer
        return RecordingView(
            recorder.path.name, writer.written, recorder.missed, writer.problem or ""
        )

    def work(self) -> Work:
        newest = max(
            (memory.tick.event_time for memory in self._engine.symbols.values()), default=None
        )
        return Work(
            turn_age=time.monotonic() - self._turned_at,
            row_age=_age(self.feed().last_taken),
            decided_age=None if newest is None else (self._now() - newest) / 1000,
            blocked=tuple(BLOCKING[kind] for kind in self.blocked),
            is_telegram=self.is_telegram,
            answer_age=self.answer_age,
        )


def _never() -> None:
    return None


def _age(at: float | None) -> float | None:
    return None if at is None else time.monotonic() - at
