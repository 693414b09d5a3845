"""Tells people what the outbox holds: lease, write, send once, settle.

    wake or tick -> lease rows of free chats -> one task per chat: one message
                 -> its outcome is written back -> the chat is free again

The database is the truth: what is lost here is leased again. Nothing here retries a request.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from bot.notify.channel import Channel
from bot.notify.delivery import Delivery, Turn
from bot.notify.gathering import Gathering
from bot.notify.pacing import Limits, Pacing
from bot.notify.port import DATABASE, NO_STORMS, Chats, Faults, Storms
from bot.notify.telling import Surroundings, Teller
from bot.store.port import Store, StoreError
from bot.store.records import OutboxKind, OutboxRow, OutboxStatus

_LOG = logging.getLogger(__name__)
_RELEASE_WITHIN = 0.5  # s
_TRY_EVERY = 1.0  # s between attempts at a server that is down
_LEASE_EVERY = 0.1  # s between leases while what was leased waits for its turn


@dataclass(frozen=True)
class Settings:
    """How the notifier works; durations in ms.

    `concurrency` is of requests that began within the last second, for which few are enough.
    `connections` is with the slow ones: as many as are begun in the 10 s that one may take, so that
    the others go on.

    Nobody else sends what this program has leased, so that a lease need not outlast its request:
    a chat under way is leased from by nobody here, and no second program opens the database. It
    says for how long what is leased may wait for its turn.
    """

    max_age: int = 3_600_000  # an older alert is counted instead of sent
    lease: int = 60_000  # what was leased for half of it and not begun is let go again
    rows: int = 1_000  # leased and not begun; those of one chat may be more
    concurrency: int = 32
    connections: int = 256
    limits: Limits = field(default_factory=Limits)

    @property
    def ahead(self) -> int:
        """How many chats may be leased before their turn: their turn comes within the lease."""
        return max(1, min(self.rows, int(self.limits.overall * self.lease / 4_000)))


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
        self.delivery = Delivery(channel, faults, self._returned)
        self._store = store
        self._faults = faults
        self._clock = clock
        self._settings = settings or Settings()
        self._gathering = Gathering()
        around = Surroundings(store, chats, faults, storms, clock, self._gathering)
        self._teller = Teller(around, self.delivery, self._settings.max_age)
        self._pacing = Pacing(self._settings.limits)
        self._ready: list[list[OutboxRow]] = []  # leased, one chat each, waiting for their turn
        self._under_way: dict[int, asyncio.Task[None]] = {}  # by chat
        self._leasing = asyncio.Lock()
        self._awake = asyncio.Event()
        self._waker: asyncio.Task[None] | None = None
        self._alarms: set[asyncio.TimerHandle] = set()
        self._leased_at = 0.0  # steady s
        self._try_at = 0.0  # the next attempt at a server that is down, steady s
        self._has_returned = False  # the server has; the outbox does not know yet
        self._put_off = False  # a lease, until what is being gathered is all there

    @property
    def buried(self) -> int:
        """How many alerts came too late to be sent."""
        return self._teller.buried

    # -- running ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Learns what an earlier run sent, then listens for `wake` in the running event loop."""
        try:
            await self._recall()
        except StoreError as error:
            self._faults.raised(DATABASE, str(error))
        self._waker = asyncio.create_task(self._listen(), name="notifier")

    def wake(self) -> None:
        """Something was committed: it goes out now, not at the next tick."""
        self._awake.set()

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """What is committed meanwhile belongs together: nothing is leased before it is all there.

        A storm that is stored in parts would else reach each chat in as many messages.
        """
        try:
            with self._gathering.hold():
                yield
        finally:
            if self._put_off:
                self._put_off = False
                self.wake()

    def server_is_back(self) -> None:
        """Somebody else got an answer of the server after it had been out of reach."""
        self.delivery.expect_answers()

    async def drain(self) -> None:
        """Leases what may be sent now and starts sending it; returns without waiting for it."""
        async with self._leasing:
            try:
                await self._hasten()
                await self._lease()
            except StoreError as error:
                self._faults.raised(DATABASE, str(error))
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
                await self._teller.release([row for rows in self._ready for row in rows])
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

    # -- what the server was asked before ----------------------------------------------------

    async def _recall(self) -> None:
        """Takes what an earlier run sent into the pacing: the server has not forgotten it."""
        now, steady = self._clock(), time.monotonic()
        since = now - round(self._pacing.memory * 1000)
        for send in await self._store.recent_sends(since):
            self._pacing.note_counted(send.chat_id, steady - max(now - send.at, 0) / 1000)
        if (await self._store.outbox_counts())[OutboxStatus.UNCERTAIN]:
            self._pacing.note_crash(steady)

    def _returned(self) -> None:
        self._has_returned = True
        self.wake()

    async def _hasten(self) -> None:
        """Nothing waits out the spacings of the time without a server, once there is one."""
        if self._has_returned:
            await self._store.hasten(self._clock())
            self._has_returned = False

    # -- leasing ---------------------------------------------------------------------------

    async def _lease(self) -> None:
        if self._gathering.is_on:
            self._put_off = True
            return
        settings, ready, steady = self._settings, self._ready, time.monotonic()
        if ready and steady < self._leased_at + _LEASE_EVERY:
            return  # their turns come, and the next lease with them
        room = min(settings.ahead - len(ready), settings.rows - sum(map(len, ready)))
        if self.delivery.is_down:  # one chat tries, and its outcome is known before the next does
            room = 0 if ready or self._under_way or steady < self._try_at else 1
            self._try_at = steady + _TRY_EVERY if room else self._try_at
        if room <= 0:
            return
        now, self._leased_at = self._clock(), steady
        waiting = {rows[0].chat_id for rows in ready}
        busy = waiting | self._under_way.keys() | self._pacing.held(steady).keys()
        rows = await self._store.lease(now, now + settings.lease, room, frozenset(busy))
        if len(rows) >= room:  # there may be more
            self._awake.set()
        by_chat: dict[int, list[OutboxRow]] = {}
        for row in rows:
            by_chat.setdefault(row.chat_id, []).append(row)
        ready += by_chat.values()
        ready.sort(key=lambda one: one[0].kind is not OutboxKind.REPLY)

    async def _begin(self) -> None:
        """Starts chats in order as far as the overall limit and the connections allow."""
        while self._ready and self._is_connection_free(now := time.monotonic()):
            free_at = self._pacing.overall_time(now)
            if free_at > now:
                self._wake_at(free_at)
                return
            rows = self._ready.pop(0)
            if self._clock() > rows[0].lease_until - self._settings.lease // 2:
                await self._teller.release(rows)
                continue
            chat_id = rows[0].chat_id
            self._pacing.note_begun(chat_id, now)
            turn = Turn(self._pacing, chat_id)
            task = asyncio.create_task(self._teller.tell(turn, rows), name=f"tell {chat_id}")
            self._under_way[chat_id] = task
            task.add_done_callback(partial(self._told, chat_id))

    def _is_connection_free(self, now: float) -> bool:
        """The end of a request wakes where none is; where all become slow, the next tick does."""
        if self.delivery.is_down:
            return not self._under_way
        settings = self._settings
        if len(self._under_way) >= settings.connections:
            return False
        return self._pacing.quick(now) < settings.concurrency

    def _told(self, chat_id: int, task: asyncio.Task[None]) -> None:
        del self._under_way[chat_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("telling a chat failed; its rows are leased again later", exc_info=error)
        if self._ready:
            self._awake.set()
        self._wake_at(self._pacing.chat_time(chat_id))
