"""Tells people what the outbox holds: lease, write, send once, settle.

    wake or tick -> lease rows of free chats -> one task per chat: its messages one by one
                 -> each outcome is written back -> the chat is free again

The database is the truth: what is lost here is leased again. Nothing here retries a request.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from bot.alerts.lifecycle import Kind
from bot.notify.batch import runs, too_late, written_of
from bot.notify.channel import (
    Channel,
    Doubtful,
    Later,
    Moved,
    Never,
    Outcome,
    Refused,
    Sent,
    Unparsable,
)
from bot.notify.delivery import Delivery, Turn, keeps_away
from bot.notify.message import write_missed
from bot.notify.pacing import Limits, Pacing
from bot.notify.payload import event_of, notice_row
from bot.notify.port import DATABASE, NO_STORMS, REFUSED, Chats, Faults, Storms
from bot.notify.settling import dead, released, settled
from bot.rules.rule import Target
from bot.store.port import Store, StoreError
from bot.store.records import ChatRow, Commit, OutboxKind, OutboxRow, OutboxStatus

_LOG = logging.getLogger(__name__)
_RELEASE_WITHIN = 0.5  # s


@dataclass(frozen=True)
class Settings:
    """How the notifier works; durations in ms."""

    max_age: int = 3_600_000  # an older alert is counted instead of sent
    lease: int = 60_000  # a row leased for longer may be sent by somebody else
    rows: int = 1_000  # leased at a time
    concurrency: int = 32  # requests under way
    limits: Limits = field(default_factory=Limits)


class Notifier:
    """Drains a store's outbox into a channel. `clock` gives epoch ms, as rows are dated."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is a neighbour of its own
        self,
        store: Store,
        channel: Channel,
        chats: Chats,
        faults: Faults,
        clock: Callable[[], int],
        settings: Settings | None = None,
        storms: Storms = NO_STORMS,
    ) -> None:
        self.delivery = Delivery(channel, faults)
        self._store = store
        self._chats = chats
        self._faults = faults
        self._clock = clock
        self._settings = settings or Settings()
        self._storms = storms
        self._pacing = Pacing(self._settings.limits)
        self._ready: list[list[OutboxRow]] = []  # leased, one chat each, waiting for their turn
        self._under_way: dict[int, asyncio.Task[None]] = {}  # by chat
        self._leasing = asyncio.Lock()
        self._awake = asyncio.Event()
        self._waker: asyncio.Task[None] | None = None
        self._alarms: set[asyncio.TimerHandle] = set()
        self.buried = 0  # alerts that grew too old to be sent

    # -- running ---------------------------------------------------------------------------

    def start(self) -> None:
        """Listens for `wake` in the running event loop."""
        self._waker = asyncio.create_task(self._listen(), name="notifier")

    def wake(self) -> None:
        """Something was committed: it goes out now, not at the next tick."""
        self._awake.set()

    async def drain(self) -> None:
        """Leases what may be sent now and starts sending it; returns without waiting for it."""
        async with self._leasing:
            await self._lease()
            await self._begin()

    async def stop(self, timeout: float) -> None:  # noqa: ASYNC109 - the bound is the point
        """Sends what is due for at most so many seconds, then leaves the rest to the next start."""
        if self._waker is not None:
            self._waker.cancel()
            await asyncio.gather(self._waker, return_exceptions=True)
        try:
            async with asyncio.timeout(timeout):
                await self._finish()
        except TimeoutError:
            _LOG.warning("stopped with messages unsent; the next start sends them")
        for alarm in self._alarms:
            alarm.cancel()
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):  # what stays leased is taken back at the next start
            async with asyncio.timeout(_RELEASE_WITHIN):
                await self._release([row for rows in self._ready for row in rows])
        self._ready.clear()

    async def _finish(self) -> None:
        await self.drain()
        while self._under_way or self._ready:
            if self._under_way:
                await asyncio.wait(
                    self._under_way.values(), return_when=asyncio.FIRST_COMPLETED, timeout=0.1
                )
            else:
                await asyncio.sleep(0.02)
            await self.drain()

    async def _listen(self) -> None:
        while True:
            await self._awake.wait()
            self._awake.clear()
            try:
                await self.drain()
            except Exception:  # noqa: BLE001 - a fault of one drain must not end all later ones
                _LOG.exception("draining the outbox failed; the next tick tries again")

    def _wake_at(self, moment: float) -> None:
        """Drains at a moment of the steady clock; at infinity the end of a request does."""
        if moment == math.inf:
            return

        def ring() -> None:
            self._alarms.discard(alarm)
            self._awake.set()

        delay = max(0.0, moment - time.monotonic())
        alarm = asyncio.get_running_loop().call_later(delay, ring)
        self._alarms.add(alarm)

    # -- leasing ---------------------------------------------------------------------------

    async def _lease(self) -> None:
        room = self._settings.rows - sum(map(len, self._ready))
        if room <= 0:
            return
        now = self._clock()
        waiting = {rows[0].chat_id for rows in self._ready}
        busy = waiting | self._under_way.keys() | self._pacing.held(time.monotonic()).keys()
        try:
            rows = await self._store.lease(now, now + self._settings.lease, room, frozenset(busy))
        except StoreError as error:
            self._faults.raised(DATABASE, str(error))
            return
        if len(rows) == room:  # there may be more
            self._awake.set()
        by_chat: dict[int, list[OutboxRow]] = {}
        for row in rows:
            by_chat.setdefault(row.chat_id, []).append(row)
        self._ready += by_chat.values()
        self._ready.sort(key=lambda one: all(row.kind is not OutboxKind.REPLY for row in one))

    async def _begin(self) -> None:
        """Starts chats in order as far as the overall limit and the connections allow."""
        while self._ready and len(self._under_way) < self._settings.concurrency:
            now = time.monotonic()
            free_at = self._pacing.overall_time(now)
            if free_at > now:
                self._wake_at(free_at)
                return
            rows = self._ready.pop(0)
            if self._clock() > rows[0].lease_until - self._settings.lease // 2:
                await self._release(rows)  # too little of the lease is left to send and settle
                continue
            chat_id = rows[0].chat_id
            self._pacing.note_begun(chat_id)
            task = asyncio.create_task(self._tell(chat_id, rows), name=f"tell {chat_id}")
            self._under_way[chat_id] = task
            task.add_done_callback(partial(self._told, chat_id))

    def _told(self, chat_id: int, task: asyncio.Task[None]) -> None:
        del self._under_way[chat_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("telling a chat failed; its rows are leased again later", exc_info=error)
        if self._ready:
            self._awake.set()
        self._wake_at(self._pacing.chat_time(chat_id))

    async def _release(self, rows: Sequence[OutboxRow]) -> None:
        if rows:
            await self._settle(released(rows))

    # -- one chat --------------------------------------------------------------------------

    async def _tell(self, chat_id: int, rows: Sequence[OutboxRow]) -> None:
        """Sends a chat's messages one by one until one of them has to wait."""
        turn = Turn(self._pacing, chat_id)
        waiting = list(rows)
        try:
            waiting = await self._bury(waiting)
            for run in runs(waiting):
                outcome, sent = await self._send_run(turn, run)
                waiting = [row for row in waiting if row not in run]
                await self._take(chat_id, sent, outcome)
                if keeps_away(outcome) or isinstance(outcome, Later | Doubtful):
                    break
        except StoreError as error:
            self._faults.raised(DATABASE, str(error))
        finally:
            turn.end()
        await self._release(waiting)

    async def _bury(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """The rows that are still worth sending; of the others the chat gets one line."""
        now, max_age = self._clock(), self._settings.max_age
        late = [row for row in rows if too_late(row, now, max_age)]
        alerts = [row for row in late if row.kind is OutboxKind.ALERT]
        if alerts:
            await self._store.commit(Commit(outbox=(self._missed(alerts, now),)))
            self.buried += len(alerts)
        if late:
            await self._settle(dead(late, "too late"))
        return [row for row in rows if row not in late]

    def _missed(self, alerts: Sequence[OutboxRow], now: int) -> OutboxRow:
        first = alerts[0]
        reader = self._chats.reader(first.chat_id)
        written = write_missed([event_of(row) for row in alerts], reader)
        target = Target(first.chat_id, first.topic)
        return notice_row(f"missed {first.key}", target, written, now)

    async def _send_run(
        self, turn: Turn, run: Sequence[OutboxRow]
    ) -> tuple[Outcome, Sequence[OutboxRow]]:
        """One message, and its rows with the topic that it went to."""
        first = run[0]
        reply_to = await self._fired_message(run)
        reader = self._chats.reader(first.chat_id)
        try:
            parts = written_of(run, reader, self._clock(), reply_to)
        except Exception as error:  # noqa: BLE001 - no row may keep those behind it from going
            _LOG.exception("a message cannot be written; outbox row %d", first.id)
            return Refused(f"it cannot be written: {error}"), run
        outcome, topic = await self.delivery.send(turn, first.topic, parts)
        return outcome, [msgspec.structs.replace(row, topic=topic) for row in run]

    async def _fired_message(self, run: Sequence[OutboxRow]) -> int | None:
        """The message that told of the episode before, for a later word on it to answer."""
        first = run[0]
        if len(run) > 1 or first.kind is not OutboxKind.ALERT:
            return None
        if event_of(first).kind is Kind.FIRED:
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

    # -- outcomes --------------------------------------------------------------------------

    async def _take(self, chat_id: int, run: Sequence[OutboxRow], outcome: Outcome) -> None:
        """Writes back what came of a message, and what it says about its chat."""
        now = self._clock()
        changed: list[ChatRow] = []
        if isinstance(outcome, Later) and outcome.retry_after is not None:
            not_before = now + round(outcome.retry_after * 1000)
            changed.append(self._changed(chat_id, not_before=not_before))
        elif isinstance(outcome, Never):
            changed.append(self._changed(chat_id, disabled=outcome.reason))
            self._faults.raised(f"chat {chat_id}", _out_of_reach(changed[0]))
        elif isinstance(outcome, Refused | Unparsable):
            _LOG.error("a message is refused and lost: %s", outcome.reason)
            if run[0].kind is not OutboxKind.NOTICE:  # else the notice of it is refused, and so on
                text = f"A message to chat {chat_id} is lost: {outcome.reason}"
                self._faults.raised(REFUSED, text)
        elif isinstance(outcome, Sent):
            self._faults.cleared(f"chat {chat_id}")
        await self._settle(settled(run, outcome, now), changed)
        if isinstance(outcome, Moved):
            await self._chats.move(chat_id, outcome.chat_id)

    def _changed(self, chat_id: int, **changes: object) -> ChatRow:
        chat = msgspec.structs.replace(self._chats.row(chat_id), **changes)
        self._chats.changed(chat)
        return chat

    async def _settle(self, rows: Sequence[OutboxRow], chats: Sequence[ChatRow] = ()) -> None:
        """Until it is written: what was sent must not be sent again for want of a record."""
        while True:
            try:
                await self._store.settle(rows, chats)
            except StoreError as error:
                self._faults.raised(DATABASE, str(error))
                await asyncio.sleep(1.0)
            else:
                self._faults.cleared(DATABASE)
                return


def _out_of_reach(chat: ChatRow) -> str:
    name = f"{chat.title} ({chat.chat_id})" if chat.title else str(chat.chat_id)
    return (
        f"Chat {name} cannot be written to: {chat.disabled}. Its watches are kept; it is told "
        "again as soon as somebody writes to the bot there."
    )
