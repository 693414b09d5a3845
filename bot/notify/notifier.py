"""Tells people what the outbox holds: lease, write, send once, settle.

    wake or tick -> lease rows of free chats -> one task per chat: its messages one by one
                 -> each outcome is written back -> the chat is free again

The database is the truth: what is lost here is leased again. Nothing here retries a request.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

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
    Sent,
    TokenRefused,
    TopicGone,
    Unparsable,
    Written,
)
from bot.notify.item import Reader
from bot.notify.message import plain, write_missed
from bot.notify.pacing import Limits, Pacing
from bot.notify.payload import event_of, notice_row
from bot.notify.settling import dead, released, settled
from bot.rules.rule import Target
from bot.store.port import Store, StoreError
from bot.store.records import ChatRow, Commit, OutboxKind, OutboxRow, OutboxStatus

_LOG = logging.getLogger(__name__)
UNREACHABLE = "telegram"  # the kinds of fault that are told
TOKEN = "token"  # noqa: S105 - a kind of fault, no secret
DATABASE = "database"
_PATIENCE = 3  # failed attempts in a row before the server counts as unreachable


class Chats(Protocol):
    """What the notifier asks and tells about chats; the app keeps them."""

    def reader(self, chat_id: int) -> Reader:
        """In which language and zone to write to a chat."""

    def row(self, chat_id: int) -> ChatRow:
        """The chat as it is now, a fresh row for one that is not known."""

    def changed(self, row: ChatRow) -> None:
        """A chat as an outcome left it; the notifier stores it."""

    def moved(self, old: int, new: int) -> None:
        """A group became a supergroup; the store has followed."""


class Faults(Protocol):
    """Where faults go. Each is raised again and again while it lasts; telling once is theirs."""

    def raised(self, kind: str, text: str) -> None: ...

    def cleared(self, kind: str) -> None: ...


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

    def __init__(
        self,
        store: Store,
        channel: Channel,
        chats: Chats,
        faults: Faults,
        clock: Callable[[], int],
        settings: Settings | None = None,
    ) -> None:
        self.outcomes: Counter[str] = Counter()  # by class name, and "dead" rows
        self._store = store
        self._channel = channel
        self._chats = chats
        self._faults = faults
        self._clock = clock
        self._settings = settings or Settings()
        self._pacing = Pacing(self._settings.limits)
        self._ready: list[list[OutboxRow]] = []  # leased, one chat each, waiting for their turn
        self._under_way: dict[int, asyncio.Task[None]] = {}  # by chat
        self._leasing = asyncio.Lock()
        self._awake = asyncio.Event()
        self._waker: asyncio.Task[None] | None = None
        self._alarms: set[asyncio.TimerHandle] = set()
        self._failures = 0

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
            await self.drain()

    def _wake_at(self, moment: float) -> None:
        """Drains at a moment of the steady clock."""

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
                if free_at != float("inf"):  # else the end of a request rings
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
            task.add_done_callback(lambda _, chat_id=chat_id: self._told(chat_id))

    def _told(self, chat_id: int) -> None:
        task = self._under_way.pop(chat_id)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("telling a chat failed; its rows are leased again later", exc_info=error)
        self._awake.set()
        now = time.monotonic()
        self._wake_at(self._pacing.next_time(chat_id, now))

    async def _release(self, rows: Sequence[OutboxRow]) -> None:
        if rows:
            await self._settle(released(rows))

    # -- one chat --------------------------------------------------------------------------

    async def _tell(self, chat_id: int, rows: Sequence[OutboxRow]) -> None:
        """Sends a chat's messages one by one until one of them does not arrive."""
        turn = _Turn(self._pacing, chat_id)
        try:
            rest = await self._bury(rows)
            for run in runs(rest):
                outcome = await self._send_run(turn, run)
                await self._take(chat_id, run, outcome)
                rest = [row for row in rest if row not in run]
                if not isinstance(outcome, Sent) and _stops(outcome):
                    await self._release(rest)
                    return
        finally:
            turn.end()

    async def _bury(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """The rows that are still worth sending; of the others the chat gets one line."""
        now, max_age = self._clock(), self._settings.max_age
        late = [row for row in rows if too_late(row, now, max_age)]
        if late:
            first = late[0]
            written = write_missed(
                [event_of(row) for row in late], self._chats.reader(first.chat_id)
            )
            target = Target(first.chat_id, first.topic)
            notice = notice_row(f"missed {first.key}", target, written, now)
            await self._store.commit(Commit(outbox=(notice,)))
            await self._settle(dead(late, "too late"))
            self.outcomes["dead"] += len(late)
        return [row for row in rows if row not in late]

    async def _send_run(self, turn: "_Turn", run: Sequence[OutboxRow]) -> Outcome:
        """One message, which may need several parts; the outcome is the whole message's."""
        first = run[0]
        reply_to = await self._fired_message(run)
        parts = written_of(run, self._chats.reader(first.chat_id), self._clock(), reply_to)
        topic, message_id = first.topic, 0
        for position, part in enumerate(parts):
            outcome, topic = await self._send_part(turn, topic, part)
            if not isinstance(outcome, Sent):
                if position == 0 or _stops_chat(outcome):
                    return outcome
                return Doubtful(f"part {position + 1} of {len(parts)} did not arrive")
            message_id = message_id or outcome.message_id
        return Sent(message_id)

    async def _send_part(
        self, turn: "_Turn", topic: int | None, written: Written
    ) -> tuple[Outcome, int | None]:
        """One request, and again at once where the server names what to change about it."""
        outcome = await self._request(turn, topic, written)
        if isinstance(outcome, TopicGone) and topic is not None:
            topic = None
            outcome = await self._request(turn, topic, written)
        if isinstance(outcome, Unparsable):
            _LOG.error("markup was refused; sent as plain text: %s", outcome.reason)
            outcome = await self._request(turn, topic, plain(written))
        return outcome, topic

    async def _request(self, turn: "_Turn", topic: int | None, written: Written) -> Outcome:
        await turn.begin()
        try:
            outcome = await self._channel.send(turn.chat_id, topic, written)
        except Exception as error:  # a channel should not raise, but a message may not be lost
            _LOG.exception("the channel failed")
            outcome = Doubtful(f"{type(error).__name__}: {error}")
        finally:
            turn.end()
        self.outcomes[type(outcome).__name__] += 1
        self._judge(outcome)
        return outcome

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
        if isinstance(outcome, Never):
            changed.append(
                msgspec.structs.replace(self._chats.row(chat_id), disabled=outcome.reason)
            )
            self._faults.raised(f"chat {chat_id}", _out_of_reach(changed[0]))
        elif isinstance(outcome, Later) and outcome.retry_after is not None:
            self._pacing.hold(chat_id, time.monotonic() + outcome.retry_after)
            not_before = now + round(outcome.retry_after * 1000)
            changed.append(msgspec.structs.replace(self._chats.row(chat_id), not_before=not_before))
        for row in changed:
            self._chats.changed(row)
        await self._settle(settled(run, outcome, now), changed)
        if isinstance(outcome, Moved):
            await self._store.move_chat(chat_id, outcome.chat_id)
            self._chats.moved(chat_id, outcome.chat_id)

    async def _settle(self, rows: Sequence[OutboxRow], chats: Sequence[ChatRow] = ()) -> None:
        """Until it is written: what was sent must not be sent again for want of a record."""
        while True:
            try:
                await self._store.settle(rows, chats)
            except StoreError as error:
                self._faults.raised(DATABASE, str(error))
                await asyncio.sleep(1.0)
            else:
                return

    def _judge(self, outcome: Outcome) -> None:
        """Whether the server itself is to blame."""
        if isinstance(outcome, TokenRefused):
            self._faults.raised(TOKEN, f"Telegram refuses the token: {outcome.reason}")
        elif isinstance(outcome, Doubtful) or (
            isinstance(outcome, Later) and outcome.retry_after is None
        ):
            self._failures += 1
            if self._failures >= _PATIENCE:
                self._faults.raised(UNREACHABLE, outcome.reason)
        else:
            self._failures = 0
            self._faults.cleared(UNREACHABLE)
            self._faults.cleared(TOKEN)


class _Turn:
    """A chat's place in the pacing; the first request's is taken before the turn begins."""

    def __init__(self, pacing: Pacing, chat_id: int) -> None:
        self.chat_id = chat_id
        self._pacing = pacing
        self._taken = True
        self._used = False

    async def begin(self) -> None:
        """Waits until a request may go out."""
        if self._taken and not self._used:
            self._used = True
            return
        while (at := self._pacing.next_time(self.chat_id, now := time.monotonic())) > now:
            await asyncio.sleep(min(at - now, 0.05))
        self._pacing.note_begun(self.chat_id)
        self._taken = self._used = True

    def end(self) -> None:
        """The request has ended, or none was made."""
        if self._taken:
            self._pacing.note_sent(self.chat_id, time.monotonic())
        self._taken = self._used = False


def _stops_chat(outcome: Outcome) -> bool:
    """Nothing else of this chat can be sent now."""
    return isinstance(outcome, Never | Moved | TokenRefused)


def _stops(outcome: Outcome) -> bool:
    """The chat's later messages must wait for this one."""
    return _stops_chat(outcome) or isinstance(outcome, Later | Doubtful)


def _out_of_reach(chat: ChatRow) -> str:
    name = f"{chat.title} ({chat.chat_id})" if chat.title else str(chat.chat_id)
    return (
        f"Chat {name} cannot be written to: {chat.disabled}. Its watches are kept; it is told "
        "again as soon as somebody writes to the bot there."
    )
