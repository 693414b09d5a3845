"""Judges what chats were told against what was decided: nothing of it is the program's own word."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.doubles.telegram import Message
from tests.torture.ledger import MARK, Alert, Copy, copies_in
from tests.torture.swings import ADMIN, LINES, OF_SYMBOL, Address, Step

_LINE = re.compile(r"§(\d\d)")  # of the long note
_HIDDEN = re.compile(r"^\+\d+ more$", re.MULTILINE)
# A unit of sending in a chat: an alert, or (None) a further part of a message.
Unit = tuple[int, Alert | None]


@dataclass
class Heard:
    """What one chat and topic heard, message by message."""

    firsts: list[list[Alert]] = field(default_factory=list)  # the first copies of each message
    copies: dict[Alert, list[bool]] = field(default_factory=dict)  # with whether each is marked
    notes: dict[Alert, list[int]] = field(default_factory=dict)  # lines, by their first copies
    in_tables: set[Alert] = field(default_factory=set)  # where notes have no room
    repeats: Counter[Alert | None] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    _of: Alert | None = None  # whose note goes on
    _last: tuple[list[Copy | int], Alert | None] = ([], None)  # the last message, and whose it was

    def take(self, message: Message) -> None:
        text, items = message.text, _items(message.text)
        if MARK in text and _same(items, self._last[0]):  # its end was another alert's beginning
            self._of = self._last[1]
        self._last = items, self._of
        copies = [item for item in items if isinstance(item, Copy)]
        self.firsts.append([copy.alert for copy in copies if copy.alert not in self.copies])
        old = [self._take_item(item, marked=MARK in text) for item in items]
        if not items:
            self.faults.append(f"not an alert: {text[:200]}")
        elif not copies and all(old):
            self.repeats[None] += 1
        if _HIDDEN.search(text):
            self.faults.append(f"a table hides rows, the market is too lively: {text}")

    def _take_item(self, item: Copy | int, *, marked: bool) -> bool:
        """Whether it was heard before."""
        if isinstance(item, Copy):
            self._of = item.alert
            if item.alert in self.copies:
                self.repeats[item.alert] += 1
            if not item.in_full:
                self.in_tables.add(item.alert)
            self.copies.setdefault(item.alert, []).append(item.marked)
            return len(self.copies[item.alert]) > 1
        if self._of is None:
            self.faults.append(f"line {item} of nothing")
            return False
        lines = self.notes.setdefault(self._of, [])
        if item not in lines:
            lines.append(item)
            return False
        if not marked:
            self.faults.append(f"line {item} of {self._of} came again unmarked")
        return True


def _items(text: str) -> list[Copy | int]:
    """Alerts and lines of notes, in their order."""
    found: list[tuple[int, Copy | int]] = [(copy.position, copy) for copy in copies_in(text)]
    found += [(line.start(), int(line[1])) for line in _LINE.finditer(text)]
    return [item for _, item in sorted(found, key=lambda one: one[0])]


def _same(one: list[Copy | int], other: list[Copy | int]) -> bool:
    """Whether both tell the same; a mark and a delay are no difference."""
    return [_told(item) for item in one] == [_told(item) for item in other]


def _told(item: Copy | int) -> Alert | int:
    return item.alert if isinstance(item, Copy) else item


class Verdict:
    """What was told of the steps that were decided on, `batches`, in the order of the decisions.

    `doubts` are the units of requests of which the program could not know what became of them.
    """

    def __init__(
        self,
        messages: Iterable[Message],
        batches: Sequence[Sequence[Step]],
        doubts: Iterable[Unit],
    ) -> None:
        self._heard: defaultdict[Address, Heard] = defaultdict(Heard)
        for message in messages:
            if message.chat_id != ADMIN:
                self._heard[message.chat_id, message.topic].take(message)
        self.expected: defaultdict[Address, list[Alert]] = defaultdict(list)
        for batch in batches:
            for step in batch:
                for address in OF_SYMBOL[step.symbol].to:
                    self.expected[address].append(step.alert)
        self._doubts = Counter(doubts)

    @property
    def alerts(self) -> int:
        return sum(map(len, self.expected.values()))

    @property
    def lost(self) -> list[tuple[Address, Alert]]:
        return [
            (address, alert)
            for address, alerts in self.expected.items()
            for alert in alerts
            if alert not in self._heard[address].copies
        ]

    @property
    def unexpected(self) -> list[str]:
        """What was told and never decided, notices that have no place here, cut or mixed notes."""
        faults = []
        for address, heard in self._heard.items():
            known = set(self.expected[address])
            faults += [f"{address}: {fault}" for fault in heard.faults]
            faults += [f"{address}: {alert}" for alert in heard.copies if alert not in known]
            faults += [
                f"{address}: the note of {alert} has lines {lines}"
                for alert in heard.copies.keys() - heard.in_tables
                if OF_SYMBOL[alert.symbol].talks
                and (lines := heard.notes.get(alert, [])) != list(range(LINES))
            ]
        return faults

    @property
    def misordered(self) -> list[str]:
        """Messages whose alerts were decided before those of an earlier message of the chat.

        A table has its own order, so what is in one message counts as told at once.
        """
        return [fault for address in self._heard for fault in self._disorder(address)]

    def _disorder(self, address: Address) -> Iterator[str]:
        place = {alert: number for number, alert in enumerate(self.expected[address])}
        told = -1
        for firsts in self._heard[address].firsts:
            places = [place[alert] for alert in firsts if alert in place]
            if places and min(places) < told:
                yield f"{address}: {firsts} after {self.expected[address][told]}"
            told = max([told, *places])

    @property
    def repeats(self) -> Counter[Unit]:
        counts: Counter[Unit] = Counter()
        for address, heard in self._heard.items():
            for alert, times in heard.repeats.items():
                counts[address[0], alert] += times
        return counts

    @property
    def unmarked(self) -> list[tuple[Address, Alert]]:
        return [
            (address, alert)
            for address, heard in self._heard.items()
            for alert, marks in heard.copies.items()
            if not all(marks[1:])
        ]

    @property
    def uncovered(self) -> Counter[Unit]:
        """Repeats of what nobody had to doubt."""
        return self.repeats - self._doubts
