"""YAML behind a strict front: a tree of plain nodes, each with its place, or problems.

PyYAML only tells the events of the text. Scalars are those of the YAML 1.2 core schema (so `1e-4`
is a number and `NO` a text), and what could surprise or explode is refused: anchors, aliases,
tags, directives, duplicate keys, several documents, depth, size.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import yaml

from bot.rules.nearest import quoted

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 16
MAX_NODES = 100_000
MAX_PROBLEMS = 500  # nobody reads more, and finding them takes time

# Composing recurses in C and can overflow its stack; the events alone cannot.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_CORE_SCALAR = re.compile(  # YAML 1.2, 10.3.2; what matches none of these is a text
    r"(?P<null>null|Null|NULL|~|)|(?P<bool>true|True|TRUE|false|False|FALSE)"
    r"|(?P<int>[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))"
)
_SHOWN = {"int": "the number ", "float": "the number ", "bool": ""}
_MEANT_AS_TEXT = "@`%!*&|>"  # signs that begin something else unless they are quoted


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong in a file; line and column count from 1."""

    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}"


class Scalar(msgspec.Struct, frozen=True, gc=False):
    """A plain or quoted word; `kind` is str, int, float, bool or null by its writing.

    `inner` is where `text` begins in the file where it stands there as it is, else None.
    """

    text: str
    kind: str
    start: int
    inner: int | None = None

    def __str__(self) -> str:
        if self.kind == "null":
            return "nothing"
        return quoted(self.text) if self.kind == "str" else f"{_SHOWN[self.kind]}{self.text[:40]}"


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple["Node", ...]
    start: int

    def __str__(self) -> str:
        return "a list"


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: dict[str, tuple[Scalar, "Node"]]  # by the key's text
    start: int

    def __str__(self) -> str:
        return "a mapping"


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that is already among the problems; nothing more is said of it."""

    start: int


Node = Scalar | Sequence | Mapping | Refused


def is_empty(node: Node) -> bool:
    """A key with nothing behind it."""
    return isinstance(node, Scalar) and node.kind == "null"


class StopReadingError(Exception):
    """Nothing more can be read, or needs to be: what is wrong is among the problems."""


@dataclass(slots=True)
class Problems:
    """Collects what is wrong in a text; places are positions in it, from 0."""

    text: str
    found: list[Problem] = field(default_factory=list)
    _lines: list[int] = field(default_factory=list)  # where each begins

    def add(self, position: int, message: str) -> None:
        """Notes a problem.

        Raises:
            StopReadingError: it is one of so many that the rest need not be read.
        """
        self.found.append(Problem(*self.place(position), message))
        if len(self.found) >= MAX_PROBLEMS:
            raise StopReadingError

    def place(self, position: int) -> tuple[int, int]:
        """Line and column of a position."""
        if not self._lines:
            ends = re.finditer(r"\r\n|\r|\n", self.text)
            self._lines = [0, *(end.end() for end in ends)]
        line = bisect_right(self._lines, position)
        return line, position - self._lines[line - 1] + 1


def read_yaml(data: bytes) -> tuple[Node | None, Problems]:
    """The tree of a file and what is wrong with it; no tree where it cannot be read to its end."""
    text, problems = _decoded(data)
    if problems.found:
        return None, problems
    builder = _Builder(text, problems)
    try:
        return builder.document(), problems
    except StopReadingError:
        return None, problems
    except yaml.YAMLError as error:
        problems.add(*_syntax(error, text))
        return None, problems


def _decoded(data: bytes) -> tuple[str, Problems]:
    if len(data) > MAX_BYTES:
        problems = Problems("")
        problems.add(0, f"larger than 1 MiB ({len(data)} bytes)")
        return "", problems
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        problems = Problems(data[: error.start].decode().removeprefix("\ufeff"))
        problems.add(len(problems.text), f"no UTF-8 text: byte 0x{data[error.start]:02x}")
        return "", problems
    problems = Problems(text)
    found = _UNPRINTABLE.search(text)
    if found:
        problems.add(found.start(), f"a control character, {found[0]!r}")
    return text, problems


def _syntax(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """Where the text stops being YAML, and why."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return getattr(error, "position", 0), f"no YAML: {getattr(error, 'reason', error)}"
    mark = error.problem_mark or error.context_mark
    position = min(mark.index, len(text)) if mark else 0
    parts = [part for part in (error.context, error.problem) if part]
    message = f"no YAML: {', '.join(parts)}"
    sign = text[position : position + 1]
    begun = text[error.context_mark.index :][:1] if error.context_mark else ""
    if sign == "\t":
        message += "; indent with spaces, not with a tab"
    elif (sign and sign in _MEANT_AS_TEXT) or (begun and begun in _MEANT_AS_TEXT):
        message += f"; a text with {sign if sign in _MEANT_AS_TEXT else begun} goes into quotes"
    return position, message


