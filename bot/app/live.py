"""The engine and its record, kept in step: one decision, one transaction, then the sending.

Whatever changes the engine or the store goes through here, one at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from bot.alerts.changes import Changes, Ended
from bot.alerts.engine import Engine
from bot.alerts.event import Event
from bot.alerts.lifecycle import Phase
from bot.app import texts
from bot.app.desk import Desk
from bot.app.draft import Draft
from bot.app.faults import Faults, Text
from bot.app.followup import ended_rows, still_on
from bot.chat.answer import Answer
from bot.chat.request import Request
from bot.locale import translator
from bot.market.catalog import Catalog
from bot.market.tick import Tick
from bot.notify.channel import Written
from bot.notify.payload import notice_row, outbox_row_for
from bot.ops.metrics import Metrics
from bot.rules.book import Book
from bot.rules.rule import Target
from bot.store.port import Store, StoreError
from bot.store.records import ChatRow, Commit, OutboxRow

ALIVE_AT = "alive_at"  # the fact that says when the program last decided something
ADMINS = "admins"  # the fact with the claimed admins, comma-separated
CLAIM_CODE = "claim_code"  # the fact with the one-time code of a start without admins
DATABASE = "database"  # the fault of a store that cannot write


@dataclass(frozen=True, slots=True)
class Parts:
    """What is kept in step."""

    engine: Engine
    store: Store
    desk: Desk
    faults: Faults
    metrics: Metrics


class Live:
    """Takes ticks, time, commands, rules and catalogs; records what follows; wakes the notifier."""

    def __init__(
        self,
        parts: Parts,
        *,
        now: Callable[[], int],
        wall: Callable[[], int],
        wake: Callable[[], None],
        say_unrecorded: Callable[[OutboxRow], Awaitable[None]],
    ) -> None:
        self.engine = parts.engine
        self.desk = parts.desk
        self.faults = parts.faults
        self._store = parts.store
        self._metrics = parts.metrics
        self.now = now  # the venue's clock, ms: rules, mutes, watches
        self.wall = wall  # this machine's clock, ms: what waits for being sent
        self._wake = wake
        self._say_unrecorded = say_unrecorded
        self._draft = Draft()
        self._lock = asyncio.Lock()
        self._to_mark: list[tuple[Ended, tuple[Target, ...]]] = []

    async def take(self, ticks: Sequence[Tick]) -> None:
        """Decides on a frame."""
        async with self._lock:
            self._note(self.engine.on_frame(ticks))
            await self._record()

    async def advance(self, now: int, *, everything: bool = False) -> None:
        """Lets time pass; `everything` also stores what a crash may cost (peaks, the heartbeat)."""
        async with self._lock:
            self._note(self.engine.advance(now))
            if everything:
                self._collect(self.engine.changes(everything=True))
                self._draft.add_fact(ALIVE_AT, str(self.engine.clock))
            await self._record()

    async def replace_rules(
        self, book: Book, facts: dict[str, str], notices: Iterable[OutboxRow] = ()
    ) -> None:
        """Swaps the book; the facts and notices about it go into the same transaction."""
        async with self._lock:
            self._swap(book)
            for name, value in facts.items():
                self._draft.add_fact(name, value)
            self._draft.add_rows(notices)
            await self._record()

    async def replace_catalog(self, catalog: Catalog, facts: dict[str, str]) -> None:
        async with self._lock:
            self.engine.replace_catalog(catalog)
            self._collect(self.engine.changes())
            for name, value in facts.items():
                self._draft.add_fact(name, value)
            await self._record()

    async def note(self, rows: Iterable[OutboxRow], facts: dict[str, str] | None = None) -> None:
        """Records notices and facts of the program's own."""
        async with self._lock:
            self._draft.add_rows(rows)
            for name, value in (facts or {}).items():
                self._draft.add_fact(name, value)
            await self._record()

    async def fault(self, kind: str, text: Text) -> None:
        await self.note(self.faults.begin(kind, text, self.wall()))

    async def fault_over(self, kind: str, text: Text) -> None:
        await self.note(self.faults.end(kind, text, self.wall()))

    async def end_mutes(self) -> None:
        """Ends the mutes whose time has come; each chat is told once what is still on."""
        async with self._lock:
            now = self.now()
            over = [row for row in self.desk.chats.values() if 0 < row.muted_until <= now]
            for row in over:
                ended = msgspec.structs.replace(row, muted_until=0)
                commit = Commit(
                    chats=(ended,), outbox=(self._heard_nothing(ended, texts.mute_over),)
                )
                try:
                    await self._store.commit(commit)
                except StoreError:
                    return  # the mute ends when the store can say so
                self.desk.chats[row.chat_id] = ended
        if over:
            self._wake()

    async def apply(self, request: Request, answer: Answer) -> None:
        """Commits the effects of an update with its id, once, then lets the engine follow.

        Raises:
            StoreError: nothing was committed; the update is to be handled again.
        """
        async with self._lock:
            commit = answer.commit(request, self.wall(), self._claim(answer))
            if (await self._store.commit(commit)).applied:
                await self._follow(request, answer)
        self._wake()

    def _heard_nothing(self, chat: ChatRow, head: Text) -> OutboxRow:
        """Tells a chat that was muted or out of reach what is still on."""
        _ = translator(self.desk.reader(chat.chat_id).language)
        alerts = still_on(self.engine, self.desk, chat.chat_id)
        text = head(_) + " " + texts.still_on(alerts, self.now(), _)
        wall = self.wall()
        return notice_row(f"again:{wall}", Target(chat.chat_id), Written(text), wall)

    def _claim(self, answer: Answer) -> dict[str, str]:
        if answer.claim is None:
            return {}
        claimed = sorted({*self.desk.claimed_admins, answer.claim})
        return {ADMINS: ",".join(map(str, claimed)), CLAIM_CODE: ""}

    async def _follow(self, request: Request, answer: Answer) -> None:
        """What was committed becomes true here."""
        if answer.claim is not None:
            self.desk.claimed_admins |= {answer.claim}
            self.desk.claim_code = None
        for chat in answer.chats:
            before = self.desk.chats.get(chat.chat_id)
            self.desk.chats[chat.chat_id] = chat
            if before is not None and before.disabled and not chat.disabled:
                self.faults.forget(f"chat {chat.chat_id}")
                self._draft.add_rows([self._heard_nothing(chat, texts.chat_reached)])
        await self._record()
        if answer.watches or answer.unwatched:
            self._swap(self.desk.with_watches(answer.watches, answer.unwatched))
            await self._record()
        if answer.moved_to:
            old, new = request.chat_id, answer.moved_to
            self.follow_chat(old, new, await self._store.move_chat(old, new))

    def follow_chat(self, old: int, new: int, renamed: Mapping[str, str]) -> None:
        """Follows a group that became a supergroup; `renamed` has its watches' rule ids."""
        self.desk.move_chat(old, new, renamed)
        self.engine.rename_rules(renamed, self.desk.book.rules)

    def _swap(self, book: Book) -> None:
        before = self.desk.book
        self.desk.book = book
        self.engine.replace_rules(book.rules)
        self._collect(self.engine.changes(), before)

    def _note(self, events: Sequence[Event]) -> None:
        self._collect(self.engine.changes())
        now, wall = self.now(), self.wall()
        for event in events:
            self._metrics.events.labels(str(event.kind)).inc()
            rule = self.desk.book.rule(event.rule_id)
            self._draft.add_rows(
                outbox_row_for(event, target, wall)
                for target in (self.desk.targets(rule) if rule is not None else ())
                if self.desk.hears(target.chat_id, now)
            )

    def _collect(self, changes: Changes, before: Book | None = None) -> None:
        book = before or self.desk.book
        for end in changes.ended:
            rule = book.rule(end.rule_id)
            if rule is not None and end.state.told and end.state.phase is not Phase.IDLE:
                self._to_mark.append((end, self.desk.targets(rule)))
        self._draft.add(changes)

    async def _record(self) -> None:
        """Stores the draft; where that fails it is kept for the next time, and said once."""
        if self._draft.is_empty:
            return
        try:
            with self._metrics.commit.time():
                await self._store.commit(self._draft.commit())
        except StoreError as error:
            await self._cannot_record(str(error))
            return
        self._draft = Draft()
        if self.faults.is_active(DATABASE):
            self._draft.add_rows(self.faults.end(DATABASE, texts.database_over, self.wall()))
        await self._mark_ended()
        self._wake()

    async def _cannot_record(self, reason: str) -> None:
        """The one message that is sent without a record: that nothing can be recorded."""
        text = partial(texts.database_fault, reason)
        for row in self.faults.begin(DATABASE, text, self.wall()):
            await self._say_unrecorded(row)

    async def _mark_ended(self) -> None:
        """The firing messages of alerts whose rule ended are edited to say so."""
        rows: list[OutboxRow] = []
        try:
            for end, targets in self._to_mark:
                for target in targets:
                    rows += await ended_rows(self._store, end, target, self.desk, self.wall())
            if rows:
                await self._store.commit(Commit(outbox=tuple(rows)))
        except StoreError:
            return  # with the next record
        self._to_mark = []
