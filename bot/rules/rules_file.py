"""The rules file: from its text to rules, chats and groups, or to everything that is wrong."""

from collections.abc import Mapping as ReadOnly
from contextlib import suppress
from dataclasses import dataclass

from bot.market.catalog import Catalog
from bot.rules.expression import Condition
from bot.rules.nearest import quoted
from bot.rules.options import (
    WORDS,
    check_text,
    default_fits,
    is_quantity,
    no_quantity,
    read_options,
    timezones,
)
from bot.rules.parser import ConditionError, parse_condition
from bot.rules.rule import Chat, Options, Rule, Target
from bot.rules.selector import (
    MAX_GROUPS,
    Selection,
    SelectorError,
    is_name,
    open_groups,
    read_entry,
    read_selection,
    resolve,
)
from bot.rules.yaml_file import (
    Node,
    Problem,
    Problems,
    Scalar,
    Sequence,
    StopReadingError,
    is_empty,
    read_yaml,
)
from bot.rules.yaml_shape import Shapes

FILE_KEYS = ("version", "chats", "groups", "defaults", "rules")
CHAT_KEYS = ("id", "topic", "language", "timezone")
RULE_KEYS = ("name", "symbols", "when", *WORDS, "to")
DEFAULT_KEYS = (*WORDS, "to")
LANGUAGES = ("en", "zh")
LONGEST_NAME = 100  # characters
MAX_CONDITIONS = 200_000  # characters of all together: reading them takes time
_WRONG_WEIGHT = 4  # a wrong condition takes more of it
_SUGGESTIONS = 100  # unknown symbols that get one: each is compared with the whole catalog

# Which scalars each option takes, and what is expected where it is none of them. A number where a
# duration belongs is judged as one, which names the units.
_TIME = (("str", "int", "float"), "a duration, as in 30s or 1h30m")
_FLAG = (("bool",), "true or false")
_OPTION_TYPES = {
    "for": _TIME,
    "keep": _TIME,
    "cooldown": _TIME,
    "repeat": _TIME,
    "until": (("str", "int", "float"), "a date or a duration, as in 2026-12-31 or 7d"),
    "clear": (("str", "int", "float"), "a quantity or a condition, as in 0.03%"),
    "once": _FLAG,
    "quiet": _FLAG,
    "resolved": (("str", "bool"), "on or off"),
    "severity": (("str",), "info, warning or critical"),
    "note": (("str",), "a text"),
}


