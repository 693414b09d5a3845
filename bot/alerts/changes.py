"""What the engine asks to be kept: states, ends and samples, as values."""

from dataclasses import dataclass, field

from bot.alerts.lifecycle import State


@dataclass(frozen=True, slots=True)
class StateChange:
    rule_id: str
    fingerprint: str
    symbol: str
    state: State


@dataclass(frozen=True, slots=True)
class Ended:
    """A state that is no more, and the state as it was: removed, edited, deselected or expired.

    `gone`: the contract is no longer traded; the rule is as it was.
    """

    rule_id: str
    fingerprint: str
    symbol: str
    state: State
    gone: bool = False


@dataclass(frozen=True, slots=True)
class SampleKept:
    """The first known value of a field in a UTC minute, as an exact fraction's text."""

    symbol: str
    field: str
    time: int
    value: str


@dataclass(slots=True)
class Changes:
    """What must be kept since it was last asked for."""

    states: list[StateChange] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    samples: list[SampleKept] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)  # ids of rules that `until` has ended
