"""When the next message may go to a chat: Telegram's limits, kept by ourselves.

A message counts from the moment its request has begun until so long after it has been answered:
wherever in between the server counts it, no window of the server's is ever exceeded. There is one
exception, lest chats that are slow to be answered stop all others: see `_let_go`.
Times are seconds of any steady clock.
"""

import math
from collections import deque
from dataclasses import dataclass

_SLOW = 1.0  # s after which a request that is not answered is a slow one
_DOUBTS = 5  # attempts that may have arrived of one message in a minute: they are 5, 10, 20 s apart


@dataclass(frozen=True)
class Limits:
    """Telegram asks for 1 a second per chat, 20 a minute per group, about 30 a second in all."""

    per_chat: float = 1.0  # seconds between two messages to a chat
    group_count: int = 20  # messages to a group (a negative chat id) ...
    group_span: float = 60.0  # ... in any so many seconds
    overall: float = 25.0  # messages in any second


class Pacing:
    """What has been sent when. One chat never delays another but through the overall limit."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        # Fewer than one a second is one in a longer window.
        self._overall_count = max(1, math.floor(self.limits.overall))
        self._overall_span = max(1.0, 1.0 / self.limits.overall)
        self._under_way: dict[int, float] = {}  # by chat, when its request began
        self._answered: deque[float] = deque()  # of all chats, within the overall window
        self._last: dict[int, float] = {}
        self._group: dict[int, deque[float]] = {}
        self._not_before: dict[int, float] = {}
        self._crashed_at = -math.inf

    @property
    def memory(self) -> float:
        """For how many seconds a message matters."""
        return max(self.limits.per_chat, self.limits.group_span, self._overall_span)

    def next_time(self, chat_id: int, now: float) -> float:
        """When a message to the chat may begin: `now` where at once.

        Infinity while one is under way to it, or as many in all as the overall limit allows.
        """
        return max(now, self.chat_time(chat_id), self._overall_time(now))

    def chat_time(self, chat_id: int) -> float:
        """When the chat's own limits allow a message; infinity while one is under way to it."""
        if chat_id in self._under_way:
            return math.inf
        time = self._not_before.get(chat_id, -math.inf)
        if chat_id in self._last:
            time = max(time, self._last[chat_id] + self.limits.per_chat)
        sent = self._group.get(chat_id)
        if sent and len(sent) >= self.limits.group_count:
            time = max(time, sent[-self.limits.group_count] + self.limits.group_span)
        return time

    def overall_time(self, now: float) -> float:
        """When a message to any chat may begin."""
        return max(now, self._overall_time(now))

    def note_begun(self, chat_id: int, now: float) -> None:
        """A request to the chat goes out; there is no other one under way to it."""
        self._under_way[chat_id] = now

    def note_sent(self, chat_id: int, now: float) -> None:
        """A request to the chat has ended; whatever came of it, the server may have counted it."""
        del self._under_way[chat_id]
        self.note_counted(chat_id, now)

    def note_unused(self, chat_id: int) -> None:
        """What was noted as begun was not asked for after all."""
        del self._under_way[chat_id]

    def note_counted(self, chat_id: int, at: float) -> None:
        """The server has counted a message by then. Calls come in the order of time."""
        self._answered.append(at)
        self._last[chat_id] = at
        if chat_id < 0:
            self._group_of(chat_id).append(at)
        self._forget(at)

    def note_crash(self, now: float) -> None:
        """Until now an earlier run may have sent to any chat without a record.

        To each the one message that was under way at its end, to a group also those attempts of
        the last minute that may have arrived. Nothing goes before every chat may be written to.
        """
        self._crashed_at = now
        over = now + max(0.0, self.limits.per_chat - self._overall_span)
        self._answered.extend([over] * self._overall_count)
        for sent in self._group.values():
            sent.extend([now] * _DOUBTS)

    def hold(self, chat_id: int, until: float) -> None:
        """Nothing to the chat before that: a `retry_after`, or a server out of reach."""
        self._not_before[chat_id] = max(until, self._not_before.get(chat_id, 0.0))

    def held(self, now: float) -> dict[int, float]:
        """The chats that may not be written to now, and when each may again."""
        chats = {*self._under_way, *self._last, *self._group, *self._not_before}
        times = {chat_id: self.chat_time(chat_id) for chat_id in chats}
        return {chat_id: time for chat_id, time in times.items() if time > now}

    def quick(self, now: float) -> int:
        """How many requests are under way that are not slow."""
        return len(self._under_way) - self._slow(now)

    def _slow(self, now: float) -> int:
        return sum(begun + _SLOW <= now for begun in self._under_way.values())

    def _group_of(self, chat_id: int) -> deque[float]:
        return self._group.setdefault(chat_id, deque([self._crashed_at] * _DOUBTS))

    def _overall_time(self, now: float) -> float:
        free = self._overall_count - len(self._under_way) + self._let_go(now)
        if free <= 0:
            return self._next_let_go(1 - free, now)
        if len(self._answered) < free:
            return now
        return self._answered[-free] + self._overall_span

    def _let_go(self, now: float) -> int:
        """How many of the requests under way take no place of the overall limit any more.

        Slow ones take at most half of it: the others go on by what is left. The server counts a
        request when it takes it, whenever it answers; only a server that takes many late at once
        would count more than the limit.
        """
        return max(0, self._slow(now) - self._overall_count // 2)

    def _next_let_go(self, more: int, now: float) -> float:
        """When so many more take no place; infinity where it needs the end of a request."""
        wanted = self._let_go(now) + more + self._overall_count // 2
        begun = sorted(self._under_way.values())
        return begun[wanted - 1] + _SLOW if wanted <= len(begun) else math.inf

    def _forget(self, now: float) -> None:
        """Drops what no limit looks at any more."""
        while self._answered and self._answered[0] <= now - self._overall_span:
            self._answered.popleft()
        for times, span in ((self._last, self.limits.per_chat), (self._not_before, 0.0)):
            for chat_id in [one for one, time in times.items() if time + span <= now]:
                del times[chat_id]
        for chat_id, sent in list(self._group.items()):
            while sent and sent[0] <= now - self.limits.group_span:
                sent.popleft()
            if not sent:
                del self._group[chat_id]
