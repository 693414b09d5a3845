"""The rule language and rule file of design section 3, for the reference implementation.

Written from the text alone, for files that are plain and valid: nothing here reports a mistake.
"""

import datetime as dt
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import yaml

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000  # ms
UNIT_MS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
RATIOS = ("rate", "rate8h", "apr", "basis", "cap")
PRICES = ("mark", "index", "settle")
TIMES = ("funding", "interval")
FIELDS = RATIOS + PRICES + TIMES

TOKEN = re.compile(
    r"\s*(?:(?P<time>(?:\d+(?:\.\d+)?\s*[smhd])+(?![A-Za-z0-9]))"
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<word>[A-Za-z][A-Za-z0-9]*)"
    r"|(?P<sign>>=|<=|[><≥≤()|,%+-]))"
)


@dataclass(frozen=True)
class Value:
    kind: str  # field, abs, change, min, max, avg
    field: str
    window: int = 0  # ms


@dataclass(frozen=True, eq=False)
class Comparison:
    value: Value
    operator: str  # > >= < <= above below either
    quantity: Fraction  # ratios as fractions, prices as sent, times in ms

    @property
    def crosses(self) -> bool:
        return self.operator in ("above", "below", "either")


@dataclass(frozen=True, eq=False)
class Joined:
    word: str  # and, or, not
    parts: tuple["Condition", ...]


Condition = Comparison | Joined


def comparisons(condition: Condition) -> list[Comparison]:
    if isinstance(condition, Comparison):
        return [condition]
    return [one for part in condition.parts for one in comparisons(part)]


def duration(text: str) -> int:
    """`1h30m` in ms."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smhd])", text)
    return int(sum(Fraction(number) * UNIT_MS[unit] for number, unit in parts))


class Reader:
    """Recursive descent over the grammar's four lines."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at = 0
        text = text.strip()
        while at < len(text):
            match = TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"{text!r} at {at}")
            self.tokens.append((str(match.lastgroup), str(match[str(match.lastgroup)]).lower()))
            at = match.end()
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        text = self.peek()
        if wanted and text not in wanted:
            raise ValueError(f"{text!r} stands where one of {wanted} was expected")
        self.at += 1
        return text

    def condition(self) -> Condition:
        parts = [self.conjunction()]
        while self.peek() == "or":
            self.take()
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Joined("or", tuple(parts))

    def conjunction(self) -> Condition:
        parts = [self.unary()]
        while self.peek() == "and":
            self.take()
            parts.append(self.unary())
        return parts[0] if len(parts) == 1 else Joined("and", tuple(parts))

    def unary(self) -> Condition:
        if self.peek() == "not":
            self.take()
            return Joined("not", (self.unary(),))
        if self.peek() == "(":
            self.take()
            inner = self.condition()
            self.take(")")
            return inner
        return self.comparison()

    def comparison(self) -> Comparison:
        value = self.value()
        operator = {"≥": ">=", "≤": "<="}.get(self.peek(), self.peek())
        self.take(">", ">=", "<", "<=", "≥", "≤", "crosses")
        if operator == "crosses":
            operator = self.take() if self.peek() in ("above", "below") else "either"
        return Comparison(value, operator, self.quantity(value))

    def value(self) -> Value:
        word = self.take()
        if word == "|":
            value = Value("abs", self.take(*FIELDS))
            self.take("|")
        elif word == "abs":
            self.take("(")
            value = Value("abs", self.take(*FIELDS))
            self.take(")")
        elif word in ("change", "min", "max", "avg"):
            self.take("(")
            name = self.take(*FIELDS)
            self.take(",")
            value = Value(word, name, duration(self.take()))
            self.take(")")
        else:
            value = Value("field", word)
        return value

    def quantity(self, value: Value) -> Fraction:
        sign = -1 if self.peek() == "-" else 1
        if self.peek() in ("+", "-"):
            self.take()
        kind = self.tokens[self.at][0]
        text = self.take()
        # A change of a price is relative, so it is compared with a ratio.
        ratio = value.field in RATIOS or (value.kind == "change" and value.field in PRICES)
        if value.field in TIMES:
            if kind != "time":
                raise ValueError("a bare number for a time is refused")
            return Fraction(sign * duration(text))
        units = {"%": Fraction(1, 100), "bp": Fraction(1, 10_000), "bps": Fraction(1, 10_000)}
        if not ratio:
            units = {"k": Fraction(1000)}
        scale = units[self.take()] if self.peek() in units else Fraction(1)
        return sign * Fraction(text) * scale


