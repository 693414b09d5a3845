"""From text to condition, with a place and an expectation for everything that is wrong."""

import re
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from bot.market.reading import FIELDS, Kind
from bot.rules.expression import And, Comparison, Condition, Crossing, Node, Not, Or, Term
from bot.rules.nearest import hint, nearest, quoted
from bot.rules.quantity import (
    Measure,
    QuantityError,
    duration_text,
    read_duration,
    read_quantity,
    threshold,
)

MAX_LENGTH = 2_000  # characters of a condition, as typed and as printed
MAX_DEPTH = 50  # brackets and nots inside one another
SHORTEST_WINDOW, LONGEST_WINDOW = 60_000, 86_400_000  # ms
WINDOW_FUNCTIONS = ("change", "min", "max", "avg")
# Signs of a Chinese keyboard, one for one, so that places stay true.
_WIDE_SIGNS = str.maketrans("＞＜％（），｜－＋", "><%(),|-+")
_OPERATORS = {"≥": ">=", "≤": "<="}


class ConditionError(ValueError):
    """The condition cannot be read; `column` counts from 1 within its text."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


@lru_cache(maxsize=4_096)  # many rules of many chats say the same
def parse_condition(text: str) -> Condition:
    """Reads a condition.

    Raises:
        ConditionError: with the column and what was expected there.
    """
    tree = _parse(text, "start")
    _check_depth(tree)
    condition = Condition(_number_crossings(_node(tree.children[0])))
    # Printing lengthens a text less than tenfold.
    if len(text) > MAX_LENGTH // 10 and len(condition.text) > MAX_LENGTH:
        raise ConditionError(f"longer than {MAX_LENGTH} characters when written out", 1)
    return condition


@lru_cache(maxsize=1_024)
def parse_quantity(text: str, kind: Kind) -> Fraction:
    """Reads a bare quantity of a kind, as after `clear`; returns the exact fraction.

    Raises:
        ConditionError: with the column and what was expected there.
    """
    return _quantity(_parse(text, "quantity"), kind)


@lru_cache(maxsize=1_024)
def parse_duration(text: str) -> int:
    """Reads a duration, `1h30m`, in ms.

    Raises:
        ConditionError: with the column and what was expected there.
    """
    return _duration(_parse(text, "duration"))


@lru_cache(maxsize=1)
def _lark() -> Lark:
    grammar = files("bot.rules").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", start=["start", "quantity", "duration"])


def _parse(text: str, start: str) -> Tree[Token]:
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"longer than {MAX_LENGTH} characters", MAX_LENGTH + 1)
    try:
        return _lark().parse(text.translate(_WIDE_SIGNS), start=start)
    except UnexpectedInput as error:
        raise _syntax_error(error, text) from None


def _check_depth(tree: Tree[Token]) -> None:
    """What follows is recursive; the parser itself is not."""
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ConditionError(
                f"more than {MAX_DEPTH} brackets and nots inside one another", _column(node)
            )
        depth += node.data in ("either", "both", "negation")
        waiting += [(child, depth) for child in node.children if isinstance(child, Tree)]


_EXPECTED = (  # what a set of acceptable tokens means to a person; the first match speaks
    ({"OPERATOR", "CROSSES"}, "a comparison (> >= < <= or crosses)"),
    ({"NAME", "VBAR"}, "a field first, as in rate > 0.05%"),
    ({"UNIT", "PERCENT"}, "a unit, and, or, or the end"),
    ({"AND", "OR"}, "and, or, or the end"),
    ({"NAME", "NUMBER"}, "above, below or a number"),
    ({"NUMBER"}, "a number"),
    ({"COMMA"}, "a comma and a duration, as in change(mark, 1h)"),
    ({"RPAR"}, "a closing bracket"),
    ({"VBAR"}, "a closing | (between the two stands a field alone)"),
    ({"NAME"}, "a field"),
)
_WORDS = {"AND": "and", "OR": "or", "CROSSES": "crosses", "NOT": "not"}
_SLIPS = (  # what people write who know other languages; matched where the parser stopped
    (re.compile("=[=><]?|!="), "write > or >=, < or <="),
    (re.compile("!"), "write not"),
    (re.compile("&&?"), "write and"),
    (re.compile(r"\|\|"), "write or"),
)


def _syntax_error(error: UnexpectedInput, text: str) -> ConditionError:
    accepted, position = _stopped(error, text)
    return _slip(text, position) or ConditionError(
        _expected(accepted, text, position), position + 1
    )


def _expected(accepted: set[str], text: str, position: int) -> str:
    expected = next((words for names, words in _EXPECTED if names <= accepted), "") or next(
        (words for names, words in _EXPECTED if names & accepted), "the end"
    )
    if position >= len(text.rstrip()):
        return f"expected {expected}, found the end"
    word = re.compile(r"\w*").match(text, position)
    found = (word and word[0]) or text[position]
    near = nearest(found, [_WORDS[name] for name in accepted & set(_WORDS)], 0.6)
    advice = f"; did you mean {near}?" if near else ""
    return f"expected {expected}, found {quoted(found)}{advice}"


def _slip(text: str, position: int) -> ConditionError | None:
    """A mistake that has an answer of its own."""
    for pattern, advice in _SLIPS:
        found = pattern.match(text, position)
        if found:
            return ConditionError(f"{advice}, found {quoted(found[0])}", position + 1)
    if text[position : position + 1] in (",", "，"):
        return _with_comma(text, position)
    before = text[:position].translate(_WIDE_SIGNS)
    if text[position : position + 1] in (")", "）") and before.count("(") <= before.count(")"):
        return ConditionError("a closing bracket without an opening one", position + 1)
    return None


def _stopped(error: UnexpectedInput, text: str) -> tuple[set[str], int]:
    """The kinds of token that could have come, and the position at which none of them did."""
    end = len(text.rstrip())
    if isinstance(error, UnexpectedCharacters):
        return set(error.allowed or ()), error.pos_in_stream or 0
    if isinstance(error, UnexpectedToken):
        accepted = set(error.accepts or error.expected)
        return accepted, end if error.token.type == "$END" else error.token.start_pos or 0
    assert isinstance(error, UnexpectedEOF)
    return set(error.expected), end


def _with_comma(text: str, position: int) -> ConditionError | None:
    """`85,000` and `0,05`: a comma inside a number."""
    before = re.search(r"\d{1,30}$", text[:position])
    after = re.match(r"\d{1,30}(?:,\d{3}){0,9}(?:\.\d{1,30})?", text[position + 1 :])
    if before is None or after is None:
        return None
    grouped = before[0] != "0" and re.match(r"\d{3}(?!\d)", after[0])
    written = before[0] + ("" if grouped else ".") + after[0].replace(",", "")
    thousand = f" or {written[:-3]}k" if grouped and written.endswith("000") else ""
    return ConditionError(f"a number takes no comma; write {written}{thousand}", position + 1)


def _node(tree: Any) -> Node:
    children: list[Any] = [child for child in tree.children if child is not None]
    if tree.data in ("either", "both"):
        if tree.data == "either":
            _check_instants(children)
        operands = tuple(_node(child) for child in children if isinstance(child, Tree))
        return _joined(Or if tree.data == "either" else And, operands)
    if tree.data == "negation":
        crossing = _crossing(children[-1])
        if crossing is not None:
            raise ConditionError(
                "not over a crossing is no instant; turn its direction around", _column(crossing)
            )
        return Not(_node(children[-1]))
    return _leaf(tree.data, children)


def _leaf(kind: str, children: list[Any]) -> Node:
    term = _term(children[0])
    exact = threshold(_quantity(children[-1], term.kind))
    if kind == "comparison":
        operator = str(children[1])
        return Comparison(term, _OPERATORS.get(operator, operator), exact)
    direction = children[2] if len(children) == 4 else None
    if direction is not None and direction.lower() not in ("above", "below"):
        raise _at(direction, f"expected above, below or a number, found {quoted(direction)}")
    return Crossing(term, direction.lower() if direction else "", exact, 0)


def _joined(kind: type[And | Or], operands: tuple[Node, ...]) -> Node:
    """`a and (b and c)` is `a and b and c`: one canonical form."""
    flat: list[Node] = []
    for operand in operands:
        flat.extend(operand.operands if isinstance(operand, kind) else [operand])
    return kind(tuple(flat))


def _check_instants(operands: list[Any]) -> None:
    """A crossing is an instant: `or` cannot join it with what lasts."""
    crossings = [_crossing(operand) for operand in operands if isinstance(operand, Tree)]
    first = next(filter(None, crossings), None)
    if first is not None and None in crossings:
        raise ConditionError(
            "or between a crossing and something else; write two rules", _column(first)
        )


def _crossing(tree: Tree[Token]) -> Tree[Token] | None:
    """The leftmost crossing in a part of a condition."""
    return min(tree.find_data("crossing"), key=_column, default=None)


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
    if function == "abs":
        raise _at(children[0], "abs takes a field and no window, as in abs(basis)")
    _known(children[0], WINDOW_FUNCTIONS, "function")
    span = _duration(children[2])
    if not SHORTEST_WINDOW <= span <= LONGEST_WINDOW:
        raise ConditionError(
            f"a window is 1m to 24h long, found {duration_text(span)}", _column(children[2])
        )
    return Term(_field(children[1]), function, span)


def _field(token: Token) -> str:
    return _known(token, FIELDS, "field")


def _known(token: Token, names: Iterable[str], what: str) -> str:
    name = token.lower()
    if name in names:
        return str(name)
    raise _at(token, f"unknown {what} {quoted(token)}; {hint(token, names)}")


def _quantity(tree: Tree[Token], kind: Kind) -> Fraction:
    negative = tree.children[0] in ("-", "−")
    try:
        return read_quantity(kind, negative, _measures(tree))
    except QuantityError as error:
        raise ConditionError(str(error), error.place or _column(tree)) from None


def _duration(tree: Tree[Token]) -> int:
    try:
        return read_duration(_measures(tree))
    except QuantityError as error:
        raise ConditionError(str(error), error.place or _column(tree)) from None


def _measures(tree: Tree[Token]) -> list[Measure]:
    measures = []
    for child in tree.children:
        if isinstance(child, Tree):
            number, unit = child.children
            place = _position(unit) + 1 if unit else None
            measures.append(Measure(str(number), str(unit or ""), place))
    return measures


def _number_crossings(root: Node) -> Node:
    """Gives each crossing its place among the condition's crossings, left to right."""
    count = 0

    def numbered(node: Node) -> Node:
        nonlocal count
        if isinstance(node, Crossing):
            count += 1
            return replace(node, position=count - 1)
        if isinstance(node, And | Or):
            return type(node)(tuple(numbered(operand) for operand in node.operands))
        return node  # a negation holds no crossing

    return numbered(root)


def _at(token: Token, message: str) -> ConditionError:
    return ConditionError(message, _position(token) + 1)


def _column(tree: Tree[Token]) -> int:
    """Where a tree begins, from 1."""
    return _position(next(tree.scan_values(lambda value: isinstance(value, Token)))) + 1


def _position(token: Any) -> int:
    return int(token.start_pos or 0)
