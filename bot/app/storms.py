"""Storms in delivery: rules that are paused in a chat, and what flaps, told in summaries.

What the engine decides and a replay tells is as ever: here only is chosen how it is told.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import msgspec

from bot.alerts.event import Event
from bot.app import storm_texts
from bot.app.live import DATABASE
from bot.app.parts import Parts
from bot.chat.world import PausedRule
from bot.locale import translator
from bot.notify.channel import Written
from bot.notify.keyboard import pause_keyboard, table_keyboard
from bot.notify.payload import edit_row, event_of, is_flapping, notice_row
from bot.notify.storm import HOUR, WITHIN, Place, RuleMessages
from bot.rules.rule import Target
from bot.store.order import SUMMED
from bot.store.port import StoreError
from bot.store.records import Commit, OutboxRow, Pause

SUMMARY_EVERY = 900_000  # ms
BEGUN = "pauses_begun"  # the fact with the pauses of the last minutes: chat, rule id, when (ms)
_MINUTE = 60_000
_GROWING = 20  # a notice is not edited again before another 20th of its age has passed


@dataclass(frozen=True, slots=True)
class _Said:
    """The count that a notice shows, None where it is not known, and when it was edited (ms)."""

    held: int | None = None
    at: int = 0


_UNKNOWN = _Said()


class Storms:
    """Answers the notifier, keeps the notices of pauses true, writes the summaries.

    `now` is the venue's clock, `wall` the notifier's (ms).
    """

    def __init__(self, parts: Parts, *, now: Callable[[], int], wall: Callable[[], int]) -> None:
        self._engine = parts.engine
        self._store = parts.store
        self._desk = parts.desk
        self._metrics = parts.metrics
        self._flapping = parts.flapping
        self._faults = parts.faults
        self._turn = parts.turn
        self._messages = RuleMessages()
        self._begun: dict[tuple[int, str], int] = {}  # when a pause began; of the last minutes
        self._now = now
        self._wall = wall
        self._said: dict[tuple[int, str], _Said] = {}
        self._counted_at = 0

    async def restore(self, facts: Mapping[str, str]) -> None:
        """Takes what an earlier run sent and what fired, before anything is sent.

        Raises:
            StoreError: it cannot be read.
        """
        kept = msgspec.json.decode(facts.get(BEGUN, "[]"), type=list[tuple[int, str, int]])
        self._begun = {(chat_id, rule_id): at for chat_id, rule_id, at in kept}
        sends = await self._store.recent_sends(self._wall() - WITHIN)
        self._messages.restore(  # what came before a pause brought it about
            send for send in sends if send.at > self._begun.get((send.chat_id, send.rule_id), 0)
        )
        marks = {rule.id: rule.fingerprint for rule in self._desk.book.rules}
        firings = await self._store.firings(self._now() - 2 * HOUR)
        pairs = self._flapping.restore(
            one for one in firings if marks.get(one.rule_id) == one.fingerprint
        )
        for pair, episodes in pairs.items():
            await self._restore_said(pair, episodes)
        folded = await self._store.flapping_rows(self._wall() + 1)
        for row in folded:
            self._flapping.said((row.rule_id, row.symbol), (row.chat_id, row.topic))
        self._flapping.restore_folded(folded)

    async def _restore_said(self, pair: tuple[str, str], episodes: Sequence[int]) -> None:
        """Whom the last of these was told to as of a pair that flaps."""
        for episode in reversed(episodes):
            rows = await self._store.episode_rows(*pair, episode)
            told = [row for row in rows if row.error == SUMMED or is_flapping(row)]
            for row in told:
                self._flapping.said(pair, (row.chat_id, row.topic))
            if told:
                return

    # -- what the notifier asks --------------------------------------------------------------

    def is_full(self, chat_id: int, rule_id: str, now: int) -> bool:
        """Whether the next message of that rule alone is one too many.

        Never at a terminal, where nobody could resume it, nor of a rule that has run its course.
        """
        if not self._desk.telegram or self._desk.book.rule(rule_id) is None:
            return False
        return self._messages.is_full(chat_id, rule_id, now)

    def sent(self, chat_id: int, rule_id: str, now: int) -> None:
        self._messages.sent(chat_id, rule_id, now)

    async def pause(self, chat_id: int, topic: int | None, event: Event) -> None:
        """Holds the alerts of the event's rule in the chat, which is told so.

        Raises:
            StoreError: nothing was stored.
        """
        async with self._turn:
            if (chat_id, event.rule_id) not in self._desk.pauses:
                await self._pause(chat_id, topic, event)

    async def _pause(self, chat_id: int, topic: int | None, event: Event) -> None:
        now = self._wall()
        waiting = await self._store.late_rows(chat_id, now, now + 1)  # all of the chat's
        held = sum(row.rule_id == event.rule_id for row in waiting)
        written = self._notice(chat_id, event.rule_id, event.rule, held)
        notice = notice_row(f"paused {event.rule_id} {now}", Target(chat_id, topic), written, now)
        pause = Pause(chat_id, event.rule_id, event.rule, now, notice.key)
        begun = {key: at for key, at in self._begun.items() if at >= now - WITHIN}
        begun[chat_id, event.rule_id] = now
        facts = {BEGUN: msgspec.json.encode([(*key, at) for key, at in begun.items()]).decode()}
        await self._store.commit(Commit(pauses=(pause,), outbox=(notice,), facts=facts))
        self._begun = begun
        self._desk.pauses[chat_id, event.rule_id] = pause
        self._said[chat_id, event.rule_id] = _Said(held)
        self._messages.forget(chat_id, event.rule_id)

    # -- pauses ------------------------------------------------------------------------------

    async def paused(self, chat_id: int) -> tuple[PausedRule, ...]:
        """The paused rules of a chat as they stand now, the oldest pause first.

        Raises:
            StoreError: it cannot be read.
        """
        pauses = [pause for pause in self._desk.pauses.values() if pause.chat_id == chat_id]
        if not pauses:
            return ()
        held = await self._store.held_counts()
        return tuple(
            [
                PausedRule(
                    pause.rule_id,
                    pause.rule,
                    pause.since,
                    held.get((chat_id, pause.rule_id), 0),
                    await self._message_of(pause),
                )
                for pause in sorted(pauses, key=lambda pause: pause.since)
            ]
        )

    async def keep_counts(self) -> None:
        """Brings the notices of pauses up to date, at most one of a chat in a minute."""
        pauses = self._desk.pauses
        self._metrics.paused.set(len(pauses))
        self._said = {key: said for key, said in self._said.items() if key in pauses}
        try:
            counts = await self._store.held_counts() if pauses else {}
            self._metrics.held.labels("pause").set(sum(counts.values()))
            for pause in self._outdated(counts):
                key = pause.chat_id, pause.rule_id
                async with self._turn:  # it may be over by now
                    if pauses.get(key) is pause:
                        await self._show(pause, counts.get(key, 0))
        except StoreError:
            return  # who records decisions says so; the next time comes soon

    def _outdated(self, counts: Mapping[tuple[int, str], int]) -> list[Pause]:
        """The pauses whose notice may be edited now, of each chat that whose edit is the oldest."""
        now = self._wall()
        edited: dict[int, int] = {}  # by chat: when one of its notices last was
        for (chat_id, _), said in self._said.items():
            edited[chat_id] = max(edited.get(chat_id, 0), said.at)
        chosen: dict[int, Pause] = {}
        for key, pause in self._desk.pauses.items():
            said = self._said.get(key, _UNKNOWN)
            spacing = max(_MINUTE, (now - pause.since) // _GROWING)
            if (
                said.held != counts.get(key, 0)
                and now - said.at >= spacing
                and now - edited.get(pause.chat_id, 0) >= _MINUTE
                and self._desk.hears(pause.chat_id, self._now())
            ):
                other = chosen.setdefault(pause.chat_id, pause)
                if said.at < self._said.get((other.chat_id, other.rule_id), _UNKNOWN).at:
                    chosen[pause.chat_id] = pause
        return list(chosen.values())

    async def _show(self, pause: Pause, held: int) -> None:
        """Edits the notice of a pause, where it has arrived."""
        message_id = await self._message_of(pause)
        if message_id is None:
            return
        now = self._wall()
        written = msgspec.structs.replace(
            self._notice(pause.chat_id, pause.rule_id, pause.rule, held), edit_of=message_id
        )
        name = f"held {pause.notice} {now}"
        edit = edit_row(name, Target(pause.chat_id), written, now)
        await self._store.commit(Commit(outbox=(edit,)))
        self._said[pause.chat_id, pause.rule_id] = _Said(held, now)

    async def _message_of(self, pause: Pause) -> int | None:
        """The message of a pause's notice; None where it has not arrived in this very chat."""
        row = await self._store.row_of(pause.notice)
        return None if row is None or row.chat_id != pause.chat_id else row.message_id

    def _notice(self, chat_id: int, rule_id: str, rule: str, held: int) -> Written:
        _ = translator(self._desk.reader(chat_id).language)
        return Written(storm_texts.paused(rule, held, _), pause_keyboard(rule_id, _))

    # -- summaries ---------------------------------------------------------------------------

    async def sum_up(self) -> None:
        """Tells each chat what was folded, where the oldest of it waits for 15 minutes."""
        now = self._wall()
        try:
            due = self._telling(await self._store.flapping_rows(now - SUMMARY_EVERY))
            if due or now - self._counted_at >= SUMMARY_EVERY:
                async with self._turn:
                    if not self._faults.is_active(DATABASE):  # else some are not stored yet
                        await self._sum_up({(row.chat_id, row.topic) for row in due})
                self._counted_at = now
        except StoreError:
            return  # who records decisions says so; the next time comes soon

    def _telling(self, rows: Iterable[OutboxRow]) -> list[OutboxRow]:
        """Those that may be told now: the rule is not paused there, and the chat hears."""
        now = self._now()
        return [
            row
            for row in rows
            if (row.chat_id, row.rule_id) not in self._desk.pauses
            and self._desk.hears(row.chat_id, now)
        ]

    async def _sum_up(self, due: AbstractSet[Place]) -> None:
        """One message for each of these chats and topics, of all that waits there."""
        rows = await self._store.flapping_rows(self._wall() + 1)
        by_place: dict[Place, list[OutboxRow]] = {}
        for row in self._telling(rows):
            if (row.chat_id, row.topic) in due:
                by_place.setdefault((row.chat_id, row.topic), []).append(row)
        notices = tuple(self._summary(Target(*place), own) for place, own in by_place.items())
        summed = {row.id for own in by_place.values() for row in own}
        if summed:
            await self._store.commit(Commit(outbox=notices, summed=tuple(summed)))
        left = [row for row in rows if row.id not in summed]
        self._flapping.restore_folded(left)
        for place, own in by_place.items():
            for row in own:
                self._flapping.said((row.rule_id, row.symbol), place)
        self._metrics.held.labels("flap").set(len(left))
        self._metrics.summed.inc(len(summed))

    def _summary(self, target: Target, rows: Sequence[OutboxRow]) -> OutboxRow:
        by_pair: dict[tuple[str, str], list[Event]] = {}
        for row in rows:
            by_pair.setdefault((row.rule_id, row.symbol), []).append(event_of(row))
        reader = self._desk.reader(target.chat_id)
        _ = translator(reader.language)
        pairs = [self._flapped(events) for events in by_pair.values()]
        quiet = all(event.quiet for events in by_pair.values() for event in events)
        text = storm_texts.summary(pairs, reader, self._now(), _)
        wall = self._wall()
        written = Written(text, table_keyboard(0, None, _), quiet)
        return notice_row(f"summary {wall}", target, written, wall)

    def _flapped(self, events: Sequence[Event]) -> storm_texts.Flapped:
        last = events[-1]
        rule = self._desk.book.rule(last.rule_id)
        return storm_texts.flapped(
            events,
            downwards=rule is not None and rule.fires_downwards,
            on_since=self._engine.on_since(last.rule_id, last.symbol),
            goes_on=self._flapping.is_flapping(last.rule_id, last.symbol, self._now()),
        )