def condition(text: str) -> Condition:
    reader = Reader(text)
    parsed = reader.condition()
    if reader.peek():
        raise ValueError(f"{text!r}: {reader.peek()!r} is left over")
    return parsed


@dataclass
class Rule:
    name: str
    symbols: list[str]
    when: Condition
    clear: Condition | None  # None: not `when`
    hold: int  # for, ms
    keep: int
    cooldown: int
    repeat: int
    once: bool
    until: str | None
    resolved: bool
    parts: list[Comparison] = field(default_factory=list)

    @property
    def crossing(self) -> bool:
        return any(part.crosses for part in self.parts)

    @property
    def mentions_funding(self) -> bool:
        both = self.parts + (comparisons(self.clear) if self.clear else [])
        return any(part.value.field == "funding" for part in both)

    def deadline(self, first: int) -> int | None:
        """`until DATE|D` ... D counts in a replay from the first accepted E."""
        if self.until is None:
            return None
        if re.fullmatch(r"(\d+[smhd])+", self.until):
            span = duration(self.until)
            return first + span if span else None
        moment = dt.datetime.fromisoformat(self.until)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)  # ISO 8601 ... else UTC
        return round(moment.timestamp() * 1000)


def clear_of(text: str, when: Condition) -> Condition:
    """A bare quantity replaces the threshold: on until not (value operator quantity)."""
    if re.search(r"[<>≥≤]", text):
        return condition(text)
    if not isinstance(when, Comparison):
        raise TypeError("a bare quantity belongs to one comparison")
    quantity = Reader(text).quantity(when.value)
    return Joined("not", (Comparison(when.value, when.operator, quantity),))


def rule_of(options: dict[str, Any]) -> Rule:
    when = condition(options["when"])
    parts = comparisons(when)
    if any(part.crosses for part in parts):
        # A default that a crossing cannot take is passed over.
        options = {k: v for k, v in options.items() if k not in ("for", "keep", "clear")}
    symbols = options["symbols"]
    # Resolved is told by default, except for conditions made of `funding` alone.
    by_default = any(part.value.field != "funding" for part in parts)
    told = options.get("resolved")
    return Rule(
        name=options["name"],
        symbols=[symbols] if isinstance(symbols, str) else symbols,
        when=when,
        clear=clear_of(options["clear"], when) if "clear" in options else None,
        hold=duration(options.get("for", "0s")),
        keep=duration(options.get("keep", "0s")),
        cooldown=duration(options.get("cooldown", "0s")),
        repeat=duration(options.get("repeat", "0s")),
        once=options.get("once", "false") == "true",
        until=options.get("until"),
        resolved=by_default if told is None else told in ("on", "true"),
        parts=parts,
    )


def rules_of(text: str) -> tuple[list[Rule], dict[str, list[str]]]:
    """The rules of a file in order, and its groups. BaseLoader: every scalar is its text."""
    document = yaml.load(text, Loader=yaml.BaseLoader)
    defaults = document.get("defaults", {})
    # A rule's own key wins.
    rules = [rule_of({**defaults, **own}) for own in document["rules"]]
    groups = {
        name: [held] if isinstance(held, str) else held
        for name, held in document.get("groups", {}).items()
    }
    return rules, groups
