"""One chat's turn: what was leased for it becomes one message, and what came of it is recorded.

A message is one request and one record. What of it does not fit follows as rows of its own, added
in the transaction that records the first part. So an attempt that may have arrived is one message,
and its repeat is marked.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec

from bot.alerts.lifecycle import Kind
from bot.notify.batch import first_message, one_rule, too_late, written_of
from bot.notify.burial import TOO_LATE, line_row, missed
from bot.notify.channel import (
    Doubtful,
    Later,
    Moved,
    Never,
    Outcome,
    Refused,
    Sent,
    TopicGone,
    Unparsable,
    Written,
)
from bot.notify.delivery import Delivery, Turn
from bot.notify.gathering import Gathering
from bot.notify.payload import event_of, rest_rows
from bot.notify.port import DATABASE, REFUSED, Chats, Faults, Storms
from bot.notify.settling import dead, released, settled
from bot.store.port import Store, StoreError
from bot.store.records import ChatRow, OutboxKind, OutboxRow, OutboxStatus

_LOG = logging.getLogger(__name__)
_STORE_PAUSE = 1.0  # s between attempts at a store that cannot
_BEHIND_LINE = 60_000  # ms for which what was in time at a chat's line stays so, at most
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a turn asks and tells. `clock` gives epoch ms, as rows are dated."""

    store: Store
    chats: Chats
    faults: Faults
    storms: Storms
    clock: Callable[[], int]
    gathering: Gathering


