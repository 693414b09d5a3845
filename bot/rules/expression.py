"""Conditions: what they are, what they print as, and whether a reading meets them.

Truth has three values: True, False and None for unknown; `and`, `or` and `not` follow Kleene.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import ClassVar

from bot.market.number import Value, compare
from bot.market.reading import FIELDS, Kind, Reading
from bot.rules.quantity import duration_text, quantity_text

Truth = bool | None
Sides = tuple[int | None, ...]  # of each crossing: -1, 0 or 1 of its last known value; None: none

OPERATORS = {
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
}


@dataclass(frozen=True, slots=True)
class Term:
    """A field, its magnitude (`abs`), or a function of its last `window` ms."""

    field: str
    function: str = ""  # "", "abs", "change", "min", "max" or "avg"
    window: int = 0

    @property
    def kind(self) -> Kind:
        kind = FIELDS[self.field].kind
        return Kind.RATIO if self.function == "change" and kind is Kind.PRICE else kind

    def read(self, reading: Reading) -> Value | None:
        if not self.function:
            return reading.value(self.field)
        if self.function != "abs":
            return reading.window(self.function, self.field, self.window)
        value = reading.value(self.field)
        if value is None or value.approx >= 0:
            return value
        return Value(-value.approx, _negated, value)

    def __str__(self) -> str:
        if not self.function:
            return self.field
        if self.function == "abs":
            return f"|{self.field}|"
        return f"{self.function}({self.field}, {duration_text(self.window)})"


def _negated(value: Value) -> Fraction:
    return -value.exact


@dataclass(frozen=True, slots=True)
class Comparison:
    term: Term
    operator: str
    threshold: Value

    def __str__(self) -> str:
        quantity = quantity_text(self.term.kind, self.threshold.exact)
        return f"{self.term} {self.operator} {quantity}"


@dataclass(frozen=True, slots=True)
class Crossing:
    """An instant: the value was on one side of the threshold and now is on the other."""

    term: Term
    direction: str  # "above", "below" or "" for either
    threshold: Value
    position: int  # among the condition's crossings, for `Sides`

    def __str__(self) -> str:
        quantity = quantity_text(self.term.kind, self.threshold.exact)
        return " ".join(filter(None, (str(self.term), "crosses", self.direction, quantity)))


@dataclass(frozen=True, slots=True)
class Not:
    operand: "Node"

    def __str__(self) -> str:
        return f"not {_inner(self.operand, And, Or)}"


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple["Node", ...]

    def __str__(self) -> str:
        return " and ".join(_inner(operand, And, Or) for operand in self.operands)


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple["Node", ...]

    def __str__(self) -> str:
        return " or ".join(_inner(operand, Or) for operand in self.operands)


Node = Comparison | Crossing | Not | And | Or


def _inner(node: Node, *wrapped: type) -> str:
    return f"({node})" if isinstance(node, wrapped) else str(node)


def leaves(node: Node) -> Iterator[Comparison | Crossing]:
    """The comparisons and crossings, left to right."""
    if isinstance(node, Comparison | Crossing):
        yield node
    elif isinstance(node, Not):
        yield from leaves(node.operand)
    else:
        for operand in node.operands:
            yield from leaves(operand)


@dataclass(frozen=True)
class Condition:
    """A parsed condition. Its text is canonical: parsing it gives the same condition."""

    root: Node
    NO_SIDES: ClassVar[Sides] = ()

    def __str__(self) -> str:
        return self.text

    @cached_property
    def text(self) -> str:
        return str(self.root)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        return tuple(leaf.term for leaf in leaves(self.root))

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Each field named, once, in the order of the text."""
        return tuple(dict.fromkeys(term.field for term in self.terms))

    @cached_property
    def crossings(self) -> int:
        return sum(isinstance(leaf, Crossing) for leaf in leaves(self.root))

    @property
    def is_instant(self) -> bool:
        """It holds a crossing: it fires and never resolves."""
        return self.crossings > 0

    @property
    def mentions_funding(self) -> bool:
        return "funding" in self.fields

    def evaluate(self, reading: Reading, sides: Sides = ()) -> tuple[Truth, Sides]:
        """The truth at a reading, and the sides to remember for the next evaluation."""
        if not self.crossings:
            return _truth(self.root, reading, [], []), sides
        known: list[int | None] = list(sides) or [None] * self.crossings
        after = list(known)
        return _truth(self.root, reading, known, after), tuple(after)


def _truth(
    node: Node, reading: Reading, before: list[int | None], after: list[int | None]
) -> Truth:
    if isinstance(node, Comparison):
        value = node.term.read(reading)
        return None if value is None else OPERATORS[node.operator](compare(value, node.threshold))
    if isinstance(node, Crossing):
        return _crossed(node, reading, before, after)
    if isinstance(node, Not):
        truth = _truth(node.operand, reading, before, after)
        return None if truth is None else not truth
    decisive = isinstance(node, Or)
    result: Truth = not decisive
    for operand in node.operands:
        truth = _truth(operand, reading, before, after)
        if truth is decisive:
            if not before:  # without crossings nobody else needs to see this evaluation
                return truth
            result = truth
        elif truth is None and result is not decisive:
            result = None
    return result


def _crossed(
    node: Crossing, reading: Reading, before: list[int | None], after: list[int | None]
) -> Truth:
    value = node.term.read(reading)
    if value is None:
        return None
    was, now = before[node.position], compare(value, node.threshold)
    after[node.position] = now
    if was is None:
        return None
    rose, fell = was <= 0 < now, was >= 0 > now
    return {"above": rose, "below": fell}.get(node.direction, rose or fell)


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison or crossing of a condition, with its value and truth, for `/why`."""

    text: str
    term: Term
    value: Value | None
    truth: Truth


def explain(condition: Condition, reading: Reading, sides: Sides = ()) -> list[Part]:
    """Each part of a condition as it stands at a reading; nothing is remembered."""
    before: list[int | None] = list(sides) or [None] * condition.crossings
    return [
        Part(
            str(leaf),
            leaf.term,
            leaf.term.read(reading),
            _truth(leaf, reading, before, list(before)),
        )
        for leaf in leaves(condition.root)
    ]
