"""Telegram out of reach for too long: what waits for it is copied to the second channel.

A copy is one more way to be told. The rows stay in the outbox, and go to Telegram when it returns.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import msgspec

from bot.app import texts
from bot.app.live import Live
from bot.app.sending_clock import SENDING_AT
from bot.chat.world import SecondView
from bot.notify.batch import too_late
from bot.notify.copies import due, token, wants, write_copies, write_over
from bot.notify.item import Reader
from bot.notify.port import TOKEN, UNREACHABLE
from bot.notify.second_entries import ADMINS, Entry
from bot.rules.rule import Target
from bot.store.port import Store, StoreError
from bot.store.records import Copied, OutboxRow

SECOND = "second_channel"  # the fact that keeps an outage over a restart
NAMES = "second channel names"  # the fault of chats that the rules file does not name
MOST = 5_000  # rows looked at
_SPACING = 3.0  # s between two messages to a service
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0  # s between attempts that fail
_log = logging.getLogger(__name__)


class Sender(Protocol):
    """The part of `SecondChannel` that is needed."""

    async def send(self, position: int, text: str) -> str: ...


class Outage(msgspec.Struct, frozen=True):
    """What is kept over a restart.

    `since`: when Telegram last answered, 0 where it does; `told`: whom the copies went to.
    """

    since: int = 0
    told: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()  # names that the rules file lacks, as the admins were told


@dataclass(frozen=True, slots=True)
class CopyingSettings:
    """For whom, as FALLBACK_URLS says; after how long (ms), and what is too old (ms)."""

    entries: tuple[Entry, ...] = ()
    after: int = 300_000
    max_age: int = 3_600_000


@dataclass(slots=True)
class _Service:
    """One entry's state. Times are monotonic seconds."""

    failures: int = 0
    next_at: float = 0.0
    work: asyncio.Task[None] | None = None
    told: bool = False  # of the present outage

    @property
    def is_free(self) -> bool:
        return (self.work is None or self.work.done()) and time.monotonic() >= self.next_at


