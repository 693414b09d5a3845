"""The store without a disk: for replays, dry runs and tests. It forgets everything at its end."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from bot.alerts.lifecycle import State
from bot.store import memory_looking, merge, order
from bot.store.memory_outbox import MemoryOutbox
from bot.store.records import (
    ChatRow,
    Commit,
    Committed,
    Copied,
    Firing,
    Held,
    OutboxKind,
    OutboxRow,
    OutboxStatus,
    Pause,
    RecentSend,
    Sample,
    Saved,
    SavedState,
    StateKey,
    Watch,
    watch_rule_id,
)


class MemoryStore:
    """A `Store` in plain dicts. No method awaits anything, so each is one transaction."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], dict[str, State]] = {}  # rule, fingerprint -> symbol
        self._samples: dict[tuple[str, str, int], Sample] = {}
        self._watches: dict[tuple[int, int], Watch] = {}
        self._chats: dict[int, ChatRow] = {}
        self._facts: dict[str, str] = {}
        self._pauses: dict[tuple[int, str], Pause] = {}
        self._handled: dict[int, int] = {}  # update id -> when, 0: not known
        self._outbox = MemoryOutbox()

    async def open(self) -> None:
        """Nothing needs to be opened."""

    async def close(self) -> None:
        """Nothing needs to be closed; what it holds stays until it is dropped."""

    # -- deciding --------------------------------------------------------------------------

    async def load(self) -> Saved:
        return Saved(
            states=tuple(
                SavedState(StateKey(*rule, symbol), state)
                for rule, states in sorted(self._states.items())
                for symbol, state in sorted(states.items())
            ),
            samples=tuple(self._samples[key] for key in sorted(self._samples)),
            watches=tuple(self._watches[key] for key in sorted(self._watches)),
            chats=tuple(self._chats[key] for key in sorted(self._chats)),
            facts=dict(self._facts),
            pauses=tuple(self._pauses[key] for key in sorted(self._pauses)),
        )

    async def commit(self, commit: Commit) -> Committed:
        if commit.update_id is not None:
            if commit.update_id in self._handled:
                return Committed(applied=False)
            at = commit.at or max((row.created_at for row in commit.outbox), default=0)
            self._handled[commit.update_id] = at
        touched: set[int] = set()
        dropped = sum(self._end(key, touched) for key in commit.ended)
        for saved in commit.states:
            rule = saved.key.rule_id, saved.key.fingerprint
            self._states.setdefault(rule, {})[saved.key.symbol] = saved.state
        for sample in commit.samples:
            self._samples.setdefault((sample.symbol, sample.field, sample.time), sample)
        for key in commit.unwatched:
            self._watches.pop(key, None)
        self._watches |= {(watch.chat_id, watch.number): watch for watch in commit.watches}
        for chat in commit.chats:
            self._chats[chat.chat_id] = merge.committed(self._chats.get(chat.chat_id), chat)
        self._facts |= commit.facts
        self._change_pauses(commit, touched)
        for number in commit.summed:
            row = self._outbox.rows.get(number)
            if row is not None and row.held is Held.FLAP:
                self._outbox.put(order.dead(row, order.SUMMED))
        added = self._add(commit.outbox)
        self._plan(touched.union((row.chat_id for row in commit.outbox), _ids(commit.chats)))
        return Committed(applied=True, outbox_added=added, outbox_dropped=dropped)

    def _end(self, key: StateKey, touched: set[int]) -> int:
        """Forgets states and drops their unsent alerts; how many."""
        rule = key.rule_id, key.fingerprint
        states = self._states.get(rule, {})
        for symbol in [key.symbol] if key.symbol else list(states):
            states.pop(symbol, None)
        if not states:
            self._states.pop(rule, None)
        ended = [
            order.ended(row)
            for row in self._outbox.unsent(key.rule_id)
            if row.kind is OutboxKind.ALERT
            and row.fingerprint == key.fingerprint
            and key.symbol in ("", row.symbol)
        ]
        for row in ended:
            self._outbox.put(row)
        touched |= {row.chat_id for row in ended}
        return sum(row.status is OutboxStatus.DEAD for row in ended)

    def _change_pauses(self, commit: Commit, touched: set[int]) -> None:
        ended = {key.rule_id for key in commit.ended if not key.symbol}
        over = [
            *commit.resumed,
            *((chat_id, watch_rule_id(chat_id, number)) for chat_id, number in commit.unwatched),
            *(pair for pair in self._pauses if pair[1] in ended),
        ]
        changed = {pair[0] for pair in over if self._pauses.pop(pair, None) is not None}
        self._pauses |= {(pause.chat_id, pause.rule_id): pause for pause in commit.pauses}
        self._hold(changed.union(_ids(commit.pauses)))
        touched |= changed.union(_ids(commit.pauses))

    def _hold(self, chat_ids: Iterable[int]) -> None:
        self._outbox.paused = set(self._pauses)
        for chat_id in chat_ids:
            self._outbox.hold(chat_id)

    def _add(self, rows: Iterable[OutboxRow]) -> int:
        return sum(map(self._outbox.add, rows))

    def _plan(self, chat_ids: Iterable[int]) -> None:
        self._outbox.plan(chat_ids, self._chat)

    def _chat(self, chat_id: int) -> ChatRow:
        return self._chats.get(chat_id) or ChatRow(chat_id)

    # -- delivering ------------------------------------------------------------------------

    async def lease(
        self, now: int, until: int, limit: int, busy_chats: frozenset[int] = frozenset()
    ) -> Sequence[OutboxRow]:
        outbox = self._outbox
        self._plan(outbox.hold_lapsed(now))
        due = [
            (first_id, chat_id)
            for chat_id, (due_at, first_id) in outbox.turns.items()
            if due_at <= now and chat_id not in busy_chats
        ]
        claimed: list[OutboxRow] = []
        for _, chat_id in sorted(due):
            if len(claimed) < limit:
                taken = outbox.claim(self._chat(chat_id), now)
                claimed += [order.leased(row, until) for row in taken]
        for row in claimed:
            outbox.put(row)
        self._plan(row.chat_id for row in claimed)
        return claimed

    async def settle(
        self,
        rows: Sequence[OutboxRow],
        chats: Sequence[ChatRow] = (),
        added: Sequence[OutboxRow] = (),
    ) -> int:
        changed = []
        for row in rows:
            settled = order.settled(self._outbox.rows.get(row.id), row)
            if settled is not None:
                self._outbox.put(self._outbox.with_hold(settled))
                changed.append(settled)
        for chat in chats:
            self._chats[chat.chat_id] = merge.delivered(self._chats.get(chat.chat_id), chat)
        return self._finish(changed, chats, added)

    async def bury(
        self, rows: Sequence[OutboxRow], reason: str, added: Sequence[OutboxRow] = ()
    ) -> int:
        changed = []
        for row in rows:
            buried = order.buried(self._outbox.rows.get(row.id), row, reason)
            if buried is not None:
                self._outbox.put(buried)
                changed.append(buried)
        return self._finish(changed, (), added)

    def _finish(
        self, changed: Sequence[OutboxRow], chats: Sequence[ChatRow], added: Sequence[OutboxRow]
    ) -> int:
        if changed:
            self._add(added)
        self._plan({*_ids(changed), *_ids(chats), *_ids(added)})
        return len(changed)

    async def hasten(self, now: int) -> None:
        outbox = self._outbox
        waiting = (outbox.queue(chat_id) for chat_id in list(outbox.queue_lengths()))
        rows = [row for queue in (*waiting, outbox.all_held()) for row in queue]
        hastened = [each for row in rows if (each := order.hastened(row, now)) is not None]
        for row in hastened:
            outbox.put(row)
        self._plan(_ids(hastened))

    async def mark_copied(self, ids: Sequence[int], copied: Copied) -> None:
        for row in [self._outbox.rows[number] for number in ids if number in self._outbox.rows]:
            self._outbox.put(msgspec.structs.replace(row, copied=copied))

    # -- looking ---------------------------------------------------------------------------

    async def late_rows(self, chat_id: int, now: int, before: int) -> list[OutboxRow]:
        return memory_looking.late_rows(self._outbox, chat_id, now, before)

    async def recent_sends(self, since: int) -> list[RecentSend]:
        return memory_looking.recent_sends(self._outbox, since)

    async def firings(self, since: int) -> list[Firing]:
        return memory_looking.firings(self._outbox, since)

    async def flapping_rows(self, before: int) -> list[OutboxRow]:
        return memory_looking.flapping_rows(self._outbox, before)

    async def held_counts(self) -> dict[tuple[int, str], int]:
        held = self._outbox.all_held()
        return dict(Counter((r.chat_id, r.rule_id) for r in held if r.held is Held.PAUSE))

    async def row_of(self, key: str) -> OutboxRow | None:
        return self._outbox.of_key(key)

    async def uncopied(self, chat_ids: Sequence[int], limit: int) -> list[OutboxRow]:
        return memory_looking.uncopied(self._outbox, chat_ids, limit)

    async def chat_rows(
        self, chat_id: int, rule_id: str, symbol: str, episode: int
    ) -> list[OutboxRow]:
        told = self._outbox.episode(rule_id, symbol, episode)
        return [row for row in told if row.chat_id == chat_id]

    async def episode_rows(self, rule_id: str, symbol: str, episode: int) -> list[OutboxRow]:
        return self._outbox.episode(rule_id, symbol, episode)

    async def message_rows(self, chat_id: int, row_id: int) -> list[OutboxRow]:
        return memory_looking.message_rows(self._outbox, chat_id, row_id)

    async def pending(self, chat_id: int | None = None) -> int:
        lengths = self._outbox.queue_lengths()
        return sum(lengths.values()) if chat_id is None else lengths.get(chat_id, 0)

    async def outbox_counts(self) -> dict[OutboxStatus, int]:
        counts = Counter(row.status for row in self._outbox.rows.values())
        return {status: counts[status] for status in OutboxStatus}

    async def next_due(self, now: int) -> int | None:
        turns = [due_at for due_at, _ in self._outbox.turns.values()]
        return max(min(turns), now) if turns else None

    # -- keeping house ---------------------------------------------------------------------

    async def prune(self, before: int, samples_before: int | None = None) -> int:
        limit = before if samples_before is None else samples_before
        rows = [
            row
            for row in self._outbox.rows.values()
            if row.created_at < before and (row.status not in order.UNSENT or row.held)
        ]
        handled = [update for update, at in self._handled.items() if 0 < at < before]
        old = [key for key, sample in self._samples.items() if sample.time < limit]
        for row in rows:
            self._outbox.remove(row)
        for update in handled:
            del self._handled[update]
        for key in old:
            del self._samples[key]
        return len(rows) + len(handled) + len(old)

    async def move_chat(self, old: int, new: int) -> dict[str, str]:
        if old == new:
            return {}
        mine = [watch for watch in self._watches.values() if watch.chat_id == old]
        mine.sort(key=lambda watch: watch.number)
        taken = {watch.number for watch in self._watches.values() if watch.chat_id == new}
        chat = merge.moved(self._chats.pop(old, None), self._chats.get(new), new)
        moved, self._chats[new] = merge.renumbered(mine, taken, chat)
        for before, after in zip(mine, moved, strict=True):
            del self._watches[before.chat_id, before.number]
            self._watches[after.chat_id, after.number] = after
        renamed = {a.rule_id: b.rule_id for a, b in zip(mine, moved, strict=True)}
        for row in [*self._outbox.queue(old), *self._outbox.held(old)]:
            self._outbox.put(msgspec.structs.replace(row, chat_id=new))
        self._rename(renamed)
        self._move_pauses(old, new, renamed)
        self._outbox.forget_overtaken(old)
        self._plan((old, new))
        return renamed

    def _rename(self, renamed: dict[str, str]) -> None:
        for rule in [rule for rule in self._states if rule[0] in renamed.values()]:
            del self._states[rule]
        for rule in [rule for rule in self._states if rule[0] in renamed]:
            self._states[renamed[rule[0]], rule[1]] = self._states.pop(rule)
        for before, after in renamed.items():
            for row in self._outbox.unsent(before):
                self._outbox.put(msgspec.structs.replace(row, rule_id=after))

    def _move_pauses(self, old: int, new: int, renamed: dict[str, str]) -> None:
        """A pause that the new chat has stays, but of the watches' new ids nothing may be left."""
        for rule_id in renamed.values():
            self._pauses.pop((new, rule_id), None)
        for pause in [pause for pause in self._pauses.values() if pause.chat_id == old]:
            del self._pauses[old, pause.rule_id]
            rule_id = renamed.get(pause.rule_id, pause.rule_id)
            moved = msgspec.structs.replace(pause, chat_id=new, rule_id=rule_id)
            self._pauses.setdefault((new, rule_id), moved)
        self._hold([new])


def _ids(rows: Iterable[OutboxRow | ChatRow | Pause]) -> set[int]:
    """The chats of rows."""
    return {row.chat_id for row in rows}
