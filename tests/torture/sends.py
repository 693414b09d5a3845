"""Thousands of messages to mixed chats, and how late each was beyond what its limits demand."""

import asyncio
import bisect
import re
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from itertools import count
from random import Random

from bot.notify.channel import Written
from bot.notify.pacing import Limits
from bot.notify.payload import notice_row, outbox_row_for
from bot.rules.rule import Target
from bot.store.records import OutboxRow
from tests.doubles.telegram import Fault, TelegramDouble
from tests.notify.events import event
from tests.torture.office import Office, wall

_WORD = re.compile(r"\bN(\d+)X")
_SLACK = 0.15  # s beyond a window of a second in which the server may have counted a request


@dataclass
class Row:
    """One thing to be told."""

    number: int
    target: Target
    committed: float = 0.0  # monotonic s
    heard: float = 0.0
    copies: int = 0


@dataclass
class Traffic:
    """People in private chats, groups and topics; `rate` is of commits a second."""

    telegram: TelegramDouble
    chance: Random
    chats: int
    limits: Limits
    rate: float
    rows: dict[int, Row] = field(default_factory=dict)
    disturbed: set[int] = field(default_factory=set)  # chats that were told to wait
    _read: int = 0
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        """Two thirds are private; every other group has topics."""
        self.targets: list[Target] = []
        for number in range(1, self.chats + 1):
            if number % 3:
                self.telegram.add_chat(number, "private")
                self.targets.append(Target(number))
            elif number % 2:
                self.telegram.add_chat(-number, "supergroup")
                self.targets.append(Target(-number))
            else:
                self.telegram.add_chat(-number, "supergroup", topics=(4, 5))
                self.targets += [Target(-number, 4), Target(-number, 5)]

    async def flow(self, office: Office, messages: int) -> None:
        """Commits at the rate, now and then a burst; a few groups get more than their share."""
        began, done = time.monotonic(), 0
        while done < messages:
            burst = 1 if self.chance.random() > 0.005 else round(self.rate * 2)
            for _ in range(min(burst, messages - done)):
                await self._tell(office)
                done += 1
            await asyncio.sleep(max(0.0, began + done / self.rate - time.monotonic()))

    async def disturb(self, each: float, most: int) -> None:
        """Every so many seconds a chat is told to wait, for up to `most` s; until cancelled."""
        while True:
            await asyncio.sleep(each)
            target = self.chance.choice(
                self.targets[::3]
            )  # the others are those that must not wait
            self.disturbed.add(target.chat_id)
            fault = Fault.too_many(self.chance.randint(1, most))
            self.telegram.fail_next(fault, chat_id=target.chat_id)

    async def _tell(self, office: Office) -> None:
        busy = [one for one in self.targets[:60] if one.chat_id < 0]
        target = self.chance.choice(busy if self.chance.random() < 0.1 else self.targets)
        row = Row(next(self._numbers), target)
        self.rows[row.number] = row
        row.committed = await office.commit(self._outbox_row(row))

    def _outbox_row(self, row: Row) -> OutboxRow:
        word = f"N{row.number}X"
        if row.number % 3:
            return notice_row(word, row.target, Written(word), wall())
        return outbox_row_for(event(word, rule_id=f"file:{word}"), row.target, wall())

    def read(self) -> None:
        """What has arrived since: the first copy of a row is when it was heard."""
        messages = self.telegram.messages
        for message in messages[self._read :]:
            for number in dict.fromkeys(map(int, _WORD.findall(message.text))):
                row = self.rows[number]
                row.copies += 1
                row.heard = row.heard or message.at
        self._read = len(messages)

    # -- judgement -------------------------------------------------------------------------

    def lateness(self, *, of_disturbed: bool) -> list[float]:
        """For each row, for how many seconds it waited without a limit that asked for it, sorted.

        A row may go when it is committed, all that was committed before it for its chat has gone,
        and the chat's own limits allow: its due time. From then on only the overall limit is an
        excuse: the time in which so many requests as it allows lay within a second is left out.
        """
        requests = sorted(one.at for one in self.telegram.requests if one.method == "sendMessage")
        full = _full(requests, max(int(self.limits.overall), 1))
        late = []
        for chat_id, rows in self._by_chat().items():
            if (chat_id in self.disturbed) is not of_disturbed:
                continue
            gone: deque[float] = deque(maxlen=self.limits.group_count)
            for row in rows:
                due = row.committed
                if gone:
                    due = max(due, gone[-1] + (0 if gone[-1] == row.heard else self._pause))
                if chat_id < 0 and len(gone) == self.limits.group_count:
                    due = max(due, gone[0] + self.limits.group_span)
                if not gone or gone[-1] != row.heard:  # else in one message with the one before
                    gone.append(row.heard)
                late.append(_unexcused(due, row.heard, full))
        return sorted(late)

    @property
    def _pause(self) -> float:
        return self.limits.per_chat

    def out_of_order(self) -> list[Target]:
        """Where something was heard before what was committed earlier for the same chat and topic.

        Each topic has its own order (docs/decisions/0012).
        """
        heard: dict[Target, list[float]] = defaultdict(list)
        for row in self.rows.values():
            heard[row.target].append(row.heard)
        return [target for target, times in heard.items() if times != sorted(times)]

    def _by_chat(self) -> dict[int, list[Row]]:
        """In the order of their commits."""
        found: dict[int, list[Row]] = defaultdict(list)
        for row in self.rows.values():
            found[row.target.chat_id].append(row)
        return found


def _full(requests: list[float], most: int) -> list[tuple[float, float]]:
    """The stretches of time in which the overall limit let nothing go."""
    found: list[tuple[float, float]] = []
    for first, last in zip(requests, requests[most - 1 :], strict=False):
        end = first + 1 + _SLACK
        if last >= end:
            continue
        if found and last <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((last, end))
    return found


def _unexcused(due: float, heard: float, full: list[tuple[float, float]]) -> float:
    waited = max(heard - due, 0.0)
    position = max(bisect.bisect_left(full, (due, 0.0)) - 1, 0)
    for begin, end in full[position:]:
        if begin >= heard:
            break
        waited -= max(min(end, heard) - max(begin, due), 0.0)
    return waited
