"""From text to condition, with a place and an expectation for everything that is wrong."""

import difflib
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from bot.market.reading import FIELDS, Kind
from bot.rules.expression import And, Comparison, Condition, Crossing, Node, Not, Or, Term, leaves
from bot.rules.quantity import (
    Measure,
    QuantityError,
    duration_text,
    read_duration,
    read_quantity,
    threshold,
)

MAX_LENGTH = 2_000  # characters of a condition
MAX_DEPTH = 50  # brackets and nots inside one another
SHORTEST_WINDOW, LONGEST_WINDOW = 60_000, 86_400_000  # ms
WINDOW_FUNCTIONS = ("change", "min", "max", "avg")
# Signs of a Chinese keyboard, one for one, so that places stay true.
_WIDE_SIGNS = str.maketrans("＞＜％（），｜－＋", "><%(),|-+")  # noqa: RUF100
_OPERATORS = {"≥": ">=", "≤": "<="}


class ConditionError(ValueError):
    """The condition cannot be read; `column` counts from 1 within its text."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


def parse_condition(text: str) -> Condition:
    """Reads a condition.

    Raises:
        ConditionError: with the column and what was expected there.
    """
    tree = _parse(text, "start")
    condition = Condition(_number_crossings(_node(tree.children[0])))
    _check_instants(condition.root)
    return condition


def parse_quantity(text: str, kind: Kind) -> Any:
    """Reads a bare quantity of a kind, as after `clear`; returns the exact fraction.

    Raises:
        ConditionError: with the column and what was expected there.
    """
    return _quantity(_parse(text, "quantity"), kind)


def parse_duration(text: str) -> int:
    """Reads a duration, `1h30m`, in ms.

    Raises:
        ConditionError: with the column and what was expected there.
    """
    return _duration(_parse(text, "duration"))


@lru_cache(maxsize=1)
def _lark() -> Lark:
    grammar = files("bot.rules").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar, parser="lalr", start=["start", "quantity", "duration"], propagate_positions=True
    )


def _parse(text: str, start: str) -> Tree[Token]:
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"longer than {MAX_LENGTH} characters", MAX_LENGTH + 1)
    _check_depth(text)
    try:
        return _lark().parse(text.translate(_WIDE_SIGNS), start=start)
    except UnexpectedInput as error:
        raise _syntax_error(error, text) from None


def _check_depth(text: str) -> None:
    depth = nots = 0
    for column, sign in enumerate(text, 1):
        depth += (sign in "(（") - (sign in ")）")
        if depth > MAX_DEPTH:
            raise ConditionError(f"more than {MAX_DEPTH} brackets inside one another", column)
    for word in text.lower().replace("(", " ").split():
        nots = nots + 1 if word == "not" else 0
        if nots > MAX_DEPTH:
            raise ConditionError(f"more than {MAX_DEPTH} times not in a row", 1)


_EXPECTED = (  # what a set of acceptable tokens means to a person; the first match speaks
    ({"OPERATOR", "CROSSES"}, "a comparison (> >= < <= or crosses)"),
    ({"NAME", "VBAR"}, "a field first, as in rate > 0.05%"),
    ({"UNIT", "PERCENT"}, "a unit, and, or, or the end"),
    ({"AND", "OR"}, "and, or, or the end"),
    ({"NUMBER"}, "a number"),
    ({"COMMA"}, "a comma and a duration, as in change(mark, 1h)"),
    ({"RPAR"}, "a closing bracket"),
    ({"VBAR"}, "a closing |"),
    ({"NAME"}, "a field"),
)


def _syntax_error(error: UnexpectedInput, text: str) -> ConditionError:
    if isinstance(error, UnexpectedCharacters):
        accepted, found = error.allowed or set(), text[error.pos_in_stream]
        column = error.pos_in_stream + 1
    else:
        assert isinstance(error, UnexpectedToken | UnexpectedEOF)
        accepted = error.accepts if isinstance(error, UnexpectedToken) else set(error.expected)
        accepted = accepted or set(error.expected)
        token = getattr(error, "token", None)
        at_end = token is None or token.type == "$END"
        found = "the end" if at_end else str(token)
        column = len(text.rstrip()) + 1 if at_end else token.start_pos + 1
    expected = next((words for names, words in _EXPECTED if names <= accepted), "")
    if not expected:
        expected = next((words for names, words in _EXPECTED if names & accepted), "something else")
    found = found if found == "the end" else repr(found)
    return ConditionError(f"expected {expected}, found {found}", column)


def _node(tree: Tree[Token]) -> Node:
    children: list[Any] = [child for child in tree.children if child is not None]
    if tree.data in ("either", "both"):
        operands = tuple(_node(child) for child in children if isinstance(child, Tree))
        return _joined(Or if tree.data == "either" else And, operands)
    if tree.data == "negation":
        return Not(_node(children[-1]))
    term = _term(children[0])
    exact = threshold(_quantity(children[-1], term.kind))
    if tree.data == "comparison":
        operator = str(children[1])
        return Comparison(term, _OPERATORS.get(operator, operator), exact)
    direction = children[2] if len(children) == 4 else None
    if direction is not None and direction.lower() not in ("above", "below"):
        raise _at(direction, f"expected above, below or a number, found {str(direction)!r}")
    return Crossing(term, direction.lower() if direction else "", exact, 0)


def _joined(kind: type[And | Or], operands: tuple[Node, ...]) -> Node:
    """`a and (b and c)` is `a and b and c`: one canonical form."""
    if len(operands) == 1:
        return operands[0]
    flat: list[Node] = []
    for operand in operands:
        flat.extend(operand.operands if isinstance(operand, kind) else [operand])
    return kind(tuple(flat))


def _term(tree: Tree[Token]) -> Term:
    children: list[Any] = tree.children
    if tree.data == "plain":
        return Term(_field(children[0]))
    if tree.data == "absolute":
        return Term(_field(children[0]), "abs")
    function = children[0].lower()
    if tree.data == "call":
        if function in WINDOW_FUNCTIONS:
            raise _at(children[0], f"{function} needs a window, as in {function}(mark, 1h)")
        _known(children[0], ("abs", *WINDOW_FUNCTIONS), "function")
        return Term(_field(children[1]), "abs")
    _known(children[0], WINDOW_FUNCTIONS, "function")
    span = _duration(children[2])
    if not SHORTEST_WINDOW <= span <= LONGEST_WINDOW:
        raise ConditionError(
            f"a window is 1m to 24h long, found {duration_text(span)}", _column(children[2])
        )
    return Term(_field(children[1]), function, span)


def _field(token: Token) -> str:
    return _known(token, tuple(FIELDS), "field")


def _known(token: Token, names: tuple[str, ...], what: str) -> str:
    name = token.lower()
    if name in names:
        return str(name)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(names)}"
    raise _at(token, f"unknown {what} {str(token)!r}; {hint}")


def _quantity(tree: Tree[Token], kind: Kind) -> Any:
    children: list[Any] = [child for child in tree.children if child is not None]
    negative = isinstance(children[0], Token) and children[0] in ("-", "−")
    try:
        return read_quantity(kind, negative, _measures(children))
    except QuantityError as error:
        raise ConditionError(str(error), _column(tree)) from None


def _duration(tree: Tree[Token]) -> int:
    try:
        return read_duration(_measures(tree.children))
    except QuantityError as error:
        raise ConditionError(str(error), _column(tree)) from None


def _measures(children: list[Any]) -> list[Measure]:
    trees = [child for child in children if isinstance(child, Tree)]
    return [
        Measure(str(tree.children[0]), str(tree.children[1] or "") if tree.children[1:] else "")
        for tree in trees
    ]


def _number_crossings(root: Node) -> Node:
    """Gives each crossing its place among the condition's crossings, left to right."""
    count = 0

    def numbered(node: Node) -> Node:
        nonlocal count
        if isinstance(node, Crossing):
            count += 1
            return replace(node, position=count - 1)
        if isinstance(node, Not):
            return Not(numbered(node.operand))
        if isinstance(node, And | Or):
            return type(node)(tuple(numbered(operand) for operand in node.operands))
        return node

    return numbered(root)


def _check_instants(node: Node) -> None:
    """A crossing is an instant: it cannot be negated, nor joined by `or` with what lasts."""
    if isinstance(node, Not):
        if _has_crossing(node):
            raise ConditionError("not over a crossing is never an instant; turn its direction", 1)
        return
    if isinstance(node, And | Or):
        for operand in node.operands:
            _check_instants(operand)
    if isinstance(node, Or) and len({_has_crossing(operand) for operand in node.operands}) > 1:
        raise ConditionError("or between a crossing and something else; write two rules", 1)


def _has_crossing(node: Node) -> bool:
    return any(isinstance(leaf, Crossing) for leaf in leaves(node))


def _at(token: Token, message: str) -> ConditionError:
    return ConditionError(message, (token.start_pos or 0) + 1)


def _column(tree: Tree[Token]) -> int:
    return (tree.meta.start_pos if not tree.meta.empty else 0) + 1
