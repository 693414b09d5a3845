"""How one rule stands on one symbol, for people who ask why."""

from dataclasses import dataclass

from bot.alerts.lifecycle import Reason, State
from bot.market.reading import Reading
from bot.rules.expression import Part
from bot.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Look:
    """How one rule stands on one symbol, for people."""

    rule: Rule
    state: State
    reason: Reason
    parts: tuple[Part, ...]
    reading: Reading
