"""The life of an alert: one rule on one symbol, decided by a pure function.

    idle -> pending -> firing -> recovering -> idle
             (for)                 (keep)

Every decision names its reason, silence included.
"""

from enum import StrEnum
from typing import TypeVar

import msgspec

from bot.market.reading import Reading
from bot.rules.expression import Sides, Truth
from bot.rules.rule import Rule


class Phase(StrEnum):
    IDLE = "idle"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


class Kind(StrEnum):
    """What can be told."""

    FIRED = "fired"
    RESOLVED = "resolved"
    REMINDED = "reminded"


class Reason(StrEnum):
    """Why an evaluation told something, or told nothing."""

    NOT_MET = "not_met"
    UNKNOWN = "unknown"
    STALE = "stale"
    HOLDING = "holding"  # true, but not for long enough
    FIRED = "fired"
    COOLING_DOWN = "cooling_down"  # firing, not told while the cooldown lasts
    ALREADY_TOLD = "already_told"
    REMINDED = "reminded"
    KEEPING = "keeping"  # over, but not for long enough
    BACK_ON = "back_on"  # true again before it was over for long enough
    RESOLVED = "resolved"
    RESOLVED_SILENTLY = "resolved_silently"  # its firing was not told, or `resolved off`
    ENDED = "ended"  # `once` told, or `until` reached


class State(msgspec.Struct, frozen=True, gc=False):
    """Where one rule stands on one symbol. Times are event times in ms, 0 is never."""

    phase: Phase = Phase.IDLE
    since: int = 0  # when the condition of this episode became true
    hold_since: int = 0  # recovering: when the clear condition became true
    known_at: int = 0  # the last tick at which the truth that is being held was known
    told: bool = False  # this episode's firing was told
    fired_at: int = 0  # the last told firing, for `cooldown`
    told_at: int = 0  # the last told firing or reminder, for `repeat`
    reminders: int = 0  # told in this episode
    ended: bool = False  # `once`: it has been told
    over: Truth = None  # the clear condition at the last evaluation
    sides: Sides = ()  # of the condition's crossings
    peak: float | None = None  # the headline value furthest out in this episode


IDLE = State()
_Record = TypeVar("_Record", bound=msgspec.Struct)


def durable(state: State) -> tuple[object, ...]:
    """What a restart must find again; the rest is rebuilt by the next ticks."""
    return (
        state.phase, state.since, state.hold_since, state.told, state.fired_at, state.told_at,
        state.reminders, state.ended, state.sides,
    )  # fmt: skip


def not_after(state: State, now: int) -> State:
    """A state whose clock goes back to `now` (ms): no moment of it lies ahead.

    The beginning of an episode stays, which is its name; a hold that was under way starts again.
    """
    if state.phase is Phase.PENDING:
        state = _idle(state)
    return _with(
        state,
        hold_since=min(state.hold_since, now),
        known_at=min(state.known_at, now),
        fired_at=min(state.fired_at, now),
        told_at=min(state.told_at, now),
    )


class Step(msgspec.Struct, frozen=True, gc=False):
    """A decision: the state after it, what is to be told, and why."""

    state: State
    told: Kind | None
    reason: Reason
    episode: State = IDLE  # the episode that something is told of, as it stood then


def step(rule: Rule, state: State, reading: Reading, stale_after: int = 30_000) -> Step:
    """What one evaluation makes of a state.

    `reading.by_tick` is False where only the clock moved: then a hold is neither started,
    prolonged nor completed, only ended.
    """
    if state.ended:
        return Step(state, None, Reason.ENDED)
    if state.phase in (Phase.IDLE, Phase.PENDING):
        return _waiting(rule, state, reading, stale_after)
    return _on(rule, state, reading, stale_after)


def pay(rule: Rule, state: State, now: int) -> Step:
    """What is due of `cooldown` and `repeat` on a fresh symbol whose alert is on.

    Nothing is due unless the clear condition is known to be false.
    """
    if state.ended:
        return Step(state, None, Reason.ENDED)
    if state.phase is not Phase.FIRING or state.over is not False:
        return Step(state, None, Reason.NOT_MET)
    if not state.told:
        if _cooling(rule, state, now):
            return Step(state, None, Reason.COOLING_DOWN)
        return _tell(rule, state, now)
    if rule.options.repeat and now - state.told_at >= rule.options.repeat:
        reminded = _with(state, told_at=now, reminders=state.reminders + 1)
        return Step(reminded, Kind.REMINDED, Reason.REMINDED, reminded)
    return Step(state, None, Reason.ALREADY_TOLD)


