"""What has been decided and is not stored yet: it survives a store that cannot write."""

from collections.abc import Iterable, Mapping

import msgspec

from bot.alerts.changes import Changes
from bot.store.records import (
    Commit,
    OutboxKind,
    OutboxRow,
    Sample,
    SavedState,
    StateKey,
    Watch,
    watch_rule_id,
)


class Draft:
    """Decisions in the order in which they were made, until a commit holds them.

    A state that ended takes its earlier changes and its rows that nobody was sent with it.
    """

    def __init__(self) -> None:
        self._states: dict[StateKey, SavedState] = {}
        self._ended: list[StateKey] = []
        self._samples: list[Sample] = []
        self._outbox: list[OutboxRow] = []
        self._facts: dict[str, str] = {}
        self._unwatched: list[tuple[int, int]] = []
        self._resumed: list[tuple[int, str]] = []

    def add(self, changes: Changes) -> None:
        for end in changes.ended:
            key = StateKey(end.rule_id, end.fingerprint, end.symbol)
            self._states.pop(key, None)
            self._ended.append(key)
            self._outbox = [row for row in self._outbox if not _belongs(row, key)]
        for change in changes.states:
            key = StateKey(change.rule_id, change.fingerprint, change.symbol)
            self._states[key] = SavedState(key, change.state)
        self._samples += [
            Sample(kept.symbol, kept.field, kept.time, kept.value) for kept in changes.samples
        ]

    def add_rows(self, rows: Iterable[OutboxRow]) -> None:
        self._outbox += rows

    def add_fact(self, name: str, value: str) -> None:
        self._facts[name] = value

    def add_unwatched(self, watches: Iterable[Watch]) -> None:
        """Watches that have run their course."""
        self._unwatched += [(watch.chat_id, watch.number) for watch in watches]

    def add_resumed(self, pauses: Iterable[tuple[int, str]]) -> None:
        """Pauses (chat, rule id) that are over."""
        self._resumed += pauses

    def rename(self, names: Mapping[str, str], old: int, new: int) -> None:
        """Follows a chat to its new id, and its watches' rules to theirs."""
        self._ended = [_renamed(key, names) for key in self._ended]
        renamed = [
            SavedState(_renamed(saved.key, names), saved.state) for saved in self._states.values()
        ]
        self._states = {saved.key: saved for saved in renamed}
        self._outbox = [
            msgspec.structs.replace(row, chat_id=new, rule_id=names.get(row.rule_id, row.rule_id))
            if row.chat_id == old
            else row
            for row in self._outbox
        ]
        self._unwatched = [_renumbered(watch, names) for watch in self._unwatched]
        self._resumed = [
            (new if chat_id == old else chat_id, names.get(rule_id, rule_id))
            for chat_id, rule_id in self._resumed
        ]

    @property
    def is_empty(self) -> bool:
        return not (
            self._states
            or self._ended
            or self._samples
            or self._outbox
            or self._facts
            or self._unwatched
            or self._resumed
        )

    def commit(self) -> Commit:
        """All of it as one transaction."""
        return Commit(
            states=tuple(self._states.values()),
            ended=tuple(self._ended),
            samples=tuple(self._samples),
            outbox=tuple(self._outbox),
            facts=dict(self._facts),
            unwatched=tuple(self._unwatched),
            resumed=tuple(self._resumed),
        )


def _renamed(key: StateKey, names: Mapping[str, str]) -> StateKey:
    return msgspec.structs.replace(key, rule_id=names.get(key.rule_id, key.rule_id))


def _renumbered(watch: tuple[int, int], names: Mapping[str, str]) -> tuple[int, int]:
    rule_id = watch_rule_id(*watch)
    if rule_id not in names:
        return watch
    _, chat_id, number = names[rule_id].split(":")
    return int(chat_id), int(number)


def _belongs(row: OutboxRow, key: StateKey) -> bool:
    return row.kind is OutboxKind.ALERT and (row.rule_id, row.fingerprint, row.symbol) == (
        key.rule_id,
        key.fingerprint,
        key.symbol,
    )
