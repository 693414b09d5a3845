"""The outbox of the store in memory: rows, and what finds them without looking at all of them."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import TypeVar

import msgspec

from bot.store import order
from bot.store.records import ChatRow, OutboxKind, OutboxRow, OutboxStatus

_Key = TypeVar("_Key")
_Item = TypeVar("_Item", int, tuple[int, int])


class MemoryOutbox:
    """Rows by number. A change of rows, pauses or chats is followed by a `plan` of the chats."""

    def __init__(self) -> None:
        self.rows: dict[int, OutboxRow] = {}
        self.paused: set[tuple[int, str]] = set()  # chat and rule id
        self.turns: dict[int, tuple[int, int]] = {}  # chat -> when its turn comes, its first row
        self._numbers: dict[str, int] = {}  # by key
        self._lanes: dict[int, int] = {}
        self._queues: dict[int, list[tuple[int, int]]] = {}  # chat -> (lane, id) of what waits
        self._leased: dict[int, set[int]] = {}  # by chat
        self._held: dict[int, set[int]] = {}  # by chat
        self._unsent: dict[str, set[int]] = {}  # by rule id
        self._episodes: dict[tuple[str, str, int], set[int]] = {}  # alerts
        self._replies: dict[int, list[int]] = {}  # by chat, whatever became of them
        self._ids = count(1)

    # -- changes ---------------------------------------------------------------------------

    def add(self, row: OutboxRow) -> bool:
        """Stores a row whose key is new, with the next number; one that is not uses it up too."""
        number = next(self._ids)
        if row.key in self._numbers:
            return False
        passed = self._passed(row.chat_id) if row.kind is OutboxKind.REPLY else 0
        self._lanes[number] = order.lane(row.kind, passed)
        self._numbers[row.key] = number
        self._enter(self.with_hold(msgspec.structs.replace(row, id=number)))
        return True

    def put(self, row: OutboxRow) -> None:
        """Replaces a row by what has become of it."""
        self._leave(self.rows[row.id])
        self._enter(row)

    def remove(self, row: OutboxRow) -> None:
        self._leave(row)
        del self.rows[row.id], self._lanes[row.id], self._numbers[row.key]

    def with_hold(self, row: OutboxRow) -> OutboxRow:
        """A row that waits, held where its rule is paused."""
        return order.held(row, paused=(row.chat_id, row.rule_id) in self.paused)

    def hold(self, chat_id: int) -> None:
        """Holds the alerts of a chat that its pauses concern, and no others."""
        for row in [*self.queue(chat_id), *self.held(chat_id)]:
            changed = self.with_hold(row)
            if changed is not row:
                self.put(changed)

    def hold_lapsed(self, now: int) -> set[int]:
        """Holds alerts of paused rules whose lease has lapsed; the chats of those."""
        chats = {chat_id for chat_id, _ in self.paused} & self._leased.keys()
        lapsed = [
            row
            for chat_id in chats
            if chat_id in self.turns and self.turns[chat_id][0] <= now
            for row in map(self.rows.__getitem__, self._leased[chat_id])
            if row.kind is OutboxKind.ALERT and (chat_id, row.rule_id) in self.paused
        ]
        for row in lapsed:
            self.put(self.with_hold(order.lapsed(row)))
        return {row.chat_id for row in lapsed}

    def plan(self, chat_ids: Iterable[int], chat_of: Callable[[int], ChatRow]) -> None:
        """Works out anew when the turn of these chats comes."""
        for chat_id in set(chat_ids):
            self.turns.pop(chat_id, None)
            queue = self._queues.get(chat_id)
            if queue:
                first, chat = self.rows[queue[0][1]], chat_of(chat_id)
                leases = (self.rows[each].lease_until for each in self._leased.get(chat_id, ()))
                lease_end = max(leases, default=0)
                due_at = order.due_at(first.not_before, lease_end, chat.disabled, chat.not_before)
                if due_at is not None:
                    self.turns[chat_id] = (due_at, first.id)

    # -- questions -------------------------------------------------------------------------

    def queue(self, chat_id: int) -> Iterator[OutboxRow]:
        """The waiting rows of a chat in order."""
        return (self.rows[number] for _, number in self._queues.get(chat_id, ()))

    def queue_lengths(self) -> dict[int, int]:
        """How many rows of each chat wait."""
        return {chat_id: len(queue) for chat_id, queue in self._queues.items()}

    def held(self, chat_id: int) -> list[OutboxRow]:
        return [self.rows[number] for number in sorted(self._held.get(chat_id, ()))]

    def all_held(self) -> list[OutboxRow]:
        return [self.rows[number] for number in sorted(set().union(*self._held.values()))]

    def unsent(self, rule_id: str) -> list[OutboxRow]:
        return [self.rows[number] for number in self._unsent.get(rule_id, ())]

    def of_key(self, key: str) -> OutboxRow | None:
        number = self._numbers.get(key)
        return None if number is None else self.rows[number]

    def episode(self, rule_id: str, symbol: str, episode: int) -> list[OutboxRow]:
        """The alerts of one episode, oldest first."""
        numbers = self._episodes.get((rule_id, symbol, episode), ())
        return [self.rows[number] for number in sorted(numbers)]

    def _passed(self, chat_id: int) -> int:
        """How many replies came after the chat's oldest waiting alert; 0 where none waits."""
        alerts = (row.id for row in self.queue(chat_id) if row.kind is OutboxKind.ALERT)
        oldest = next(alerts, None)
        replies = self._replies.get(chat_id, [])
        return 0 if oldest is None else len(replies) - bisect_right(replies, oldest)

    # -- what finds rows -------------------------------------------------------------------

    def _enter(self, row: OutboxRow) -> None:
        self.rows[row.id] = row
        if row.kind is OutboxKind.REPLY:
            insort(self._replies.setdefault(row.chat_id, []), row.id)
        if row.kind is OutboxKind.ALERT:
            self._episodes.setdefault(_episode(row), set()).add(row.id)
        if row.held:
            self._held.setdefault(row.chat_id, set()).add(row.id)
        if row.status is OutboxStatus.LEASED:
            self._leased.setdefault(row.chat_id, set()).add(row.id)
        if row.status in order.UNSENT:
            self._unsent.setdefault(row.rule_id, set()).add(row.id)
            if not row.held:
                insort(self._queues.setdefault(row.chat_id, []), (self._lanes[row.id], row.id))

    def _leave(self, row: OutboxRow) -> None:
        _take_out(self._replies, row.chat_id, row.id)
        _take_out(self._queues, row.chat_id, (self._lanes[row.id], row.id))
        _discard(self._episodes, _episode(row), row.id)
        _discard(self._held, row.chat_id, row.id)
        _discard(self._leased, row.chat_id, row.id)
        _discard(self._unsent, row.rule_id, row.id)


def _episode(row: OutboxRow) -> tuple[str, str, int]:
    return row.rule_id, row.symbol, row.episode


def _discard(sets: dict[_Key, set[int]], key: _Key, number: int) -> None:
    """Takes a number out of a set, and the set out of the dict where it was the last one."""
    if key in sets:
        sets[key].discard(number)
        if not sets[key]:
            del sets[key]


def _take_out(lists: dict[int, list[_Item]], key: int, item: _Item) -> None:
    """Likewise, of a sorted list."""
    items = lists.get(key, [])
    position = bisect_left(items, item)
    if items[position : position + 1] == [item]:
        del items[position]
        if not items:
            del lists[key]
