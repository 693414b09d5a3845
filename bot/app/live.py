"""The engine and its record, kept in step: one decision, one transaction, then the sending.

Whatever changes the engine or the store goes through here, one at a time.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import msgspec

from bot.alerts.changes import Changes
from bot.alerts.event import Event
from bot.app import texts
from bot.app.draft import Draft
from bot.app.ends import Ends
from bot.app.faults import FAULTS, Text
from bot.app.followup import heard_nothing
from bot.app.parts import Parts, Replacement
from bot.app.pause_notices import Over, PauseNotices, ended_by
from bot.app.sending_clock import SENDING_AT
from bot.chat.answer import Answer
from bot.chat.request import Request
from bot.market.catalog import Catalog
from bot.market.inbox import Received
from bot.market.tick import Tick
from bot.notify.payload import outbox_row_for
from bot.notify.storm import Telling
from bot.rules.book import Book
from bot.rules.rule import Rule, Target
from bot.store import merge
from bot.store.port import StoreError
from bot.store.records import ChatRow, Commit, OutboxRow

ALIVE_AT = "alive_at"  # the fact that says when the program last decided something
ADMINS = "admins"  # the fact with the claimed admins, comma-separated
OUT_OF_REACH = "the chat was out of reach"  # why what waited for it was not sent
CLAIM_CODE = "claim_code"  # the fact with the one-time code of a start without admins
MOVED = "moved_chats"  # the fact with the groups that became supergroups: JSON, old id to new
DATABASE = "database"  # the fault of a store that cannot write
PART = 2_000  # rows of the outbox; a frame with more is stored in several transactions


class Live:
    """Takes ticks, time, commands, rules and catalogs; records what follows; wakes the notifier."""

    def __init__(
        self,
        parts: Parts,
        *,
        now: Callable[[], int],
        wall: Callable[[], int],
        wake: Callable[[], None],
        say_unrecorded: Callable[[OutboxRow], None],
        gathering: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`gathering` keeps the notifier from what is stored so far of one decided frame."""
        self.engine = parts.engine
        self.desk = parts.desk
        self.faults = parts.faults
        self._store = parts.store
        self._metrics = parts.metrics
        self._journal = parts.journal
        self._flapping = parts.flapping
        self.now = now  # the venue's clock, ms: rules, mutes, watches
        self.wall = wall  # the outbox's clock, ms: what waits for being sent
        self._wake = wake
        self._gathering = gathering
        self._say_unrecorded = say_unrecorded
        self._draft = Draft()
        self._lock = parts.turn
        self._kept_faults = self.faults.kept()
        self.ends = Ends(parts.store, parts.desk)
        self.pause_notices = PauseNotices(parts.store, parts.desk)

    async def begin(self) -> None:
        """Stores what ended while nothing ran, before any of it is sent."""
        async with self._lock:
            self._collect(self.engine.changes())
            await self._record()

    async def take(self, ticks: Sequence[Tick], frames: Sequence[Received] = ()) -> int:
        """Decides on ticks; `frames` are those that they came in, empty for ticks from REST.

        Returns how many were news: the others are not newer than their symbol's last.
        """
        async with self._lock:
            self._journal.rows(ticks, frames)
            repeated = self.engine.repeated
            with self._gathering():
                await self._note(self.engine.decide(ticks))
                await self._record()
            return len(ticks) - (self.engine.repeated - repeated)

    async def advance(self, now: int, *, everything: bool = False) -> None:
        """Lets time pass; `everything` also stores what a crash may cost (peaks, the heartbeat)."""
        async with self._lock:
            self._journal.advance(now)
            with self._gathering():
                await self._note(self.engine.pass_time(now))
                if everything:
                    self._collect(self.engine.changes(everything=True))
                    self._draft.add_fact(ALIVE_AT, str(self.engine.clock))
                    self._draft.add_fact(SENDING_AT, str(self.wall()))
                await self._record()
            if everything:  # what was on its way has an outcome by now
                await self._mark(everything=True)

    async def begin_anew(self, now: int) -> None:
        """The venue's clock went back to `now` (ms): symbols wait for a first row again."""
        async with self._lock:
            self._collect(self.engine.changes(everything=True))
            self._journal.anew(now)
            self.engine.begin_anew(now)
            await self._record()

    async def replace_rules(self, plan: Callable[[], Replacement]) -> None:
        """Swaps the book for the one that `plan` makes of the present state of things."""
        async with self._lock:
            made = plan()
            self._swap(made.book)
            self._add_facts(made.facts)
            self._draft.add_rows(made.notices)
            await self._record()

    async def replace_catalog(
        self, catalog: Catalog, facts: dict[str, str], notices: Iterable[OutboxRow] = ()
    ) -> None:
        async with self._lock:
            self._journal.catalog(catalog)
            self.engine.replace_catalog(catalog)
            self._collect(self.engine.changes())
            self._add_facts(facts)
            self._draft.add_rows(notices)
            await self._record()

    async def note(self, rows: Iterable[OutboxRow], facts: dict[str, str] | None = None) -> None:
        """Records notices and facts of the program's own."""
        async with self._lock:
            self._draft.add_rows(rows)
            self._add_facts({**(facts or {}), **self._fault_facts()})
            await self._record()

    async def fault(
        self, kind: str, text: Text, *, since: int | None = None, again: bool = False
    ) -> None:
        """Records that a fault is there, with what is said of it: see `Faults.begin`."""
        await self.note(self.faults.begin(kind, text, self.wall(), since=since, again=again))

    async def fault_over(self, kind: str, text: Text) -> None:
        await self.note(self.faults.end(kind, text, self.wall()))

    def _fault_facts(self) -> dict[str, str]:
        """What is kept of the faults, where that has changed."""
        before, self._kept_faults = self._kept_faults, self.faults.kept()
        return {} if self._kept_faults == before else {FAULTS: self._kept_faults}

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

    async def apply(self, request: Request, answer: Answer, base: ChatRow | None) -> None:
        """Commits the effects of an update with its id, once, then lets the engine follow.

        `base` is the chat's row that the answer was decided on: what has changed since stays.

        Raises:
            StoreError: nothing was committed; the update is to be handled again.
        """
        async with self._lock:
            if answer.moved_to:
                await self._move_chat(request.chat_id, answer.moved_to)
            known = self.desk.chats
            chats = (merge.changed(known.get(chat.chat_id), base, chat) for chat in answer.chats)
            answer = dataclasses.replace(answer, chats=tuple(chats))
            over = ended_by(answer, self.desk.pauses)
            ended, facts = self.ends.with_watches(answer.unwatched, self.engine)
            facts |= self._claim(answer) | self.pause_notices.with_these(over)
            commit = answer.commit(request, self.wall(), facts)
            commit = msgspec.structs.replace(commit, ended=ended)
            with self._gathering():  # what waits for a chat that was out of reach is looked at
                if (await self._store.commit(commit)).applied:
                    self.pause_notices.note(over)
                    await self._follow(answer)
                    await self._mark()
        self._wake()

    async def move_chat(self, old: int, new: int) -> None:
        """Follows a group that became a supergroup, in the store and here."""
        async with self._lock:
            await self._move_chat(old, new)
            await self._record()

    async def _move_chat(self, old: int, new: int) -> None:
        renamed = await self._store.move_chat(old, new)
        self._draft.rename(renamed, old, new)
        self._flapping.rename(renamed, old, new)
        self._add_facts(self.ends.rename(renamed))
        self.pause_notices.rename(old, new)
        self.desk.move_chat(old, new, renamed)
        self._draft.add_fact(MOVED, msgspec.json.encode(self.desk.moved).decode())
        self._journal.renamed(renamed, self.desk.book.rules)
        self.engine.rename_rules(renamed, self.desk.book.rules)

    def _heard_nothing(self, chat: ChatRow, head: Text) -> OutboxRow:
        chat_id, now, wall = chat.chat_id, self.now(), self.wall()
        return heard_nothing(self.engine, self.desk, chat_id, head, now, wall)

    def _claim(self, answer: Answer) -> dict[str, str]:
        if answer.claim is None:
            return {}
        claimed = sorted({*self.desk.claimed_admins, answer.claim})
        return {ADMINS: ",".join(map(str, claimed)), CLAIM_CODE: ""}

    async def _follow(self, answer: Answer) -> None:
        """What was committed becomes true here; first of all which watch numbers are taken."""
        before = {chat.chat_id: self.desk.chats.get(chat.chat_id) for chat in answer.chats}
        self.desk.chats.update((chat.chat_id, chat) for chat in answer.chats)
        if answer.claim is not None:
            self.desk.claimed_admins |= {answer.claim}
            self.desk.claim_code = None
            row = self.desk.chats.get(answer.claim) or ChatRow(answer.claim)
            self._draft.add_rows([self._heard_nothing(row, texts.chat_claimed)])
        for chat in answer.chats:
            old = before[chat.chat_id]
            if old is not None and old.disabled and not chat.disabled:
                self.faults.forget(f"chat {chat.chat_id}")
                await self._reached(chat)
        for paused in answer.resumed:
            self.desk.pauses.pop(paused, None)
        if answer.watches or answer.unwatched:
            self._swap(self.desk.with_watches(answer.watches, answer.unwatched))
        await self._record()

    async def _reached(self, chat: ChatRow) -> None:
        """A chat that was out of reach: what waited for it is past, what is on is said."""
        wall = self.wall()
        try:
            waited = await self._store.late_rows(chat.chat_id, wall, wall + 1)
            buried = await self._store.bury(waited, OUT_OF_REACH)
        except StoreError:
            buried = 0  # then it is told late
        head = partial(texts.chat_reached, buried)
        self._draft.add_rows([self._heard_nothing(chat, head)])

    def _swap(self, book: Book) -> None:
        self.desk.book = book
        self._journal.rules(book.rules)
        self.engine.replace_rules(book.rules)
        self._collect(self.engine.changes())

    async def _note(self, events: Iterable[Event]) -> None:
        """Drafts what is decided, for `_record`.

        A storm is recorded in parts, so that it is never held in memory at once; a decision and
        its rows are always in the same one.
        """
        book = self.desk.book  # a rule may tell something and run out with the same rows
        now, wall = self.now(), self.wall()
        once: dict[str, Rule] = {}
        rows: list[OutboxRow] = []
        for event in events:
            self._metrics.events.labels(str(event.kind)).inc()
            rule = book.rule(event.rule_id)
            if rule is None:
                continue
            telling = self._flapping.note(event.rule_id, event.symbol, event.kind, event.at)
            rows += (
                self._row(event, target, wall, telling)
                for target in self.desk.targets(rule)
                if self.desk.hears(target.chat_id, now)
            )
            if rule.options.once:
                once[rule.id] = rule
            if len(rows) >= PART and not self.faults.is_active(DATABASE):
                self._collect(self.engine.changes())
                self._draft.add_rows(rows)
                rows = []
                await self._record()
        self._collect(self.engine.changes())
        self._draft.add_rows(rows)
        if finished := {key for key, rule in once.items() if self.engine.is_finished(rule)}:
            self.engine.retire(finished)
            self._draft.add_unwatched(self.desk.retire(finished))

    def _row(self, event: Event, target: Target, wall: int, telling: Telling) -> OutboxRow:
        """How one place is told; the pair was noted for all."""
        paused = (target.chat_id, event.rule_id) in self.desk.pauses
        place, pair = (target.chat_id, target.topic), (event.rule_id, event.symbol)
        telling = self._flapping.note_in(place, pair, event.kind, telling, paused=paused)
        if telling is Telling.FOLD:
            self._metrics.held.labels("flap").inc()
        return outbox_row_for(event, target, wall, telling)

    def _collect(self, changes: Changes) -> None:
        self._add_facts(self.ends.note(changes.ended))
        self._draft.add(changes)
        if changes.expired:
            self._draft.add_unwatched(self.desk.retire(changes.expired))
        for end in changes.ended:
            self._flapping.forget(end.rule_id, end.symbol)
        if self.desk.pauses:
            over = self.desk.end_pauses(changes.ended)
            self._draft.add_resumed((pause.chat_id, pause.rule_id) for pause in over)
            self._add_facts(self.pause_notices.note(Over(pause, resumed=False) for pause in over))

    def _add_facts(self, facts: Mapping[str, str]) -> None:
        for name, value in facts.items():
            self._draft.add_fact(name, value)

    async def _record(self) -> None:
        """Stores the draft; where that fails it is kept for the next time, and said once."""
        if self._draft.is_empty:
            return
        try:
            with self._metrics.commit.time():
                committed = await self._store.commit(self._draft.commit())
        except StoreError as error:
            self._cannot_record(str(error))
            return
        self._metrics.outbox_dropped.inc(committed.outbox_dropped)
        self._draft = Draft()
        if self.faults.is_active(DATABASE):
            self._draft.add_rows(self.faults.end(DATABASE, texts.database_over, self.wall()))
        await self._mark()
        self._wake()

    async def _mark(self, *, everything: bool = False) -> None:
        """Corrects messages that are not true any more."""
        if everything or self.ends.is_new:
            await self.ends.mark(self.engine.catalog, self.wall())
        if everything or self.pause_notices.is_new:
            await self.pause_notices.mark(self.wall())

    def _cannot_record(self, reason: str) -> None:
        """The one message that is sent without a record: that nothing can be recorded."""
        text = partial(texts.database_fault, reason)
        for row in self.faults.begin(DATABASE, text, self.wall()):
            self._say_unrecorded(row)
