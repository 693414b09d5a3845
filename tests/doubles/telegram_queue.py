"""The updates that wait for a bot (tdlib, TQueue.cpp; Client.cpp, do_get_updates)."""

from collections.abc import Callable

from tests.doubles.telegram_values import Json

DAY = 86_400  # s after which an update is gone
_AHEAD = 10  # an offset further beyond the last update is not believed
_BY_DEFAULT_NOT = ("chat_member", "message_reaction", "message_reaction_count")


class UpdateQueue:
    """Updates in order; `clock`: steady seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, Json]] = []
        self._next = 1001
        self._allowed: frozenset[str] | None = None  # None: all but three

    def __len__(self) -> int:
        self._expire()
        return len(self._waiting)

    def push(self, content: Json) -> int | None:
        """The new update's id; None where its kind is not asked for."""
        (kind,) = content
        if (kind in _BY_DEFAULT_NOT) if self._allowed is None else (kind not in self._allowed):
            return None
        update_id = self._next
        self._next += 1
        self._waiting.append((self._clock(), {"update_id": update_id, **content}))
        return update_id

    def allow(self, kinds: list[str]) -> None:
        """Which kinds are kept from now on; an empty list is the default."""
        self._allowed = frozenset(kinds) or None

    def get(self, offset: int, limit: int) -> list[Json]:
        """Those from an id on; those below it are confirmed and gone.

        A negative offset keeps only as many of the last ones.
        """
        self._expire()
        if offset < 0:
            del self._waiting[:offset]
        elif 0 < offset <= self._next + _AHEAD:
            self._waiting = [one for one in self._waiting if one[1]["update_id"] >= offset]
        return [update for _, update in self._waiting[:limit]]

    def clear(self) -> None:
        self._waiting.clear()

    def _expire(self) -> None:
        least = self._clock() - DAY
        self._waiting = [one for one in self._waiting if one[0] >= least]
