"""The pure lifecycle, as tables of what a reading makes of a state."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.lifecycle import IDLE, Kind, Phase, Reason, State, pay, step
from tests.alerts.build import START, reading, rule

HIGH, LOW, UNKNOWN = "0.002", "0.0001", ""
S = 1000


def run(options: dict[str, Any], readings: list[tuple[Any, ...]]) -> list[tuple[str, str]]:
    """(phase, reason) after each (seconds, rate[, keywords]) reading of `rate > 0.1%`."""
    watched, state, seen = rule("rate > 0.1%", **options), IDLE, []
    for at, rate, *keywords in readings:
        result = step(watched, state, reading(at, rate, **(keywords[0] if keywords else {})))
        state = result.state
        seen.append((state.phase.value, result.reason.value))
    return seen


CLOCK: dict[str, Any] = {"by_tick": False}
STALE: dict[str, Any] = {"stale": True}

CASES: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]], list[str]]] = {
    "fires at once, is told once, and resolves": (
        {},
        [(0, LOW), (1, HIGH), (2, HIGH), (3, UNKNOWN), (4, LOW), (5, LOW)],
        ["idle not_met", "firing fired", "firing already_told", "firing unknown",
         "idle resolved", "idle not_met"],
    ),
    "stale data neither fires nor resolves": (
        {},
        [(0, HIGH, STALE), (1, HIGH), (2, LOW, STALE), (3, LOW)],
        ["idle stale", "firing fired", "firing stale", "idle resolved"],
    ),
    "a hold is earned by ticks": (
        {"hold": 3 * S},
        [(0, HIGH), (1, HIGH), (2, HIGH, CLOCK), (9, HIGH, CLOCK), (10, HIGH)],
        ["pending holding", "pending holding", "pending holding", "pending holding",
         "firing fired"],
    ),
    "an advance starts no hold but may end one": (
        {"hold": 3 * S},
        [(0, HIGH, CLOCK), (1, HIGH), (2, LOW, CLOCK), (3, HIGH)],
        ["idle holding", "pending holding", "idle not_met", "pending holding"],
    ),
    "unknown does not end a hold, a gap over 30 s restarts it": (
        {"hold": 40 * S},
        [(0, HIGH), (20, UNKNOWN), (30, HIGH), (61, HIGH), (100, UNKNOWN), (91, HIGH), (101, HIGH)],
        ["pending holding", "pending unknown", "pending holding", "pending holding",
         "pending unknown", "pending holding", "firing fired"],
    ),
    "keep holds the end back and a return is silent": (
        {"keep": 2 * S},
        [(0, HIGH), (1, LOW), (2, HIGH), (3, LOW), (4, LOW, CLOCK), (5, LOW)],
        ["firing fired", "recovering keeping", "firing back_on", "recovering keeping",
         "recovering keeping", "idle resolved"],
    ),
    "an advance does not start to recover, and brings back what recovers": (
        {"keep": 2 * S},
        [(0, HIGH), (1, LOW, CLOCK), (2, LOW), (3, HIGH, CLOCK)],
        ["firing fired", "firing keeping", "recovering keeping", "firing back_on"],
    ),
    "a gap over 30 s restarts a keep": (
        {"keep": 40 * S},
        [(0, HIGH), (1, LOW), (32, LOW), (60, LOW), (72, LOW)],
        ["firing fired", "recovering keeping", "recovering keeping", "recovering keeping",
         "idle resolved"],
    ),
    "a firing inside the cooldown is held, then told when it is over": (
        {"cooldown": 10 * S},
        [(0, HIGH), (1, LOW), (2, HIGH), (9, HIGH), (10, HIGH), (11, LOW)],
        ["firing fired", "idle resolved", "firing cooling_down", "firing cooling_down",
         "firing fired", "idle resolved"],
    ),
    "what resolves while held is told by neither message": (
        {"cooldown": 10 * S},
        [(0, HIGH), (1, LOW), (2, HIGH), (3, LOW), (11, LOW)],
        ["firing fired", "idle resolved", "firing cooling_down", "idle resolved_silently",
         "idle not_met"],
    ),
    "a reminder comes each time repeat has passed since the last telling": (
        {"repeat": 5 * S},
        [(0, HIGH), (4, HIGH), (5, HIGH), (9, HIGH), (10, HIGH, CLOCK)],
        ["firing fired", "firing already_told", "firing reminded", "firing already_told",
         "firing reminded"],
    ),
    "once ends it with the first telling": (
        {"once": True},
        [(0, HIGH), (1, LOW), (2, HIGH)],
        ["idle fired", "idle ended", "idle ended"],
    ),
    "resolved off is silent": (
        {"resolved": False},
        [(0, HIGH), (1, LOW)],
        ["firing fired", "idle resolved_silently"],
    ),
    "hysteresis keeps it on between the two thresholds": (
        {"clear": "not rate > 0.05%"},
        [(0, HIGH), (1, "0.0006"), (2, "0.0005"), (3, "0.0006")],
        ["firing fired", "firing already_told", "idle resolved", "idle not_met"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_lifecycle(name: str) -> None:
    options, readings, expected = CASES[name]
    assert [" ".join(pair) for pair in run(options, readings)] == expected


def test_a_crossing_is_an_instant_that_never_resolves() -> None:
    watched, state, seen = rule("rate crosses above 0.1%", cooldown=5 * S), IDLE, []
    for at, rate in enumerate([HIGH, LOW, HIGH, LOW, HIGH, UNKNOWN, LOW, UNKNOWN, HIGH]):
        result = step(watched, state, reading(at, rate))
        state = result.state
        assert state.phase is Phase.IDLE
        seen.append(result.told)
    # first unknown, told, inside the cooldown, and told again after it (across a gap)
    assert seen == [None, None, Kind.FIRED, None, None, None, None, None, Kind.FIRED]


def test_the_episode_of_a_held_firing_keeps_when_it_became_true() -> None:
    watched, state = rule("rate > 0.1%", cooldown=10 * S), IDLE
    for at, rate in [(0, HIGH), (1, LOW), (3, HIGH)]:
        state = step(watched, state, reading(at, rate)).state
    told = step(watched, state, reading(12, HIGH))
    assert (told.told, told.episode.since) == (Kind.FIRED, START + 3 * S)
    assert told.state.fired_at == START + 12 * S


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State(phase=Phase.FIRING, told=False, fired_at=START, over=False), Reason.COOLING_DOWN),
        (State(phase=Phase.FIRING, told=False, over=None), Reason.NOT_MET),
        (State(phase=Phase.FIRING, told=False, over=True), Reason.NOT_MET),
        (State(phase=Phase.RECOVERING, told=False, over=True), Reason.NOT_MET),
        (State(phase=Phase.FIRING, told=False, over=False), Reason.FIRED),
        (State(phase=Phase.FIRING, told=True, told_at=START, over=False), Reason.ALREADY_TOLD),
        (State(phase=Phase.FIRING, told=True, told_at=START - 9 * S, over=False), Reason.REMINDED),
        (State(ended=True), Reason.ENDED),
    ],
)
def test_what_is_due_is_paid_only_while_it_is_known_to_be_on(state: State, reason: Reason) -> None:
    watched = rule("rate > 0.1%", cooldown=10 * S, repeat=10 * S)
    assert pay(watched, state, START + S).reason is reason


def test_the_peak_is_the_furthest_value_of_the_episode() -> None:
    watched, state = rule("rate < -0.1%"), IDLE
    for at, rate in enumerate(["-0.002", "-0.004", "-0.003"]):
        state = step(watched, state, reading(at, rate)).state
    resolved = step(watched, state, reading(9, "0"))
    assert resolved.told is Kind.RESOLVED
    assert resolved.episode.peak == -0.004


@given(
    options=st.fixed_dictionaries(
        {
            "hold": st.sampled_from([0, 2 * S, 5 * S]),
            "keep": st.sampled_from([0, 2 * S, 5 * S]),
            "cooldown": st.sampled_from([0, 7 * S]),
            "repeat": st.sampled_from([0, 3 * S]),
            "once": st.booleans(),
        }
    ),
    moves=st.lists(
        st.tuples(
            st.integers(1, 40),
            st.sampled_from([HIGH, LOW, UNKNOWN]),
            st.booleans(),
            st.booleans(),
        ),
        max_size=60,
    ),
)
def test_messages_alternate_and_nothing_is_told_of_what_is_unknown(
    options: dict[str, Any], moves: list[tuple[int, str, bool, bool]]
) -> None:
    """One message when it becomes true, one when it is over, reminders only in between."""
    watched, state, at = rule("rate > 0.1%", **options), IDLE, 0
    on, told_at = False, None
    for seconds, rate, by_tick, stale in moves:
        at += seconds
        now = reading(at, rate, by_tick=by_tick, stale=stale)
        result = step(watched, state, now)
        state = result.state
        if result.told is None:
            continue
        assert not stale
        assert rate != UNKNOWN
        assert on is (result.told is not Kind.FIRED)
        assert (rate == HIGH) is (result.told is not Kind.RESOLVED)
        if result.told is Kind.FIRED:
            assert told_at is None or now.now - told_at >= options["cooldown"]
            told_at = now.now
        on = result.told is not Kind.RESOLVED
        if options["once"]:
            assert result.told is Kind.FIRED
            assert state.ended
