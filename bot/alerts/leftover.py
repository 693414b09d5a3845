"""What an earlier run left, waiting for the first tick of its symbol."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import msgspec

from bot.alerts.changes import Ended, SampleKept, StateChange
from bot.alerts.lifecycle import Phase, State
from bot.market.catalog import Catalog


class Leftover:
    """Saved states and minute samples by symbol."""

    def __init__(self) -> None:
        self._states: dict[str, list[StateChange]] = {}
        self._samples: dict[str, list[tuple[str, int, str]]] = {}

    def keep(
        self, states: Iterable[StateChange], samples: Iterable[SampleKept], alive_at: int, gap: int
    ) -> None:
        """Takes states and samples; `alive_at` is the last sign of life (ms).

        A hold whose truth was known up to that moment, give or take `gap` (ms), counts as known
        at it: only the downtime that followed can break it.
        """
        for saved in states:
            kept = replace(saved, state=_woken(saved.state, alive_at, gap))
            self._states.setdefault(saved.symbol, []).append(kept)
        for sample in sorted(samples, key=lambda sample: sample.time):
            row = (sample.field, sample.time, sample.value)
            self._samples.setdefault(sample.symbol, []).append(row)

    def take(self, symbol: str) -> tuple[list[StateChange], list[tuple[str, int, str]]]:
        """The states and samples of a symbol that has come; they wait no longer."""
        return self._states.pop(symbol, []), self._samples.pop(symbol, [])

    def state(self, rule_id: str, symbol: str) -> State | None:
        """How a rule stood on a symbol that has not come yet."""
        saved = self._states.get(symbol, ())
        return next((change.state for change in saved if change.rule_id == rule_id), None)

    def waiting(self) -> tuple[list[StateChange], list[SampleKept]]:
        """What still waits for its symbol."""
        states = [saved for each in self._states.values() for saved in each]
        rows = [(symbol, row) for symbol, each in self._samples.items() for row in each]
        return states, [SampleKept(symbol, *row) for symbol, row in rows]

    def end(self, rule_ids: Collection[str], catalog: Catalog) -> list[Ended]:
        """Lets go of the states of rules that are no more."""
        ended: list[Ended] = []
        for symbol, saved in self._states.items():
            gone = [change for change in saved if change.rule_id in rule_ids]
            self._states[symbol] = [change for change in saved if change not in gone]
            ended += (ended_of(change, catalog) for change in gone)
        return ended

    def end_gone(self, catalog: Catalog) -> list[Ended]:
        """Lets go of the states of contracts that are no longer traded."""
        gone = [symbol for symbol in self._states if catalog.trades(symbol) is False]
        return [ended_of(saved, catalog) for symbol in gone for saved in self._states.pop(symbol)]

    def rename(self, names: Mapping[str, str]) -> None:
        """Follows rules to new ids."""
        for symbol, saved in self._states.items():
            self._states[symbol] = [
                replace(change, rule_id=names.get(change.rule_id, change.rule_id))
                for change in saved
            ]


def ended_of(change: StateChange, catalog: Catalog) -> Ended:
    gone = catalog.trades(change.symbol) is False
    return Ended(change.rule_id, change.fingerprint, change.symbol, change.state, gone)


def _woken(state: State, alive_at: int, gap: int) -> State:
    held = state.phase in (Phase.PENDING, Phase.RECOVERING)
    unbroken = held and state.known_at < alive_at <= state.known_at + gap
    known_at = alive_at if unbroken else state.known_at
    return msgspec.structs.replace(state, known_at=known_at, over=None)
