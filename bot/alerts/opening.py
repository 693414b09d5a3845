"""What a recorded start opens with, and what rules that are not of the recording go on with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from bot.alerts.changes import SampleKept, StateChange
from bot.alerts.engine import Engine
from bot.alerts.lifecycle import IDLE
from bot.alerts.recorded import InForce, Start
from bot.market.catalog import Catalog
from bot.rules.rule import Rule


@dataclass(slots=True)
class Opening:
    """A group of lines from `start` or `in_force` to `begin`, as far as it has come."""

    said: Start | InForce
    obeyed: bool
    catalog: Catalog | None = None
    rules: tuple[Rule, ...] | None = None
    states: list[StateChange] = field(default_factory=list)
    samples: list[SampleKept] = field(default_factory=list)


def coming_back(opening: Opening, engine: Engine, given: Sequence[Rule] | None) -> tuple[Rule, ...]:
    """The rules that are not of the recording; one that its run has too was created then.

    As live, a rule of the file that has run out is back, to run out again.
    """
    before = {rule.id: rule for rule in engine.rules}
    recorded = identities(opening.rules)
    rules = []
    for rule in given or engine.rules:
        created = recorded.get((rule.id, rule.fingerprint))
        if created is not None:
            rules.append(replace(rule, created_at=created))
        elif rule.id in before:
            rules.append(before[rule.id])
    return tuple(rules)


def carried(opening: Opening, engine: Engine) -> tuple[list[StateChange], list[SampleKept]]:
    """What rules go on with that no recording starts: as if their run had been stopped too.

    A rule that the recording's run has too goes on with what is recorded of it.
    """
    recorded = identities(opening.rules)
    prints = {rule.id: rule.fingerprint for rule in engine.rules}
    memories = engine.symbols.values()
    own = [
        StateChange(rule_id, prints[rule_id], memory.symbol, state)
        for memory in memories
        for rule_id, state in memory.states.items()
        if rule_id in prints and (rule_id, prints[rule_id]) not in recorded and state != IDLE
    ]
    samples = [kept for memory in memories for kept in memory.samples(engine.clock)]
    waiting, waiting_samples = engine.waiting()
    own += [saved for saved in waiting if (saved.rule_id, saved.fingerprint) not in recorded]
    return opening.states + own, opening.samples + samples + waiting_samples


def identities(rules: Iterable[Rule] | None) -> dict[tuple[str, str], int]:
    """Whose states belong together, and when each was created (ms)."""
    return {(rule.id, rule.fingerprint): rule.created_at for rule in rules or ()}
