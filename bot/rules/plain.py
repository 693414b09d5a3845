"""Rules as plain data and back: what decides and what people call it, but never whom it tells.

A recording holds rules so. A note decides nothing either and may be private: it stays out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from bot.rules.options import WORDS, read_options
from bot.rules.parser import ConditionError, parse_condition
from bot.rules.rule import Rule, option_words
from bot.rules.selector import Selection

FILE = "file:"  # how the id of a rule of the file begins; any other one names a chat
_FLAGS = ("once", "quiet")
Alias = Callable[[str], str]  # a rule's id into one that names no chat


class PlainRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule in the words of the rule language; `created_at` in epoch ms."""

    id: str
    name: str
    symbols: list[str]  # groups opened; excluded ones behind a `!`
    when: str
    options: list[str] = []  # "for 30s", "clear 0.03%", "once"
    created_at: int = 0


class RulesChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Other rules, told by what differs: from position `at` on, `drop` rules give way to `add`.

    `drop` None: all that follow. `names`: old ids to new ones, whose states stay; None: it is no
    renaming. With `more` the next change goes on with `add`; what all of them say becomes true at
    once.
    """

    at: Annotated[int, msgspec.Meta(ge=0)] = 0
    drop: Annotated[int, msgspec.Meta(ge=0)] | None = None
    add: list[PlainRule] = []
    names: dict[str, str] | None = None
    more: bool = False


def plain(rule: Rule, alias: Alias) -> PlainRule:
    selection = rule.selection
    return PlainRule(
        alias(rule.id),
        rule.name,
        [*selection.include, *(f"!{entry}" for entry in selection.exclude)],
        rule.condition.text,
        option_words(rule.condition, rule.options),
        rule.created_at,
    )


def rule_of(data: PlainRule) -> Rule:
    """The rule, without targets and note.

    Raises:
        ValueError: a condition or an option cannot be read.
    """
    try:
        condition = parse_condition(data.when)
    except ConditionError as error:
        raise ValueError(f"rule {data.name}: {error.message}") from None
    texts = dict(map(_option, data.options))
    if unknown := texts.keys() - set(WORDS):
        raise ValueError(f"rule {data.name}: {min(unknown)}: no option of this version")
    options, problems = read_options(texts, condition)
    if problems:
        raise ValueError(f"rule {data.name}: {problems[0].word}: {problems[0].message}")
    include = tuple(entry for entry in data.symbols if not entry.startswith("!"))
    exclude = tuple(entry[1:] for entry in data.symbols if entry.startswith("!"))
    selection = Selection(include, exclude)
    return Rule(data.id, data.name, selection, condition, options, (), data.created_at)


def _option(words: str) -> tuple[str, str]:
    word, _, text = words.partition(" ")
    return word, "true" if word in _FLAGS else text


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a list of rules became another one."""

    at: int
    drop: int
    add: tuple[Rule, ...]


def difference(old: Sequence[Rule], new: Sequence[Rule]) -> Difference:
    """The shortest stretch by which two lists differ."""
    shorter = min(len(old), len(new))
    start = end = 0
    while start < shorter and _same(old[start], new[start]):
        start += 1
    while end < shorter - start and _same(old[-1 - end], new[-1 - end]):
        end += 1
    return Difference(start, len(old) - start - end, tuple(new[start : len(new) - end]))


def _same(one: Rule, other: Rule) -> bool:
    return one is other or one == other


def changed(old: Sequence[Rule], change: RulesChange, added: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules after a change whose rules are `added`.

    Raises:
        ValueError: it belongs to other rules than the old ones, or two would have one id.
    """
    drop = len(old) - change.at if change.drop is None else change.drop
    if not 0 <= drop <= len(old) - change.at:
        raise ValueError(f"it changes rules that are not there ({len(old)} are)")
    rules = (*old[: change.at], *added, *old[change.at + drop :])
    if len({rule.id for rule in rules}) < len(rules):
        raise ValueError("two rules have one id")
    return rules


def aliased(names: Mapping[str, str], alias: Alias) -> dict[str, str]:
    return {alias(old): alias(new) for old, new in names.items()}
