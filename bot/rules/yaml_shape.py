"""What a node of a YAML tree ought to be: each wrong shape becomes a problem at its place."""

from collections.abc import Collection

from bot.rules.nearest import hint, quoted
from bot.rules.yaml_file import Mapping, Node, Problems, Refused, Scalar, Sequence, is_empty

# Telegram's ids fit into 52 bits.
_LARGEST = 2**52
# Comparing a wrong word with many names takes time; a file of slips gets so many comparisons.
_MAX_COMPARED = 5_000


class Shapes:
    """Reads nodes as what is expected of them, and notes what they are not.

    Each method gives None, or nothing, where the node is missing or was noted.
    """

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._compared = 0

    def add(self, node: Node, message: str, offset: int | None = None) -> None:
        """Notes a problem at a node, or at an offset (from 0) within its text."""
        start = node.start
        if offset is not None and isinstance(node, Scalar) and node.inner is not None:
            start = node.inner + min(offset, len(node.text))
        if not isinstance(node, Refused):
            self._problems.add(start, message)

    def hint(self, word: str, known: Collection[str]) -> str:
        self._compared += len(known)
        return hint(word, known) if self._compared <= _MAX_COMPARED else "there is none like it"

    def fields(
        self, node: Node, known: tuple[str, ...], needed: tuple[str, ...], what: str
    ) -> dict[str, Node]:
        """The entries of a mapping whose keys are known."""
        if not isinstance(node, Mapping):
            self.add(node, f"expected {what} to be a mapping of keys and values, found {node}")
            return {}
        for key, (written, _) in node.entries.items():
            if key not in known:
                self.add(written, f"unknown key {quoted(key)}; {self.hint(key, known)}")
        for key in needed:
            if key not in node.entries:
                self.add(node, f"{what} has no {key}")
        return {key: value for key, (_, value) in node.entries.items() if key in known}

    def named(self, node: Node | None, what: str) -> list[tuple[str, Node]]:
        """The entries of a mapping whose keys are names."""
        if node is None or is_empty(node):
            return []
        if not isinstance(node, Mapping):
            self.add(node, f"expected {what} to be a mapping of names, found {node}")
            return []
        for written, _ in node.entries.values():
            if written.kind != "str" or not written.text.strip():
                self.add(written, f"expected a name among {what}, found {written}")
        return [(name, value) for name, (_, value) in node.entries.items()]

    def items(self, node: Node | None, what: str) -> tuple[Node, ...]:
        """The items of a list."""
        if isinstance(node, Sequence):
            return node.items
        if node is not None and not is_empty(node):
            self.add(node, f"expected {what}, found {node}")
        return ()

    def text(self, node: Node | None, what: str) -> Scalar | None:
        if isinstance(node, Scalar) and node.kind == "str":
            return node
        if node is not None:
            quotes = isinstance(node, Scalar) and not is_empty(node)
            self.add(node, f"expected {what}, found {node}" + "; put it in quotes" * quotes)
        return None

    def integer(self, node: Node | None, what: str, least: int = -_LARGEST) -> int | None:
        """A whole number of at least `least`, not 0."""
        if isinstance(node, Scalar) and node.kind == "int" and len(node.text) <= 20:
            text = node.text
            number = int(text, 0) if text[:2] in ("0x", "0o") else int(text)
            if least <= number <= _LARGEST and number:
                return number
        if node is not None:
            self.add(node, f"expected {what}, found {node}")
        return None

    def choice(self, node: Node | None, known: Collection[str], what: str) -> str | None:
        """One of the known words."""
        text = self.text(node, f"a {what}")
        if text is None or text.text in known:
            return None if text is None else text.text
        self.add(text, f"unknown {what} {quoted(text.text)}; {self.hint(text.text, known)}", 0)
        return None
