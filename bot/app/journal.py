"""What is written down of all that decides, so that a replay decides the same."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bot.market.catalog import Catalog
from bot.market.inbox import Received
from bot.market.tick import Tick
from bot.rules.rule import Rule


class Journal(Protocol):
    """Told of everything that goes into the engine, in that order, just before it does."""

    def rows(self, ticks: Sequence[Tick], frames: Sequence[Received]) -> None:
        """Ticks that are decided on. `frames` are what they came in; empty for ticks from REST."""

    def advance(self, now: int) -> None:
        """The clock (ms)."""

    def anew(self, now: int) -> None:
        """The clock went back to `now` (ms)."""

    def catalog(self, catalog: Catalog) -> None:
        """Another catalog is in force."""

    def rules(self, rules: Sequence[Rule]) -> None:
        """Other rules are in force."""

    def renamed(self, names: Mapping[str, str], rules: Sequence[Rule]) -> None:
        """Rules have other ids; their states stay."""


class NoJournal:
    """A run that is not recorded."""

    def rows(self, ticks: Sequence[Tick], frames: Sequence[Received]) -> None: ...

    def advance(self, now: int) -> None: ...

    def anew(self, now: int) -> None: ...

    def catalog(self, catalog: Catalog) -> None: ...

    def rules(self, rules: Sequence[Rule]) -> None: ...

    def renamed(self, names: Mapping[str, str], rules: Sequence[Rule]) -> None: ...


NO_JOURNAL = NoJournal()