class Copying:
    """Looks once a second whether Telegram is out of reach, and what is to be copied.

    `reached_age` tells how many seconds ago Telegram took a message or gave updates, None where
    it has not since the start.
    """

    def __init__(
        self,
        store: Store,
        live: Live,
        sender: Sender,
        settings: CopyingSettings,
        reached_age: Callable[[], float | None],
    ) -> None:
        self.results: Counter[str] = Counter()  # of attempts: ok, failed
        self._store = store
        self._live = live
        self._desk = live.desk
        self._sender = sender
        self._settings = settings
        self._reached_age = reached_age
        self._began = live.wall()
        self._since = 0
        self._services = [_Service() for _ in settings.entries]
        self._delivered: set[tuple[int, str]] = set()  # (service, token), of the present outage
        self._tried: set[tuple[int, str]] = set()
        self._begun: set[int] = set()  # rows that this run marked as begun
        self._copied: set[str] = set()
        self._unknown: tuple[str, ...] = ()

    def restore(self, facts: Mapping[str, str]) -> None:
        """Goes on with the outage that an earlier run left, unless that run ended long ago."""
        outage = msgspec.json.decode(facts.get(SECOND) or "{}", type=Outage)
        for entry, service in zip(self._settings.entries, self._services, strict=True):
            service.told = entry.chat in outage.told
        self._unknown = outage.unknown
        if self._unknown:
            text = partial(texts.second_channel_unknown, self._unknown)
            self._live.faults.begin(NAMES, text, self._live.wall())  # the admins have its notices
        if self._live.wall() - int(facts.get(SENDING_AT, "0")) < self._settings.after:
            self._since = outage.since

    @property
    def view(self) -> SecondView:
        failing = [at for at, service in enumerate(self._services, 1) if service.failures]
        in_use = any(service.told for service in self._services)
        return SecondView(in_use, len(self._copied), tuple(failing))

    async def look(self) -> None:
        """One look; what it starts goes on beside."""
        await self._say_unknown()
        try:
            if any(map(self._live.faults.is_active, (UNREACHABLE, TOKEN))):
                await self._away()
            elif self._reached_age() is not None:
                await self._back()
        except StoreError as error:
            _log.warning("nothing can be copied to the second channel: %s", error)

    async def close(self) -> None:
        """Gives up what is under way: the next start finds it as begun."""
        tasks = [service.work for service in self._services if service.work is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- away ------------------------------------------------------------------------------

    async def _away(self) -> None:
        now = self._live.wall()
        if not self._since:
            age = self._reached_age()
            self._since = self._began if age is None else now - round(age * 1000)
            await self._keep()
        if now - self._since < self._settings.after:
            return
        routes, admins = self._routes(), self._desk.admins
        chats = {to.chat_id for to in routes.values() if to is not None}
        chats |= admins if None in routes.values() else set()
        found = await self._store.uncopied(sorted(chats), MOST)
        rows = [row for row in found if not too_late(row, now, self._settings.max_age)]
        # Copied to all, wanted by nobody, or too late: it is not looked at again.
        waiting = {row.id for row in rows if not self._is_delivered(row)}
        if done := [row.id for row in found if row.id not in waiting]:
            await self._store.mark_copied(done, Copied.DONE)
        for at, to in routes.items():
            fresh = [row for row in rows if (at, token(row, to)) not in self._delivered]
            mine = due(fresh, to, admins)
            if mine and self._services[at].is_free:
                self._start(at, self._copy(at, mine, rows))

    async def _copy(self, at: int, mine: Sequence[OutboxRow], rows: Sequence[OutboxRow]) -> None:
        """Tells one service of its rows. `rows` are all that wait, whosoever they are."""
        to = self._routes().get(at)
        tokens = {(at, token(row, to)) for row in mine}
        repeated = {
            row.id
            for row in mine
            if (at, token(row, to)) in self._tried
            or (row.copied is Copied.BEGUN and row.id not in self._begun)
        }
        begun = [row.id for row in mine]
        await self._store.mark_copied(begun, Copied.BEGUN)
        self._begun.update(begun)
        self._tried |= tokens
        text = write_copies(mine, repeated, self._reader(to), self._since, self._live.wall())
        if not await self._send(at, text):
            return
        self._delivered |= tokens
        self._copied |= {key for _, key in tokens}
        if not self._services[at].told:
            self._services[at].told = True
            await self._keep()
        done = [row.id for row in rows if self._is_delivered(row)]
        await self._store.mark_copied(done, Copied.DONE)

    def _is_delivered(self, row: OutboxRow) -> bool:
        """Everybody who is to have it has it."""
        admins = self._desk.admins
        wanted = [(at, to) for at, to in self._routes().items() if wants(row, to, admins)]
        return all((at, token(row, to)) in self._delivered for at, to in wanted)

    # -- back ------------------------------------------------------------------------------

    async def _back(self) -> None:
        if self._since:
            self._since = 0
            self._delivered.clear()
            self._tried.clear()
            self._begun.clear()
            await self._keep()
        routes = self._routes()
        for at, service in enumerate(self._services):
            if service.told and service.is_free:
                self._start(at, self._say_over(at, self._reader(routes.get(at))))

    async def _say_over(self, at: int, reader: Reader) -> None:
        if await self._send(at, write_over(reader)):
            self._services[at].told = False
            await self._keep()

    # -- both ------------------------------------------------------------------------------

    def _start(self, at: int, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"second channel {at + 1}")
        self._services[at].work = task
        task.add_done_callback(partial(_ended, at + 1))

    async def _send(self, at: int, text: str) -> bool:
        service = self._services[at]
        problem = await self._sender.send(at, text)
        self.results["failed" if problem else "ok"] += 1
        if problem:
            pause = min(_FIRST_PAUSE * 2 ** min(service.failures, 10), _LONGEST_PAUSE)
            service.failures += 1
            if service.failures == 1:
                _log.warning(
                    "The second channel fails (entry %d of FALLBACK_URLS): %s; it is tried again",
                    at + 1, problem, extra={"action": "second_channel_failed"},
                )  # fmt: skip
        else:
            pause = _SPACING
            if service.failures:
                _log.info("The second channel works again (entry %d of FALLBACK_URLS)", at + 1)
            service.failures = 0
        service.next_at = time.monotonic() + pause
        return not problem

    def _routes(self) -> dict[int, Target | None]:
        """Each entry's chat by the entry's position; None: the admins. Unknown names are out."""
        found: dict[int, Target | None] = {}
        for at, entry in enumerate(self._settings.entries):
            if entry.chat == ADMINS:
                found[at] = None
            elif (target := self._desk.named(entry.chat)) is not None:
                found[at] = target
        return found

    def _reader(self, to: Target | None) -> Reader:
        if to is not None:
            return self._desk.reader(to.chat_id)
        admins = self._desk.admins
        return self._desk.reader(min(admins)) if admins else Reader()

    async def _say_unknown(self) -> None:
        """The names that the rules file does not have, once, and when they are all known."""
        routes = self._routes()
        entries = enumerate(self._settings.entries)
        unknown = tuple(dict.fromkeys(entry.chat for at, entry in entries if at not in routes))
        if unknown == self._unknown:
            return
        self._unknown = unknown
        if unknown:
            text = partial(texts.second_channel_unknown, unknown)
            await self._live.fault(NAMES, text, again=True)
        else:
            await self._live.fault_over(NAMES, texts.second_channel_known)
        await self._keep()

    async def _keep(self) -> None:
        chats = zip(self._settings.entries, self._services, strict=True)
        told = tuple(dict.fromkeys(entry.chat for entry, service in chats if service.told))
        outage = Outage(self._since, told, self._unknown)
        await self._live.note([], {SECOND: msgspec.json.encode(outage).decode()})


def _ended(number: int, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("copying to the second channel failed (entry %d)", number, exc_info=error)