class RulesFileError(ValueError):
    """The file cannot be used; `problems` are all there are, in the order of their places."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class WrittenName:
    """A plain symbol name where it stands in the file, in capitals and without its `!`."""

    name: str
    line: int
    column: int


@dataclass(frozen=True)
class RulesFile:
    """What a good file says. Groups are opened: none holds another one."""

    rules: tuple[Rule, ...]
    chats: ReadOnly[str, Chat]
    groups: ReadOnly[str, tuple[str, ...]]
    names: tuple[WrittenName, ...] = ()


def read_rules_file(data: bytes) -> RulesFile:
    """Reads a rules file.

    Raises:
        RulesFileError: with every problem of the file.
    """
    root, problems = read_yaml(data)
    if root is None and not problems.found:
        problems.add(0, "the file is empty; it begins with version: 1")
    found = None
    with suppress(StopReadingError):
        found = _Reader(problems).file(root) if root is not None else None
    if found is None or problems.found:
        raise RulesFileError(tuple(sorted(set(problems.found))))
    return found


def symbol_problems(rules_file: RulesFile, catalog: Catalog) -> list[Problem]:
    """The written names that do not trade, each with the nearest that do.

    Nothing is known, and nothing wrong, without exchangeInfo.
    """
    if catalog.contracts is None:
        return []
    nearest: dict[str, str] = {}
    problems = []
    for written in rules_file.names:
        if resolve(written.name, catalog) is None:
            if written.name not in nearest:
                near = catalog.nearest(written.name, 1) if len(nearest) < _SUGGESTIONS else []
                nearest[written.name] = f"; did you mean {near[0]}?" if near else ""
            message = f"unknown symbol {quoted(written.name)}{nearest[written.name]}"
            problems.append(Problem(written.line, written.column, message))
    return problems


class _Reader:
    """Reads the parts of one file in the order in which they need one another."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._shapes = Shapes(problems)
        self._chats: dict[str, Chat | None] = {}  # None: declared, but not readable
        self._groups: dict[str, tuple[str, ...]] = {}
        self._broken: set[str] = set()  # groups with a bad entry: nothing more is said of them
        self._defaults: dict[str, str] = {}
        self._default_targets: tuple[Target, ...] = ()
        self._names: list[WrittenName] = []
        self._selections: dict[tuple[str, ...], Selection] = {}
        self._rule_lines: dict[str, int] = {}
        self._zones: dict[Target, str] = {}
        self._judged = 0  # characters of conditions

    def file(self, root: Node) -> RulesFile:
        parts = self._shapes.fields(root, FILE_KEYS, ("rules",), "the file")
        version = parts.get("version")
        one = isinstance(version, Scalar) and (version.kind, version.text) == ("int", "1")
        if version is not None and not one:
            self._shapes.add(version, f"expected version 1, found {version}")
        for name, node in self._shapes.named(parts.get("chats"), "chats"):
            self._chats[name] = self._chat(name, node)
        known = [chat for chat in self._chats.values() if chat is not None]
        self._default_targets = tuple(chat.target for chat in known)
        self._zones = {chat.target: chat.timezone for chat in known if chat.timezone}
        self._read_groups(parts.get("groups"))
        self._read_defaults(parts.get("defaults"))
        rules = [
            self._rule(node) for node in self._shapes.items(parts.get("rules"), "a list of rules")
        ]
        chats = {chat.name: chat for chat in known}
        found = tuple(rule for rule in rules if rule is not None)
        return RulesFile(found, chats, self._groups, tuple(self._names))

    def _chat(self, name: str, node: Node) -> Chat | None:
        parts = self._shapes.fields(node, CHAT_KEYS, ("id",), f"chat {quoted(name)}")
        chat_id = self._shapes.integer(parts.get("id"), "a chat id, a whole number as /id tells it")
        topic = self._shapes.integer(parts.get("topic"), "a topic's number, above 0", 1)
        language = self._shapes.choice(parts.get("language"), LANGUAGES, "language")
        timezone = parts.get("timezone")
        zone = self._shapes.choice(timezone, timezones(), "time zone") if timezone else None
        return None if chat_id is None else Chat(name, Target(chat_id, topic), language, zone)

    def _read_groups(self, node: Node | None) -> None:
        named = self._shapes.named(node, "groups")
        if node is not None and len(named) > MAX_GROUPS:
            self._shapes.add(node, f"more than {MAX_GROUPS} groups")
            named = named[:MAX_GROUPS]
        written = {name: self._entries(value, f"group {quoted(name)}") for name, value in named}
        texts = {name: [entry.text for entry in entries] for name, entries in written.items()}
        self._groups, wrong = open_groups(texts)
        for problem in wrong:
            self._shapes.add(written[problem.group][problem.position], problem.message, 0)
        self._broken = {f"@{problem.group}" for problem in wrong}
        for entries in written.values():
            for entry in entries:
                self._note_name(entry)

    def _entries(self, node: Node, what: str) -> list[Scalar]:
        """The written entries of a selector: a list of them, or one alone."""
        nodes = node.items if isinstance(node, Sequence) else (node,)
        texts = (
            self._shapes.text(entry, f"a symbol, a glob, @group or a class in {what}")
            for entry in nodes
        )
        return [entry for entry in texts if entry is not None]

    def _note_name(self, entry: Scalar) -> None:
        name = entry.text.strip().removeprefix("!").upper()
        if name and not name.startswith("@") and is_name(name):
            offset = entry.start if entry.inner is None else entry.inner
            self._names.append(WrittenName(name, *self._problems.place(offset)))

    def _read_defaults(self, node: Node | None) -> None:
        if node is None or is_empty(node):
            return
        parts = self._shapes.fields(node, DEFAULT_KEYS, (), "defaults")
        self._default_targets = self._targets(parts.get("to")) or self._default_targets
        texts = self._option_texts(parts)
        for problem in read_options(texts, None)[1]:
            self._shapes.add(parts[problem.word], problem.message, problem.column - 1)
            texts.pop(problem.word)
        if "clear" in texts and is_quantity(texts["clear"]):
            error = no_quantity(texts["clear"])
            if error is not None:
                self._shapes.add(parts["clear"], error.message, error.column - 1)
                texts.pop("clear")
        self._defaults = texts

    def _rule(self, node: Node) -> Rule | None:
        parts = self._shapes.fields(node, RULE_KEYS, ("name", "symbols", "when"), "the rule")
        name = self._name(parts.get("name"))
        selection = self._selection(parts.get("symbols"))
        condition = self._condition(parts.get("when"))
        targets = self._targets(parts.get("to")) or self._default_targets
        options = self._options(parts, condition, targets)
        if name is None or selection is None or condition is None:
            return None
        return Rule(f"file:{name}", name, selection, condition, options, targets)

    def _name(self, node: Node | None) -> str | None:
        text = self._shapes.text(node, "a name")
        if node is None or text is None:
            return None
        name = text.text.strip()
        if not name or len(name) > LONGEST_NAME or "\n" in name:
            self._shapes.add(text, f"expected a name of 1 to {LONGEST_NAME} characters on one line")
            return None
        try:
            check_text(text.text)
        except ConditionError as error:
            self._shapes.add(text, error.message, error.column - 1)
        if name in self._rule_lines:
            line = self._rule_lines[name]
            self._shapes.add(
                text, f"duplicate rule name {quoted(name)}; it stands in line {line} too"
            )
        self._rule_lines.setdefault(name, self._problems.place(text.start)[0])
        return name

    def _selection(self, node: Node | None) -> Selection | None:
        if node is None:
            return None
        before = len(self._problems.found)
        entries = self._entries(node, "`symbols`")
        for entry in entries:
            self._note_name(entry)
        texts = tuple(entry.text for entry in entries)
        if texts not in self._selections:
            for entry in entries:
                self._check_entry(entry)
            if len(self._problems.found) > before or not self._broken.isdisjoint(texts):
                return None
            try:
                self._selections[texts] = read_selection(texts, self._groups)
            except SelectorError as error:
                self._shapes.add(entries[error.entry] if error.entry else node, error.message)
                return None
        return self._selections[texts]

    def _check_entry(self, entry: Scalar) -> None:
        try:
            read_entry(entry.text, self._groups)
        except SelectorError as error:
            self._shapes.add(entry, error.message, 0)

    def _condition(self, node: Node | None) -> Condition | None:
        text = self._shapes.text(node, "a condition, as in rate > 0.05%")
        if text is None:
            return None
        self._judged += len(text.text)
        if self._judged > MAX_CONDITIONS:
            self._shapes.add(text, f"conditions of more than {MAX_CONDITIONS} characters in all")
            raise StopReadingError
        try:
            return parse_condition(text.text)
        except ConditionError as error:
            self._judged += len(text.text) * _WRONG_WEIGHT
            self._shapes.add(text, error.message, error.column - 1)
            return None

    def _targets(self, node: Node | None) -> tuple[Target, ...]:
        """The chats that `to` names; empty where it is not said, or not readable."""
        if node is None:
            return ()
        nodes = node.items if isinstance(node, Sequence) else (node,)
        if not nodes:
            self._shapes.add(
                node, "expected chats, found an empty list; leave `to` out to tell every chat"
            )
        found = [self._target(entry) for entry in nodes]
        return tuple(dict.fromkeys(target for target in found if target is not None))

    def _target(self, node: Node) -> Target | None:
        if not isinstance(node, Scalar) or node.kind != "str":
            chat_id = self._shapes.integer(node, "the name of a chat or a chat id")
            return None if chat_id is None else Target(chat_id)
        chat = self._chats.get(node.text)
        if node.text not in self._chats:
            advice = self._shapes.hint(node.text, self._chats)
            self._shapes.add(node, f"unknown chat {quoted(node.text)}; {advice}", 0)
        return None if chat is None else chat.target

    def _option_texts(self, parts: dict[str, Node]) -> dict[str, str]:
        texts = {}
        for word, (kinds, expected) in _OPTION_TYPES.items():
            node = parts.get(word)
            if isinstance(node, Scalar) and node.kind in kinds:
                texts[word] = node.text
            elif node is not None:
                self._shapes.add(node, f"expected {expected}, found {node}")
        return texts

    def _options(
        self, parts: dict[str, Node], condition: Condition | None, targets: tuple[Target, ...]
    ) -> Options:
        own = self._option_texts(parts)
        taken = {word: text for word, text in self._defaults.items() if word not in parts}
        if condition is not None:
            taken = {
                word: text for word, text in taken.items() if default_fits(word, text, condition)
            }
        # A date is one of the first chat that is told and has a zone.
        zone = next((self._zones[target] for target in targets if target in self._zones), "UTC")
        options, problems = read_options(taken | own, condition, zone)
        for problem in problems:
            if problem.word in own:
                self._shapes.add(parts[problem.word], problem.message, problem.column - 1)
        return options