class _Builder:
    """Makes nodes of the events of one document."""

    def __init__(self, text: str, problems: Problems) -> None:
        self._text = text
        self._problems = problems
        self._nodes = 0
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))

    def document(self) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                self._check_document(event, documents)
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, 1)
        return root

    def _check_document(self, event: Any, documents: int) -> None:
        position = event.start_mark.index
        if documents > 1:
            self._problems.add(position, "a second document; one file holds one")
            raise StopReadingError
        if event.version or event.tags:
            self._problems.add(position, "a YAML directive; remove the line that begins with %")

    def _node(self, event: Any, depth: int) -> Node:
        start = event.start_mark.index
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            self._too_much(start, depth)
        if isinstance(event, yaml.AliasEvent):
            self._problems.add(start, _refusal("an alias", self._text, start))
            return Refused(start)
        if event.anchor is not None:
            self._problems.add(start, _refusal("an anchor", self._text, start))
        if event.tag is not None:
            self._problems.add(start, _refusal("a tag", self._text, start))
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, start)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(tuple(self._items(depth)), start)
        return Mapping(self._entries(depth), start)

    def _too_much(self, start: int, depth: int) -> None:
        deep = f"nested more than {MAX_DEPTH} deep"
        self._problems.add(
            start, deep if depth > MAX_DEPTH else f"more than {MAX_NODES} values and keys"
        )
        raise StopReadingError

    def _scalar(self, event: Any, start: int) -> Scalar:
        text, style = str(event.value), event.style or ""
        if not style:
            inner = start if self._text.startswith(text, start) else None
            return Scalar(text, _kind(_CORE_SCALAR.fullmatch(text)), start, inner)
        as_it_is = self._text[start : event.end_mark.index] == f"{style}{text}{style}"
        return Scalar(text, "str", start, start + 1 if as_it_is else None)

    def _items(self, depth: int) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                return
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> dict[str, tuple[Scalar, Node]]:
        entries: dict[str, tuple[Scalar, Node]] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if isinstance(key, Sequence | Mapping):
                self._problems.add(key.start, f"expected a word as key, found {key}")
            elif isinstance(key, Scalar) and key.text in entries:
                line, _ = self._problems.place(entries[key.text][0].start)
                self._problems.add(
                    key.start, f"duplicate key {quoted(key.text)}; it stands in line {line} too"
                )
            elif isinstance(key, Scalar):
                entries[key.text] = (key, value)
        return entries


def _kind(core: re.Match[str] | None) -> str:
    """The kind by the group that matched; the outer groups are the named ones."""
    if core is None:
        return "str"
    return next(kind for kind, text in core.groupdict().items() if text is not None)


def _refusal(what: str, text: str, start: int) -> str:
    sign = text[start : start + 1]
    quotes = f"; a text that begins with {sign} goes into quotes" if sign in "*&!" else ""
    return f"{what} is not taken here{quotes}"
