"""A rule: which symbols, which condition, which options, and who is told."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from math import floor

from bot.market.number import compare
from bot.market.reading import Kind
from bot.rules.expression import Comparison, Condition, Crossing, Not, Term, leaves
from bot.rules.quantity import duration_text, quantity_text
from bot.rules.selector import Selection


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes: a chat and, in a group with topics, one of them."""

    chat_id: int
    topic: int | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat of the rules file; language and zone None: as the chat itself has set them."""

    name: str
    target: Target
    language: str | None = None
    timezone: str | None = None


@dataclass(frozen=True)
class Options:
    """What a rule says beside its condition. Durations are ms, 0 is none; times are epoch ms."""

    hold: int = 0  # `for`: how long it must be true before it fires
    clear: Condition | None = None  # resolves when this is true; None: when the condition is not
    keep: int = 0  # how long it must be over before it resolves
    cooldown: int = 0  # least time between two firings told
    repeat: int = 0  # a reminder while it stays on
    once: bool = False  # the first told firing ends the rule for that symbol
    until: int | None = None  # the moment at which the rule ends
    lifetime: int | None = None  # `until D`: ms from the rule's creation
    severity: Severity = Severity.INFO
    quiet: bool = False  # no sound
    resolved: bool | None = None  # None: as the condition suggests
    note: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule as the engine runs it.

    `id` is "file:<name>" for a rule of the file and "watch:<chat id>:<number>" for a chat's
    watch; `name` is what people read. `created_at` (epoch ms) counts for `until D`; 0: not known
    yet.
    """

    id: str
    name: str
    selection: Selection
    condition: Condition
    options: Options = field(default_factory=Options)
    targets: tuple[Target, ...] = ()
    created_at: int = 0

    @cached_property
    def fingerprint(self) -> str:
        """Names what decides: condition and deciding options. State belongs to it."""
        options = self.options
        parts = (
            self.condition.text, options.hold, options.clear and options.clear.text, options.keep,
            options.cooldown, options.repeat, options.once, options.until, options.lifetime,
            self.tells_resolved,
        )  # fmt: skip
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    @cached_property
    def tells_resolved(self) -> bool:
        """Told unless switched off; never of a crossing, by default not of `funding` alone."""
        if self.condition.is_instant:
            return False
        if self.options.resolved is not None:
            return self.options.resolved
        return self.condition.fields != ("funding",)

    @cached_property
    def mentions_funding(self) -> bool:
        """Its truth moves with the clock: in the condition or in what clears it."""
        clear = self.options.clear
        return self.condition.mentions_funding or (clear is not None and clear.mentions_funding)

    @cached_property
    def headline(self) -> Term:
        """The term that matters most to a reader: the first that is not a time."""
        terms = self.condition.terms
        return next((term for term in terms if term.kind is not Kind.TIME), terms[0])

    @cached_property
    def fires_downwards(self) -> bool:
        """Whether smaller headline values are the further out."""
        for leaf in leaves(self.condition.root):
            if leaf.term == self.headline:
                word = leaf.operator if isinstance(leaf, Comparison) else leaf.direction
                return word in ("<", "<=", "below")
        return False

    @cached_property
    def windows(self) -> tuple[Term, ...]:
        """The terms that look back, in the condition and in what clears it."""
        clear = self.options.clear
        terms = self.condition.terms + (clear.terms if clear is not None else ())
        return tuple(term for term in terms if term.window)

    @cached_property
    def funding_thresholds(self) -> tuple[int, ...] | None:
        """The times to funding (whole ms) at which the truth can turn as the clock moves on.

        None where it can turn at other moments too: it looks back, crosses, or names `settle`.
        """
        clear = self.options.clear
        found = [0]  # at T itself a stale symbol's time to funding becomes unknown
        for condition in (self.condition, clear):
            for leaf in leaves(condition.root) if condition is not None else ():
                if leaf.term.window or leaf.term.field == "settle" or isinstance(leaf, Crossing):
                    return None
                if leaf.term.field == "funding":
                    found.append(floor(leaf.threshold.exact))
        return tuple(dict.fromkeys(found))

    @property
    def ends_at(self) -> int | None:
        """The moment at which `until` ends the rule, epoch ms."""
        if self.options.lifetime is not None and self.created_at:
            return self.created_at + self.options.lifetime
        return self.options.until

    @cached_property
    def text(self) -> str:
        """The condition and its options in canonical words, as a person would type them."""
        return " ".join((self.condition.text, *option_words(self.condition, self.options)))


def clear_text(condition: Condition, clear: Condition) -> str:
    """A clear as it is written: a bare quantity where it only moves the threshold."""
    root, cleared = condition.root, clear.root
    if isinstance(root, Comparison) and isinstance(cleared, Not):
        moved = cleared.operand
        if isinstance(moved, Comparison) and loosens(root, moved):
            return quantity_text(moved.term.kind, moved.threshold.exact)
    return clear.text


def loosens(condition: Comparison, clear: Comparison) -> bool:
    """Whether `clear` is the same comparison with a threshold that is no stricter."""
    if replace(clear, threshold=condition.threshold) != condition:
        return False
    order = compare(clear.threshold, condition.threshold)
    return order <= 0 if condition.operator in (">", ">=") else order >= 0


def option_words(condition: Condition, options: Options) -> list[str]:
    """The options in the words of the rule language, those that are set, one an entry."""
    durations = (
        ("for", options.hold), ("keep", options.keep),
        ("cooldown", options.cooldown), ("repeat", options.repeat),
        ("until", options.lifetime or 0),
    )  # fmt: skip
    words = [f"{word} {duration_text(value)}" for word, value in durations if value]
    if options.clear is not None:
        words.insert(1 if options.hold else 0, f"clear {clear_text(condition, options.clear)}")
    if options.until is not None:
        words.append(f"until {moment_text(options.until)}")
    words += ["once"] * options.once + ["quiet"] * options.quiet
    if options.severity is not Severity.INFO:
        words.append(f"severity {options.severity}")
    if options.resolved is not None:
        words.append(f"resolved {'on' if options.resolved else 'off'}")
    return words


def moment_text(milliseconds: int) -> str:
    """A moment (epoch ms) in ISO 8601, UTC: `2026-12-31T08:00:00Z`."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return moment.isoformat().replace("+00:00", "Z")
