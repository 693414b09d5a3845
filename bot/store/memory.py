"""The store without a disk: for replays, dry runs and tests. It forgets everything at its end."""

from collections.abc import Sequence
from itertools import count

import msgspec

from bot.alerts.lifecycle import State
from bot.store import merge, order
from bot.store.records import (
    ChatRow,
    Commit,
    Committed,
    OutboxKind,
    OutboxRow,
    OutboxStatus,
    Sample,
    Saved,
    SavedState,
    StateKey,
    Watch,
)


class MemoryStore:
    """A `Store` in plain dicts. No method awaits anything, so each is one transaction."""

    def __init__(self) -> None:
        self._states: dict[StateKey, State] = {}
        self._samples: dict[tuple[str, str, int], Sample] = {}
        self._watches: dict[tuple[int, int], Watch] = {}
        self._chats: dict[int, ChatRow] = {}
        self._facts: dict[str, str] = {}
        self._handled: dict[int, int] = {}  # update id -> when, 0: not known
        self._rows: dict[int, OutboxRow] = {}
        self._waiting: dict[int, set[int]] = {}  # chat -> ids of its rows not sent nor dead
        self._keys: set[str] = set()
        self._ids = count(1)

    async def open(self) -> None:
        """Nothing needs to be opened."""

    async def close(self) -> None:
        """Nothing needs to be closed; what it holds stays until it is dropped."""

    async def load(self) -> Saved:
        keys = sorted(self._states, key=msgspec.structs.astuple)
        return Saved(
            states=tuple(SavedState(key, self._states[key]) for key in keys),
            samples=tuple(self._samples[key] for key in sorted(self._samples)),
            watches=tuple(self._watches[key] for key in sorted(self._watches)),
            chats=tuple(self._chats[key] for key in sorted(self._chats)),
            facts=dict(self._facts),
        )

    async def commit(self, commit: Commit) -> Committed:
        if commit.update_id is not None:
            if commit.update_id in self._handled:
                return Committed(applied=False)
            at = commit.at or max((row.created_at for row in commit.outbox), default=0)
            self._handled[commit.update_id] = at
        dropped = sum(self._end(key) for key in commit.ended)
        self._states |= {saved.key: saved.state for saved in commit.states}
        for sample in commit.samples:
            self._samples.setdefault((sample.symbol, sample.field, sample.time), sample)
        for key in commit.unwatched:
            self._watches.pop(key, None)
        self._watches |= {(watch.chat_id, watch.number): watch for watch in commit.watches}
        for chat in commit.chats:
            self._chats[chat.chat_id] = merge.committed(self._chats.get(chat.chat_id), chat)
        self._facts |= commit.facts
        added = sum(self._add(row) for row in commit.outbox)
        return Committed(applied=True, outbox_added=added, outbox_dropped=dropped)

    async def lease(
        self, now: int, until: int, limit: int, busy_chats: frozenset[int] = frozenset()
    ) -> Sequence[OutboxRow]:
        due = [
            self._queue(chat_id)
            for chat_id in self._waiting.keys() - busy_chats
            if (at := self._due_at(chat_id)) is not None and at <= now
        ]
        claimed: list[OutboxRow] = []
        for queue in sorted(due, key=lambda queue: queue[0].id):
            if len(claimed) < limit:
                claimed += order.take(queue, now, until, limit - len(claimed))
        for row in claimed:
            self._put(row)
        return claimed

    async def settle(self, rows: Sequence[OutboxRow], chats: Sequence[ChatRow] = ()) -> int:
        counted = 0
        for row in rows:
            settled = order.settled(self._rows.get(row.id), row)
            if settled is not None:
                self._put(settled)
                counted += 1
        for chat in chats:
            self._chats[chat.chat_id] = merge.delivered(self._chats.get(chat.chat_id), chat)
        return counted

    async def chat_rows(
        self, chat_id: int, rule_id: str, symbol: str, episode: int
    ) -> list[OutboxRow]:
        told = await self.episode_rows(rule_id, symbol, episode)
        return [row for row in told if row.chat_id == chat_id]

    async def episode_rows(self, rule_id: str, symbol: str, episode: int) -> list[OutboxRow]:
        wanted = (OutboxKind.ALERT, rule_id, symbol, episode)
        return [
            row
            for row in self._rows.values()
            if (row.kind, row.rule_id, row.symbol, row.episode) == wanted
        ]

    async def message_rows(self, chat_id: int, row_id: int) -> list[OutboxRow]:
        alerts = {
            row.id: row
            for row in self._rows.values()
            if row.chat_id == chat_id and row.kind is OutboxKind.ALERT
        }
        message_id = alerts[row_id].message_id if row_id in alerts else None
        if message_id is None:
            return []
        return [row for row in alerts.values() if row.message_id == message_id]

    async def pending(self, chat_id: int | None = None) -> int:
        if chat_id is not None:
            return len(self._waiting.get(chat_id, ()))
        return sum(map(len, self._waiting.values()))

    async def outbox_counts(self) -> dict[OutboxStatus, int]:
        counts = dict.fromkeys(OutboxStatus, 0)
        for row in self._rows.values():
            counts[row.status] += 1
        return counts

    async def next_due(self, now: int) -> int | None:
        due = [at for at in map(self._due_at, self._waiting) if at is not None]
        return max(min(due), now) if due else None

    async def prune(self, before: int, samples_before: int | None = None) -> int:
        limit = before if samples_before is None else samples_before
        rows = [
            row
            for row in self._rows.values()
            if row.status not in order.WAITING and row.created_at < before
        ]
        handled = [update for update, at in self._handled.items() if 0 < at < before]
        old = [key for key, sample in self._samples.items() if sample.time < limit]
        for row in rows:
            del self._rows[row.id]
            self._keys.remove(row.key)
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
        self._rename(renamed)
        for row in self._queue(old):
            self._put(msgspec.structs.replace(row, chat_id=new))
        self._waiting.pop(old, None)
        return renamed

    def _rename(self, renamed: dict[str, str]) -> None:
        stale = [key for key in self._states if key.rule_id in renamed.values()]
        for key in stale:
            del self._states[key]
        for key in [key for key in self._states if key.rule_id in renamed]:
            after = msgspec.structs.replace(key, rule_id=renamed[key.rule_id])
            self._states[after] = self._states.pop(key)
        for ids in self._waiting.values():
            for row in [self._rows[each] for each in ids]:
                if row.rule_id in renamed:
                    self._put(msgspec.structs.replace(row, rule_id=renamed[row.rule_id]))

    def _end(self, key: StateKey) -> int:
        """Forgets states and drops their unsent alerts; how many."""
        for state in [state for state in self._states if _covers(key, state)]:
            del self._states[state]
        waiting = [
            row
            for ids in self._waiting.values()
            for row in map(self._rows.__getitem__, ids)
            if row.kind is OutboxKind.ALERT
            and _covers(key, StateKey(row.rule_id, row.fingerprint, row.symbol))
        ]
        ended = [order.ended(row) for row in waiting]
        for row in ended:
            self._put(row)
        return sum(row.status is OutboxStatus.DEAD for row in ended)

    def _add(self, row: OutboxRow) -> bool:
        if row.key in self._keys:
            return False
        self._keys.add(row.key)
        self._put(msgspec.structs.replace(row, id=next(self._ids)))
        return True

    def _put(self, row: OutboxRow) -> None:
        self._rows[row.id] = row
        if row.status in order.WAITING:
            self._waiting.setdefault(row.chat_id, set()).add(row.id)
        elif row.chat_id in self._waiting:
            self._waiting[row.chat_id].discard(row.id)
            if not self._waiting[row.chat_id]:
                del self._waiting[row.chat_id]

    def _queue(self, chat_id: int) -> list[OutboxRow]:
        return sorted(map(self._rows.__getitem__, self._waiting.get(chat_id, ())), key=order.place)

    def _due_at(self, chat_id: int) -> int | None:
        queue = self._queue(chat_id)
        leases = (row.lease_until for row in queue if row.status is OutboxStatus.LEASED)
        chat = self._chats.get(chat_id) or ChatRow(chat_id)
        return order.due_at(queue[0].not_before, max(leases, default=0), chat.disabled,
                            chat.not_before)  # fmt: skip


def _covers(key: StateKey, other: StateKey) -> bool:
    """Whether an ended key means another: an empty symbol is every symbol."""
    same = (key.rule_id, key.fingerprint) == (other.rule_id, other.fingerprint)
    return same and key.symbol in ("", other.symbol)
