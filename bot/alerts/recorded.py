"""What a recording holds beside the market: the start of a run, in plain values, and back.

A run's start is a group of lines, from `start` to `begin`: the settings, then the catalog, the
rules, the states and the samples that it went on with. `in_force`, at the head of a further file
of the same run, is such a group too, with the catalog and the rules alone.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import msgspec

from bot.alerts.changes import SampleKept, StateChange
from bot.alerts.lifecycle import State
from bot.market.recording import Control, ControlError, Time
from bot.market.recording import read_body as read_market_body
from bot.rules.plain import Alias, PlainRule, RulesChange

PORTION = 500  # rules or states in one line: some 0.2 MB
_PORTION_SYMBOLS = 20_000  # in the rules of one line
_FRACTION = re.compile(r"-?\d+(/\d+)?", re.ASCII)
# Numbers of the venue are within 1e100 and quotients of two of them within 1e200 (number.py).
_LONGEST = 2_000  # characters
_SMALLEST, _LARGEST = 1e-250, 1e250


class Start(msgspec.Struct, frozen=True):
    """How a run began; times in ms. `alive_at`: the last sign of life of the run before it."""

    stale: Time
    alive_at: Time = 0
    program: str = ""


class InForce(msgspec.Struct, frozen=True):
    """What goes on as it was in the file before; `clock`: where the clock stands (ms)."""

    stale: Time
    clock: Time = 0


class SavedState(msgspec.Struct, frozen=True):
    """Where a rule stood on a symbol when the run before it ended."""

    rule: str
    fingerprint: str
    symbol: str
    state: State


class Samples(msgspec.Struct, frozen=True):
    """The minute samples of one field of one symbol: event times (ms) and exact texts."""

    symbol: str
    field: str
    at: list[Time]
    values: list[str]


BODIES: Mapping[str, msgspec.json.Decoder[Any]] = {
    "start": msgspec.json.Decoder(Start),
    "in_force": msgspec.json.Decoder(InForce),
    "rules": msgspec.json.Decoder(RulesChange),
    "states": msgspec.json.Decoder(list[SavedState]),
    "samples": msgspec.json.Decoder(Samples),
}


def read_body(control: Control) -> Any:
    """The body of a control line of a known kind.

    Raises:
        ControlError: it is not what its kind holds.
    """
    if control.kind not in BODIES:
        return read_market_body(control)
    try:
        return BODIES[control.kind].decode(control.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlError(f'the control line "{control.kind}" is malformed: {error}') from None


def rules_bodies(change: RulesChange, add: Iterable[PlainRule]) -> Iterator[RulesChange]:
    """A change of the rules with those that it adds, in portions that each make a line."""
    held: list[PlainRule] = []
    symbols = 0
    for rule in add:
        if len(held) == PORTION or symbols >= _PORTION_SYMBOLS:
            yield msgspec.structs.replace(change, add=held, more=True)
            change, held, symbols = RulesChange(), [], 0
        held.append(rule)
        symbols += len(rule.symbols)
    yield msgspec.structs.replace(change, add=held)


def states_bodies(states: Iterable[StateChange], alias: Alias) -> Iterator[list[SavedState]]:
    """Saved states in portions that each make a line."""
    portion: list[SavedState] = []
    for one in states:
        portion.append(SavedState(alias(one.rule_id), one.fingerprint, one.symbol, one.state))
        if len(portion) == PORTION:
            yield portion
            portion = []
    if portion:
        yield portion


def samples_bodies(samples: Iterable[SampleKept]) -> Iterator[Samples]:
    """Saved samples, a series at a time: a day of minutes makes one line."""
    series: dict[tuple[str, str], list[SampleKept]] = {}
    for one in samples:
        series.setdefault((one.symbol, one.field), []).append(one)
    for (symbol, field), rows in series.items():
        rows.sort(key=lambda row: row.time)
        yield Samples(symbol, field, [row.time for row in rows], [row.value for row in rows])


def state_changes(saved: Iterable[SavedState]) -> list[StateChange]:
    return [StateChange(one.rule, one.fingerprint, one.symbol, one.state) for one in saved]


def samples_kept(saved: Samples) -> list[SampleKept]:
    """The samples of a line.

    Raises:
        ControlError: a value is no fraction, or there are more of one than of the other.
    """
    try:
        rows = [(time, _exact(value)) for time, value in zip(saved.at, saved.values, strict=True)]
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise ControlError(f'the control line "samples" is malformed: {error}') from None
    return [SampleKept(saved.symbol, saved.field, time, str(value)) for time, value in rows]


def _exact(text: str) -> Fraction:
    if len(text) > _LONGEST or _FRACTION.fullmatch(text) is None:
        raise ValueError(f"{text[:40]}: no fraction")
    value = Fraction(text)
    if value and not _SMALLEST < abs(float(value)) < _LARGEST:
        raise ValueError(f"{text[:40]}…: no value of a field")
    return value
