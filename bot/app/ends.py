"""Alerts that ended without being over, and whose messages are to say so."""

import logging
from collections.abc import Iterable, Mapping
from itertools import islice

import msgspec

from bot.alerts.changes import Ended, StateChange
from bot.alerts.engine import Engine
from bot.alerts.lifecycle import Kind, Phase
from bot.app.desk import Desk
from bot.app.followup import ended_edit
from bot.market.catalog import Catalog
from bot.store.port import Store, StoreError
from bot.store.records import Commit, OutboxRow, OutboxStatus, StateKey, watch_rule_id

ENDS = "ended_alerts"  # the fact that keeps those whose messages do not say it yet
MOST = 100  # ends looked at in one go
_log = logging.getLogger(__name__)


class End(msgspec.Struct, frozen=True, array_like=True):
    """An episode that ended so; its `since` tells it from others."""

    rule_id: str
    symbol: str
    episode: int


class Ends:
    """Keeps the ends until each message that tells of them has its edit in the outbox.

    A message on its way when its rule ends has no id yet: it is edited once it has arrived.
    """

    def __init__(self, store: Store, desk: Desk) -> None:
        self._store = store
        self._desk = desk
        self._waiting: dict[End, None] = {}
        self._said: set[int] = set()  # outbox ids of alerts whose message says it
        self.is_new = False  # something came since the last `mark`

    def restore(self, facts: Mapping[str, str]) -> None:
        """Takes those that an earlier run left."""
        kept = facts.get(ENDS) or "[]"
        try:
            self._waiting = dict.fromkeys(msgspec.json.decode(kept, type=list[End]))
        except msgspec.DecodeError:
            _log.warning("The ends of alerts that were kept cannot be read: %.200s", kept)
        self.is_new = bool(self._waiting)

    def note(self, ends: Iterable[Ended]) -> dict[str, str]:
        """Takes those that somebody was told of; the fact that is to be stored with them."""
        told = _told(ends)
        if not told:
            return {}
        self._waiting |= told
        self.is_new = True
        return _fact(self._waiting)

    def with_watches(
        self, watches: Iterable[tuple[int, int]], engine: Engine
    ) -> tuple[tuple[StateKey, ...], dict[str, str]]:
        """What ends where these watches go, and the fact as it will be then.

        It belongs into the commit without them: from there on nothing of them is sent.
        """
        ids = {watch_rule_id(*watch) for watch in watches}
        rules = [rule for rule in self._desk.book.watch_rules if rule.id in ids]
        if not rules:
            return (), {}
        keys = tuple(StateKey(rule.id, rule.fingerprint, "") for rule in rules)
        return keys, _fact(self._waiting | _told(engine.states_of(ids)))

    def rename(self, names: Mapping[str, str]) -> dict[str, str]:
        """Follows rules to their new ids; the fact as it is then, empty where none waits."""
        self._waiting = {
            msgspec.structs.replace(end, rule_id=names.get(end.rule_id, end.rule_id)): None
            for end in self._waiting
        }
        return _fact(self._waiting) if self._waiting else {}

    async def mark(self, catalog: Catalog, now: int) -> None:
        """Stores the edits of messages that have arrived; what the store cannot take waits.

        A message is edited once for all of its alerts that ended. Only so many ends are looked
        at in one go: decisions wait meanwhile.
        """
        looked = list(islice(self._waiting, MOST))
        edits: list[OutboxRow] = []
        said = set(self._said)
        under_way: dict[End, None] = {}
        try:
            for end in looked:
                rows = await self._store.episode_rows(end.rule_id, end.symbol, end.episode)
                for row in (row for row in rows if row.event == Kind.FIRED):
                    if row.status is OutboxStatus.LEASED:
                        under_way[end] = None
                    if row.message_id is None or row.id in said:
                        continue
                    edit, ids = await ended_edit(self._store, row, self._desk, catalog, now)
                    edits.append(edit)
                    said |= ids
            seen = set(looked)
            left = {end: None for end in self._waiting if end not in seen} | under_way
            if len(left) < len(self._waiting):
                await self._store.commit(Commit(outbox=tuple(edits), facts=_fact(left)))
        except StoreError:
            return
        self.is_new = len(looked) < len(self._waiting)
        self._waiting, self._said = left, said if left else set()


def _told(ends: Iterable[Ended | StateChange]) -> dict[End, None]:
    return {
        End(end.rule_id, end.symbol, end.state.since): None
        for end in ends
        if end.state.told and end.state.phase is not Phase.IDLE
    }


def _fact(ends: Iterable[End]) -> dict[str, str]:
    return {ENDS: msgspec.json.encode(list(ends)).decode()}
