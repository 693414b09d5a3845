"""Conditions: what they are, what they print as, and whether a reading meets them.

Truth has three values: True, False and None for unknown; `and`, `or` and `not` follow Kleene.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from bot.market.number import Value, compare
from bot.market.reading import FIELDS, Kind, Reading
from bot.rules.quantity import duration_text, quantity_text

Truth = bool | None
Sides = tuple[int | None, ...]  # of each crossing: -1, 0 or 1 of its last known value; None: none

OPERATORS: Mapping[str, Callable[[int], bool]] = {  # of an order: -1, 0 or 1
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
        return self.reader()(reading)

    def reader(self) -> Callable[[Reading], Value | None]:
        """How the term is read from a reading."""
        field, function, window = self.field, self.function, self.window
        if not function:
            return lambda reading: reading.value(field)
        if function == "abs":
            return lambda reading: _magnitude(reading.value(field))
        return lambda reading: reading.window(function, field, window)

    def __str__(self) -> str:
        if not self.function:
            return self.field
        if self.function == "abs":
            return f"|{self.field}|"
        return f"{self.function}({self.field}, {duration_text(self.window)})"


def _magnitude(value: Value | None) -> Value | None:
    if value is None or value.approx >= 0:
        return value
    return Value(-value.approx, _negated, value)


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

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type["Condition"], tuple[Node]]:
        """To another process goes what it says, not the functions made of it."""
        return Condition, (self.root,)

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

    @cached_property
    def check(self) -> "Check":
        """The condition as one function, made once and called for every tick."""
        return _compiled(self.root)

    def evaluate(self, reading: Reading, sides: Sides = ()) -> tuple[Truth, Sides]:
        """The truth at a reading, and the sides to remember for the next evaluation."""
        if not self.crossings:
            return self.check(reading, (), []), sides
        known = sides if len(sides) == self.crossings else (None,) * self.crossings
        after = list(known)
        return self.check(reading, known, after), tuple(after)


# (reading, the sides before, the sides after: filled in) -> truth
Check = Callable[[Reading, Sides, list[int | None]], Truth]


def _compiled(node: Node) -> Check:
    if isinstance(node, Comparison):
        return _comparison(node)
    if isinstance(node, Crossing):
        return _crossing(node)
    if isinstance(node, Not):
        return _negation(_compiled(node.operand))
    lasts = not any(isinstance(leaf, Crossing) for leaf in leaves(node))
    return _junction(tuple(map(_compiled, node.operands)), isinstance(node, Or), lasts)


def _comparison(node: Comparison) -> Check:
    threshold, holds = node.threshold, OPERATORS[node.operator]
    above, below = holds(1), holds(-1)
    middle = threshold.approx
    # Wider than the doubt of `compare`, so that nearly every tick needs floats alone.
    far = 4e-9 * abs(middle) + 1e-11
    read = node.term.reader()

    def check(reading: Reading, before: Sides, after: list[int | None]) -> Truth:  # noqa: ARG001
        value = read(reading)
        if value is None:
            return None
        gap = value.approx - middle
        if gap > far:
            return above
        return below if gap < -far else holds(compare(value, threshold))

    return check


def _crossing(node: Crossing) -> Check:
    threshold, position, read = node.threshold, node.position, node.term.reader()
    upwards, downwards = node.direction != "below", node.direction != "above"

    def check(reading: Reading, before: Sides, after: list[int | None]) -> Truth:
        value = read(reading)
        if value is None:
            return None
        was, now = before[position], compare(value, threshold)
        after[position] = now
        if was is None:
            return None
        return (upwards and was <= 0 < now) or (downwards and was >= 0 > now)

    return check


def _negation(operand: Check) -> Check:
    def check(reading: Reading, before: Sides, after: list[int | None]) -> Truth:
        truth = operand(reading, before, after)
        return None if truth is None else not truth

    return check


def _junction(operands: tuple[Check, ...], decisive: bool, lasts: bool) -> Check:
    """`or` where True decides, `and` where False does. A crossing sees every evaluation."""

    def check(reading: Reading, before: Sides, after: list[int | None]) -> Truth:
        result: Truth = not decisive
        for operand in operands:
            truth = operand(reading, before, after)
            if truth is decisive:
                if lasts:
                    return truth
                result = truth
            elif truth is None and result is not decisive:
                result = None
        return result

    return check


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison or crossing of a condition, with its value and truth, for `/why`."""

    text: str
    term: Term
    value: Value | None
    truth: Truth


def explain(condition: Condition, reading: Reading, sides: Sides = ()) -> list[Part]:
    """Each part of a condition as it stands at a reading; nothing is remembered."""
    before = sides if len(sides) == condition.crossings else (None,) * condition.crossings
    return [
        Part(
            str(leaf),
            leaf.term,
            leaf.term.read(reading),
            _compiled(leaf)(reading, before, list(before)),
        )
        for leaf in leaves(condition.root)
    ]