class Teller:
    """Tells chats what was leased for them. Alerts older than `max_age` (ms) are counted."""

    def __init__(self, around: Surroundings, delivery: Delivery, max_age: int) -> None:
        self.buried = 0  # alerts that came too late to be sent
        self._store = around.store
        self._chats = around.chats
        self._faults = around.faults
        self._storms = around.storms
        self._clock = around.clock
        self._gathering = around.gathering
        self._delivery = delivery
        self._max_age = max_age
        self._lines: dict[int, int] = {}  # by chat, as of when its last line counted, ms

    async def tell(self, turn: Turn, rows: Sequence[OutboxRow]) -> None:
        """Sends the first message of what was leased for a chat; what is behind it waits again."""
        late = self._late(rows)
        try:
            if late and late[0].kind is not OutboxKind.ALERT:  # by itself, and it may have arrived
                turn.end()
                await self._settle(dead(late, TOO_LATE))
            elif late or (rows[0].doubtful and await self._late_rows(turn.chat_id)):
                await self._bury(turn, rows, late)
            else:
                await self._send(turn, rows)
        except StoreError as error:
            self._faults.raised(DATABASE, str(error))
            turn.hold(_STORE_PAUSE)
            turn.end()
            await self.release(rows)
        finally:
            turn.end()

    async def release(self, rows: Sequence[OutboxRow]) -> None:
        """Leased rows that were not attempted wait again; those that were are left as they are."""
        if rows:
            await self._settle(released(rows))

    # -- a message -------------------------------------------------------------------------

    async def _send(self, turn: Turn, rows: Sequence[OutboxRow]) -> None:
        now = self._clock()
        run, others = first_message(rows)
        first, rule_id = run[0], one_rule(run)
        if rule_id and self._storms.is_full(turn.chat_id, rule_id, now):
            await self._storms.pause(turn.chat_id, first.topic, event_of(first))
            turn.end()
            await self.release(rows)  # the store holds those of the rule
            return
        parts = await self._parts(run, now)
        if isinstance(parts, Refused):
            await self._take(run, parts, others=others)
            return
        outcome, topic = await self._delivery.send(
            turn, first.topic, parts[0], lambda: bool(self._late(run))
        )
        if outcome is None:
            await self.release(rows)
            return
        if rule_id and isinstance(outcome, Sent | Doubtful):
            self._storms.sent(turn.chat_id, rule_id, self._clock())
        told = [msgspec.structs.replace(row, topic=topic) for row in run]
        rest = rest_rows(told[0], parts[1:], now) if isinstance(outcome, Sent) else ()
        await self._take(told, outcome, others=others, added=rest)

    async def _parts(self, run: Sequence[OutboxRow], now: int) -> list[Written] | Refused:
        reply_to = await self._fired_message(run)
        reader = self._chats.reader(run[0].chat_id)
        try:
            return written_of(run, reader, now, reply_to)
        except Exception as error:  # noqa: BLE001 - no row may keep those behind it from going
            _LOG.exception("a message cannot be written; outbox row %d", run[0].id)
            return Refused(f"it cannot be written: {error}")

    async def _fired_message(self, run: Sequence[OutboxRow]) -> int | None:
        """The message that told of the episode before, for a later word on it to answer."""
        first = run[0]
        if len(run) > 1 or first.kind is not OutboxKind.ALERT or first.event == Kind.FIRED:
            return None
        rows = await self._store.chat_rows(
            first.chat_id, first.rule_id, first.symbol, first.episode
        )
        told = (
            row.message_id
            for row in rows
            if row.status is OutboxStatus.SENT and row.topic == first.topic and row.id != first.id
        )
        return next((message_id for message_id in told if message_id is not None), None)

    # -- too late --------------------------------------------------------------------------

    def _late(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        now = self._clock()
        max_age = self._max_age + now - self._as_of(rows[0].chat_id, now)
        return [row for row in rows if too_late(row, now, max_age)]

    def _as_of(self, chat_id: int, now: int) -> int:
        """The moment by which a chat's alerts are judged.

        What was in time when a line counted the others does not grow too old behind that line.
        """
        line = self._lines.get(chat_id, now - _BEHIND_LINE)
        return line if now - line < min(_BEHIND_LINE, self._max_age) else now

    async def _late_rows(self, chat_id: int) -> list[OutboxRow]:
        """All alerts of a chat that are too late, whatever is before them in its order.

        At its return the store holds all that was decided.
        """
        while True:
            await self._gathering.over()
            begun, now = self._gathering.begun, self._clock()
            before = self._as_of(chat_id, now) - self._max_age
            rows = await self._store.late_rows(chat_id, now, before)
            if self._gathering.begun == begun:
                return rows

    async def _bury(self, turn: Turn, rows: Sequence[OutboxRow], late: Sequence[OutboxRow]) -> None:
        """Sends the one line instead of all alerts of the chat that are too late.

        They are buried once it has arrived: what is too late by then is all in it, and it says
        what is on at that moment. Until then its outcomes are those of `late`, the leased ones.
        Where none of them is leased, something before them may have arrived and is tried again
        and again: a line that may have arrived waits behind it by itself.
        """
        counted = await self._late_rows(turn.chat_id) or list(late)
        now = self._clock()
        ids = {row.id for row in counted}
        mine = [row for row in rows if row.id in ids]
        others = [row for row in rows if row.id not in ids]
        doubtful = next((row for row in mine if row.doubtful), None)
        reader = self._chats.reader(turn.chat_id)
        written = missed(counted, self._chats.is_on, reader, doubtful)
        outcome, topic = await self._delivery.send(turn, counted[0].topic, written, lambda: False)
        assert outcome is not None  # a line is never too late
        if mine and not isinstance(outcome, Sent):
            await self._take(mine, outcome, others=others)
            return
        if isinstance(outcome, Sent):
            self._note_line(turn.chat_id, now)
        elif not isinstance(outcome, Doubtful | Refused | Unparsable | TopicGone):
            await self._take(others, outcome, others=())
            return
        told_at = self._clock()
        line = line_row(counted, topic, written, told_at)
        chats = self._judged(line, outcome, told_at)
        lines = settled([line], outcome, told_at)
        self.buried += await self._until_written(
            partial(self._store.bury, counted, TOO_LATE, lines)
        )
        await self._settle(released(others), chats)

    def _note_line(self, chat_id: int, now: int) -> None:
        self._lines.pop(chat_id, None)
        self._lines[chat_id] = now
        for other in list(self._lines):
            if now - self._lines[other] < _BEHIND_LINE:
                break
            del self._lines[other]

    # -- outcomes --------------------------------------------------------------------------

    async def _take(
        self,
        run: Sequence[OutboxRow],
        outcome: Outcome,
        *,
        others: Sequence[OutboxRow],
        added: Sequence[OutboxRow] = (),
    ) -> None:
        """Writes back what came of a message, and what it says about its chat."""
        now = self._clock()
        chats = self._judged(run[0], outcome, now)
        await self._settle([*settled(run, outcome, now), *released(others)], chats, added)
        if isinstance(outcome, Moved):
            await self._chats.move(run[0].chat_id, outcome.chat_id)

    def _judged(self, first: OutboxRow, outcome: Outcome, now: int) -> list[ChatRow]:
        """Says what is wrong; the chat as the outcome leaves it, where that changes it."""
        chat_id = first.chat_id
        if isinstance(outcome, Later) and outcome.retry_after is not None:
            not_before = now + round(outcome.retry_after * 1000)
            return [self._changed(chat_id, not_before=not_before)]
        if isinstance(outcome, Never):
            chat = self._changed(chat_id, disabled=outcome.reason)
            self._faults.raised(f"chat {chat_id}", _out_of_reach(chat))
            return [chat]
        if isinstance(outcome, TopicGone):
            _LOG.error("a message that the general topic does not take is lost: %s", outcome.reason)
            text = (
                f"Chat {chat_id} takes no messages in its general topic ({outcome.reason}): those "
                "that belong there, or whose topic is gone, are lost; open it, or name another "
                "topic in the rules file"
            )
            self._faults.raised(f"topic {chat_id} general", text)
        elif isinstance(outcome, Refused | Unparsable):
            _LOG.error("a message is refused and lost: %s", outcome.reason)
            if first.kind is not OutboxKind.NOTICE:  # else the notice of it is refused, and so on
                text = f"A message to chat {chat_id} is lost: {outcome.reason}"
                self._faults.raised(REFUSED, text)
        elif isinstance(outcome, Sent):
            self._faults.cleared(f"chat {chat_id}")
        return []

    def _changed(self, chat_id: int, **changes: object) -> ChatRow:
        chat = msgspec.structs.replace(self._chats.row(chat_id), **changes)
        self._chats.changed(chat)
        return chat

    async def _settle(
        self,
        rows: Sequence[OutboxRow],
        chats: Sequence[ChatRow] = (),
        added: Sequence[OutboxRow] = (),
    ) -> None:
        await self._until_written(partial(self._store.settle, rows, chats, added))

    async def _until_written(self, write: Callable[[], Awaitable[_Result]]) -> _Result:
        """What was sent must not be sent again for want of a record."""
        while True:
            try:
                written = await write()
            except StoreError as error:
                self._faults.raised(DATABASE, str(error))
                await asyncio.sleep(_STORE_PAUSE)
            else:
                self._faults.cleared(DATABASE)
                return written


def _out_of_reach(chat: ChatRow) -> str:
    name = f"{chat.title} ({chat.chat_id})" if chat.title else str(chat.chat_id)
    return (
        f"Chat {name} cannot be written to: {chat.disabled}. Its watches are kept; it is told "
        "again as soon as somebody writes to the bot there."
    )
