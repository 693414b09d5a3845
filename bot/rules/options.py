"""The options of a rule, the same words in the chat and in the rules file."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from bot.market.reading import Kind
from bot.rules.expression import Comparison, Condition, Not
from bot.rules.nearest import hint, quoted
from bot.rules.parser import (
    ConditionError,
    parse_condition,
    parse_duration,
    parse_quantity,
)
from bot.rules.quantity import threshold
from bot.rules.rule import Options, Severity, loosens

LONGEST_NOTE = 500  # characters
_SWITCH = {"on": True, "true": True, "off": False, "false": False}
# What no message, database or terminal takes: control characters but tab and newline, and halves
# of surrogate pairs.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_MOMENT = re.compile(r"\d{4}-|\d{8}(?:T|$)", re.ASCII)  # as ISO 8601 begins; else a duration
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MOMENT = 250 * 10**12  # ms since 1970, the year 9892: whatever its zone, it prints back


@dataclass(frozen=True, slots=True)
class OptionProblem:
    """What is wrong with one option; `column` counts from 1 within its text."""

    word: str
    message: str
    column: int = 1


def read_options(
    texts: Mapping[str, str], condition: Condition | None, timezone: str = "UTC"
) -> tuple[Options, list[OptionProblem]]:
    """The options that the texts behind the words state, and everything that is wrong with them.

    `condition` is None where it could not be read: then `clear` is not judged against it.
    `once` and `quiet` have the text `true` or `false`.
    """
    found: dict[str, Any] = {}
    problems: list[OptionProblem] = []
    for word, text in texts.items():
        try:
            if condition is not None and condition.is_instant:
                _check_instant(word, text)
            if word == "clear":
                found["clear"] = read_clear(text, condition)
            else:
                found |= READERS[word](text, timezone)
        except ConditionError as error:
            problems.append(OptionProblem(word, error.message, error.column))
    return Options(**found), problems


def read_clear(text: str, condition: Condition | None) -> Condition | None:
    """What resolves: a condition, or a bare quantity that replaces the condition's threshold.

    None is no clear of its own: what `0s` says unless the rule compares a time.

    Raises:
        ConditionError: with the column and what was expected there.
    """
    if not is_quantity(text):
        clear = parse_condition(text)
        if clear.is_instant:
            raise ConditionError("a crossing is an instant and cannot clear; write a comparison", 1)
        return clear
    if condition is None:
        return None
    root = condition.root
    cancels = text.strip() == "0s"
    if not isinstance(root, Comparison):
        if cancels:
            return None
        raise ConditionError(
            "a bare quantity clears only a rule of one comparison without not; "
            "write a condition, as in clear rate < 0.03%",
            1,
        )
    if cancels and root.term.kind is not Kind.TIME:
        return None
    moved = Comparison(root.term, root.operator, threshold(parse_quantity(text, root.term.kind)))
    if not loosens(root, moved):
        side = "at or below" if root.operator in (">", ">=") else "at or above"
        raise ConditionError(
            f"a clear of {root} lies {side} its threshold, found {quoted(text.strip())}", 1
        )
    return Condition(Not(moved))


def is_quantity(text: str) -> bool:
    """Whether a clear is a bare quantity, not a condition."""
    return re.match(r"\s*[-+−－＋]?\s*[.\d]", text) is not None


def default_fits(word: str, text: str, condition: Condition) -> bool:
    """A default that a rule cannot take is passed over."""
    if condition.is_instant and word in ("for", "keep", "clear"):
        return False
    if word != "clear":
        return True
    try:
        read_clear(text, condition)
    except ConditionError:
        return False
    return True


def no_quantity(text: str) -> ConditionError | None:
    """Why a quantity is one of no field at all; None where it is one of some."""
    first = None
    for kind in Kind:
        try:
            parse_quantity(text, kind)
        except ConditionError as error:
            first = first or error
        else:
            return None
    return first


def is_nothing(text: str) -> bool:
    """A duration of 0, which cancels a default."""
    try:
        return parse_duration(text) == 0
    except ConditionError:
        return False


def check_text(text: str) -> None:
    """Refuses what cannot be sent or stored.

    Raises:
        ConditionError: with the column of the character.
    """
    found = _CONTROL.search(text)
    if found:
        raise ConditionError(f"a control character, {quoted(found[0])}", found.start() + 1)


@lru_cache(maxsize=1)
def timezones() -> Mapping[str, None]:
    """The names of the time zones that are known here."""
    return MappingProxyType(dict.fromkeys(sorted(available_timezones())))


def _check_instant(word: str, text: str) -> None:
    if word in ("for", "keep", "clear") and not is_nothing(text):
        raise ConditionError(
            f"a crossing is an instant and takes no {word}; compare with > or < instead", 1
        )


def _duration(name: str) -> Callable[[str, str], dict[str, Any]]:
    return lambda text, _: {name: parse_duration(text)}


def _until(text: str, timezone: str) -> dict[str, Any]:
    if not _MOMENT.match(text.strip()):
        return {"lifetime": parse_duration(text) or None}
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(timezone))
        milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        milliseconds = 0
    if not 0 < milliseconds < _LAST_MOMENT:
        raise ConditionError(
            f"expected a date, as in 2026-12-31 or 2026-12-31T08:00, found {quoted(text)}", 1
        )
    return {"until": milliseconds}


def _severity(text: str, _: str) -> dict[str, Any]:
    word = text.strip().lower()
    known = [str(severity) for severity in Severity]
    if word not in known:
        raise ConditionError(
            f"expected info, warning or critical, found {quoted(text)}; {hint(word, known)}", 1
        )
    return {"severity": Severity(word)}


def _switch(name: str) -> Callable[[str, str], dict[str, Any]]:
    def read(text: str, _: str) -> dict[str, Any]:
        word = text.strip().lower()
        if word not in _SWITCH:
            raise ConditionError(f"expected on or off, found {quoted(text)}", 1)
        return {name: _SWITCH[word]}

    return read


def _note(text: str, _: str) -> dict[str, Any]:
    check_text(text)
    if len(text) > LONGEST_NOTE:
        raise ConditionError(f"a note longer than {LONGEST_NOTE} characters", LONGEST_NOTE + 1)
    return {"note": text}


READERS: Mapping[str, Callable[[str, str], dict[str, Any]]] = {
    "for": _duration("hold"),
    "keep": _duration("keep"),
    "cooldown": _duration("cooldown"),
    "repeat": _duration("repeat"),
    "once": _switch("once"),
    "until": _until,
    "severity": _severity,
    "quiet": _switch("quiet"),
    "resolved": _switch("resolved"),
    "note": _note,
}
WORDS = ("for", "clear", *list(READERS)[1:])
DURATIONS = ("for", "keep", "cooldown", "repeat")
