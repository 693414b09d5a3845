"""The book of rules: the file's, then the chats' watches; swapped whole, never changed in place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from bot.rules.rule import Rule


@dataclass(frozen=True)
class Book:
    """File rules in file order, then watches in the order of their creation."""

    file_rules: tuple[Rule, ...] = ()
    watch_rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, file_rules: Iterable[Rule], watch_rules: Iterable[Rule] = ()) -> "Book":
        return cls(tuple(file_rules), tuple(watch_rules))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        return self.file_rules + self.watch_rules

    @cached_property
    def _by_id(self) -> dict[str, Rule]:
        return {rule.id: rule for rule in self.rules}

    def rule(self, rule_id: str) -> Rule | None:
        return self._by_id.get(rule_id)

    def with_watch(self, rule: Rule) -> "Book":
        """The book with one more watch; a watch of the same id is replaced in its place."""
        if self.rule(rule.id) is None:
            return replace(self, watch_rules=(*self.watch_rules, rule))
        watches = (rule if watch.id == rule.id else watch for watch in self.watch_rules)
        return replace(self, watch_rules=tuple(watches))

    def without_watch(self, rule_id: str) -> "Book":
        watches = (watch for watch in self.watch_rules if watch.id != rule_id)
        return replace(self, watch_rules=tuple(watches))

    def with_file_rules(self, rules: Iterable[Rule]) -> "Book":
        return replace(self, file_rules=tuple(rules))


@dataclass(frozen=True, slots=True)
class Change:
    """A rule that kept its id and is not the same."""

    old: Rule
    new: Rule

    @property
    def decides(self) -> bool:
        """What decides is another: its states end and it starts afresh."""
        return self.old.fingerprint != self.new.fingerprint


@dataclass(frozen=True, slots=True)
class RulesDiff:
    """What a reload changes, each in the order of the new rules (`removed`: of the old)."""

    added: tuple[Rule, ...]
    removed: tuple[Rule, ...]
    changed: tuple[Change, ...]
    kept: tuple[Rule, ...]  # as they were, wherever they stand now

    def __str__(self) -> str:
        return f"+{len(self.added)} −{len(self.removed)} ~{len(self.changed)}"


def diff(old_rules: Iterable[Rule], new_rules: Iterable[Rule]) -> RulesDiff:
    """Compares rules by id; when they were created makes no difference."""
    old = {rule.id: rule for rule in old_rules}
    new = {rule.id: rule for rule in new_rules}
    pairs = [Change(old[rule_id], rule) for rule_id, rule in new.items() if rule_id in old]
    same = [replace(pair.old, created_at=0) == replace(pair.new, created_at=0) for pair in pairs]
    return RulesDiff(
        added=tuple(rule for rule_id, rule in new.items() if rule_id not in old),
        removed=tuple(rule for rule_id, rule in old.items() if rule_id not in new),
        changed=tuple(pair for pair, equal in zip(pairs, same, strict=True) if not equal),
        kept=tuple(pair.new for pair, equal in zip(pairs, same, strict=True) if equal),
    )


def created_key(rule: Rule) -> str:
    """Whose first appearance counts: a rule and what it decides by."""
    return f"{rule.id}#{rule.fingerprint}"


def with_created(rules: Iterable[Rule], known: Mapping[str, int], now: int) -> tuple[Rule, ...]:
    """The rules with the time (epoch ms) of their first appearance; `now` for a new one.

    `known` maps `created_key` to that time.
    """
    return tuple(replace(rule, created_at=known.get(created_key(rule), now)) for rule in rules)
