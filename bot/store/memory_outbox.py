"""The outbox of the store in memory: rows, and what finds them without looking at all of them."""

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import TypeVar

import msgspec

from bot.store import order
from bot.store.records import ChatRow, OutboxKind, OutboxRow, OutboxStatus

_Key = TypeVar("_Key")
_Place = tuple[int | None, int]  # topic and lane


class MemoryOutbox:
    """Rows by number. A change of rows, pauses or chats is followed by a `plan` of the chats."""

    def __init__(self) -> None:
        self.rows: dict[int, OutboxRow] = {}
        self.paused: set[tuple[int, str]] = set()  # chat and rule id
        self.turns: dict[int, tuple[int, int]] = {}  # chat -> when its turn comes, its first row
        self._numbers: dict[str, int] = {}  # by key
        self._queues: dict[int, dict[_Place, list[int]]] = {}  # by chat: what waits
        self._overtaken: dict[int, order.Overtaken] = {}  # by chat
        self._leased: dict[int, set[int]] = {}  # by chat
        self._held: dict[int, set[int]] = {}  # by chat
        self._unsent: dict[str, set[int]] = {}  # by rule id
        self._episodes: dict[tuple[str, str, int], set[int]] = {}  # alerts
        self._ids = count(1)

    # -- changes ---------------------------------------------------------------------------

    def add(self, row: OutboxRow) -> bool:
        """Stores a row whose key is new, with the next number; one that is not uses it up too."""
        number = next(self._ids)
        if row.key in self._numbers:
            return False
        self._numbers[row.key] = number
        self._enter(self.with_hold(msgspec.structs.replace(row, id=number)))
        return True

    def put(self, row: OutboxRow) -> None:
        """Replaces a row by what has become of it."""
        self._leave(self.rows[row.id])
        self._enter(row)

    def remove(self, row: OutboxRow) -> None:
        self._leave(row)
        del self.rows[row.id], self._numbers[row.key]

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
            if (turn := order.turn(self._line(chat_of(chat_id)))) is not None:
                self.turns[chat_id] = turn

    def claim(self, chat: ChatRow, now: int) -> list[OutboxRow]:
        """What goes next in a chat whose turn it is."""
        front = order.next_of(self._line(chat), now)
        if front.lane == order.SOON:
            self._overtake(chat.chat_id)
        queue = self._queues[chat.chat_id][front.topic, front.lane]
        return order.together((self.rows[number] for number in queue), now)

    def forget_overtaken(self, chat_id: int) -> None:
        self._overtaken.pop(chat_id, None)

    def _line(self, chat: ChatRow) -> order.Line:
        queues = self._queues.get(chat.chat_id, {}).items()
        fronts = [
            order.Front(*place, queue[0], self.rows[queue[0]].not_before) for place, queue in queues
        ]
        leases = (self.rows[each].lease_until for each in self._leased.get(chat.chat_id, ()))
        overtaken = self._overtaken.get(chat.chat_id, order.Overtaken())
        lease_end = max(leases, default=0)
        return order.Line(fronts, lease_end, chat.disabled, chat.not_before, overtaken)

    def _overtake(self, chat_id: int) -> None:
        """Notes a reply that went before the alerts that wait."""
        before = self._overtaken.get(chat_id, order.Overtaken())
        waits = any(
            row.kind is OutboxKind.ALERT and row.id > before.up_to for row in self.queue(chat_id)
        )
        self._overtaken[chat_id] = order.overtaken(before, max(self.rows) if waits else None)

    # -- questions -------------------------------------------------------------------------

    def queue(self, chat_id: int) -> Iterator[OutboxRow]:
        """The waiting rows of a chat by number."""
        numbers = heapq.merge(*self._queues.get(chat_id, {}).values())
        return (self.rows[number] for number in numbers)

    def queue_lengths(self) -> dict[int, int]:
        """How many rows of each chat wait."""
        return {chat_id: sum(map(len, own.values())) for chat_id, own in self._queues.items()}

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

    # -- what finds rows -------------------------------------------------------------------

    def _enter(self, row: OutboxRow) -> None:
        self.rows[row.id] = row
        if row.kind is OutboxKind.ALERT:
            self._episodes.setdefault(_episode(row), set()).add(row.id)
        if row.held:
            self._held.setdefault(row.chat_id, set()).add(row.id)
        if row.status is OutboxStatus.LEASED:
            self._leased.setdefault(row.chat_id, set()).add(row.id)
        if row.status in order.UNSENT:
            self._unsent.setdefault(row.rule_id, set()).add(row.id)
            if not row.held:
                queues = self._queues.setdefault(row.chat_id, {})
                insort(queues.setdefault(_place(row), []), row.id)

    def _leave(self, row: OutboxRow) -> None:
        self._take_out(row)
        _discard(self._episodes, _episode(row), row.id)
        _discard(self._held, row.chat_id, row.id)
        _discard(self._leased, row.chat_id, row.id)
        _discard(self._unsent, row.rule_id, row.id)

    def _take_out(self, row: OutboxRow) -> None:
        """Of its queue, where it is in one."""
        queues = self._queues.get(row.chat_id, {})
        numbers = queues.get(_place(row), [])
        position = bisect_left(numbers, row.id)
        if numbers[position : position + 1] == [row.id]:
            del numbers[position]
            if not numbers:
                del queues[_place(row)]
            if not queues:
                del self._queues[row.chat_id]


def _place(row: OutboxRow) -> _Place:
    return row.topic, order.lane(row.kind)


def _episode(row: OutboxRow) -> tuple[str, str, int]:
    return row.rule_id, row.symbol, row.episode


def _discard(sets: dict[_Key, set[int]], key: _Key, number: int) -> None:
    """Takes a number out of a set, and the set out of the dict where it was the last one."""
    if key in sets:
        sets[key].discard(number)
        if not sets[key]:
            del sets[key]