def _waiting(rule: Rule, state: State, reading: Reading, stale_after: int) -> Step:
    now = reading.now
    truth, sides = rule.condition.evaluate(reading, state.sides)
    if sides != state.sides:
        state = _with(state, sides=sides)
    if truth is None:
        return Step(state, None, Reason.STALE if reading.stale else Reason.UNKNOWN)
    if not truth:
        if state.phase is Phase.PENDING:
            state = _idle(state)
        return Step(state, None, Reason.NOT_MET)
    if not rule.options.hold:
        return _fire(rule, _with(state, since=now), reading)
    if not reading.by_tick:
        return Step(state, None, Reason.HOLDING)
    if state.phase is Phase.IDLE or now - state.known_at > stale_after:
        state = _with(state, phase=Phase.PENDING, since=now, known_at=now)
        return Step(state, None, Reason.HOLDING)
    state = _with(state, known_at=now)
    if now - state.since >= rule.options.hold:
        return _fire(rule, state, reading)
    return Step(state, None, Reason.HOLDING)


def _fire(rule: Rule, state: State, reading: Reading) -> Step:
    if rule.condition.is_instant:  # it tells and is over; inside its cooldown it does neither
        if _cooling(rule, state, reading.now):
            return Step(_idle(state), None, Reason.COOLING_DOWN)
        told = _tell(rule, state, reading.now)
        return _with(told, state=_idle(told.state))
    state = _with(
        state,
        phase=Phase.FIRING,
        hold_since=0,
        known_at=0,
        told=False,
        reminders=0,
        over=_over(rule, reading),
    )
    state = _with_peak(rule, state, reading)
    if _cooling(rule, state, reading.now):
        return Step(state, None, Reason.COOLING_DOWN)
    return _tell(rule, state, reading.now)


def _cooling(rule: Rule, state: State, now: int) -> bool:
    """`cooldown` counts from the last firing that was told."""
    return bool(state.fired_at) and now - state.fired_at < rule.options.cooldown


def _tell(rule: Rule, state: State, now: int) -> Step:
    told = _with(state, told=True, fired_at=now, told_at=now, ended=rule.options.once)
    return Step(_idle(told) if told.ended else told, Kind.FIRED, Reason.FIRED, told)


def _on(rule: Rule, state: State, reading: Reading, stale_after: int) -> Step:
    over = _over(rule, reading)
    if over is not state.over:
        state = _with(state, over=over)
    if over is None:
        return Step(state, None, Reason.STALE if reading.stale else Reason.UNKNOWN)
    state = _with_peak(rule, state, reading)
    if state.phase is Phase.RECOVERING:
        return _recovering(rule, state, reading, stale_after)
    if not over:
        if reading.stale:  # decided by `funding` alone: nothing held is paid to a stale symbol
            return Step(state, None, Reason.STALE)
        return pay(rule, state, reading.now)
    if not rule.options.keep:
        return _resolve(rule, state)
    if reading.by_tick:
        now = reading.now
        state = _with(state, phase=Phase.RECOVERING, hold_since=now, known_at=now)
    return Step(state, None, Reason.KEEPING)


def _recovering(rule: Rule, state: State, reading: Reading, stale_after: int) -> Step:
    now = reading.now
    if not state.over:
        state = _with(state, phase=Phase.FIRING, hold_since=0, known_at=0)
        return Step(state, None, Reason.BACK_ON)
    if not reading.by_tick:
        return Step(state, None, Reason.KEEPING)
    restart = now - state.known_at > stale_after
    state = _with(state, known_at=now, hold_since=now if restart else state.hold_since)
    if now - state.hold_since >= rule.options.keep:
        return _resolve(rule, state)
    return Step(state, None, Reason.KEEPING)


def _over(rule: Rule, reading: Reading) -> Truth:
    """The clear condition; by default that the condition is not met."""
    if rule.options.clear is not None:
        return rule.options.clear.evaluate(reading)[0]
    truth = rule.condition.evaluate(reading)[0]
    return None if truth is None else not truth


def _resolve(rule: Rule, state: State) -> Step:
    if state.told and rule.tells_resolved:
        return Step(_idle(state), Kind.RESOLVED, Reason.RESOLVED, state)
    return Step(_idle(state), None, Reason.RESOLVED_SILENTLY)


def _idle(state: State) -> State:
    """What outlives an episode: the cooldown, the crossings' sides, and that it has ended."""
    return State(fired_at=state.fired_at, sides=state.sides, ended=state.ended)


def _with(value: _Record, **changes: object) -> _Record:
    return msgspec.structs.replace(value, **changes)


def _with_peak(rule: Rule, state: State, reading: Reading) -> State:
    """Keeps the headline value furthest out in the direction that fires."""
    value = rule.headline.read(reading)
    if value is None:
        return state
    sign = -1 if rule.fires_downwards else 1
    if state.peak is None or sign * value.approx > sign * state.peak:
        return _with(state, peak=value.approx)
    return state
