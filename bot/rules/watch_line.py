"""The line behind /watch: `SELECTOR[,SELECTOR…] CONDITION [OPTION…]`, read and printed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bot.market.reading import FIELDS
from bot.rules.expression import Condition
from bot.rules.nearest import nearest, quoted
from bot.rules.options import WORDS, check_text, read_options
from bot.rules.parser import WINDOW_FUNCTIONS, ConditionError, parse_condition
from bot.rules.rule import Options, Rule, Target, option_words
from bot.rules.selector import Groups, Selection, SelectorError, read_selection

MAX_LENGTH = 3_500  # characters: with what surrounds it, a line fits into one message
EXAMPLE = "BTCUSDT rate > 0.05% for 30s cooldown 1h"
_EXAMPLES = {
    "for": "for 30s",
    "clear": "clear 0.03%",
    "keep": "keep 1m",
    "cooldown": "cooldown 1h",
    "repeat": "repeat 4h",
    "until": "until 7d",
    "severity": "severity warning",
    "resolved": "resolved off",
    "note": 'note "watch out"',
}
_FLAGS = ("once", "quiet")
_SELECTORS = re.compile(r"\s*([^\s,，]+(?:\s*[,，]\s*[^\s,，]+)*[,，]?)(?:\s+|$)")
_WORD = re.compile(r"\w+")
# What closes a quotation, by what opens it: straight, typographic, and as phones mix them.
_QUOTES = {
    '"': '"', "'": "'", "“": '”“"', "”": '”"', "„": '“”"', "‟": '”"', "«": "»", "»": "«",
    "‘": "’'", "’": "’'", "「": "」", "『": "』", "＂": '＂"',
}  # fmt: skip
_MIXED = {'"': "”“", "'": "’"}  # closes a straight one that no straight one closes
_APOSTROPHES = "'’"  # inside a word they close nothing
_NEEDS_SYMBOLS = re.compile(  # a line that begins with the condition
    rf"\s*(?:\||(?:{'|'.join(FIELDS)})\s*(?:[<>≤≥=＜＞]|crosses\b)"
    rf"|(?:abs|{'|'.join(WINDOW_FUNCTIONS)})\s*\()",
    re.IGNORECASE,
)


class WatchLineError(ValueError):
    """The line cannot be read; `column` counts from 1 within its text.

    The message says what was expected, the nearest word where one is near, and an example.
    """

    def __init__(self, message: str, column: int, example: str = EXAMPLE) -> None:
        then = " For" if message.endswith("?") else "; for"
        super().__init__(f"{message}{then} example: {example}")
        self.message = str(self)
        self.column = column


@dataclass(frozen=True)
class WatchLine:
    """What a line says: which symbols, which condition, which options."""

    selection: Selection
    condition: Condition
    options: Options


def parse_watch(text: str, *, timezone: str = "UTC", groups: Groups | None = None) -> WatchLine:
    """Reads the arguments of /watch. Dates are in `timezone`, an IANA name.

    Raises:
        WatchLineError: with the column and what was expected there.
    """
    if len(text) > MAX_LENGTH:
        raise WatchLineError(f"longer than {MAX_LENGTH} characters", MAX_LENGTH + 1)
    try:
        check_text(text)
    except ConditionError as error:
        raise WatchLineError(error.message, error.column) from None
    selection, start = _selection(text, groups)
    parts = list(_parts(text, start))
    condition = _condition(text, start, parts[0].keyword if parts else len(text))
    options = _options(text, parts, condition, timezone)
    if len(watch_text(selection, condition, options)) > MAX_LENGTH:
        raise WatchLineError(f"longer than {MAX_LENGTH} characters when written out", 1)
    return WatchLine(selection, condition, options)


def watch_text(selection: Selection, condition: Condition, options: Options) -> str:
    """The canonical line; it reads back to an equal `WatchLine`.

    A group stays a name: it reads back where the same groups are known.
    """
    words = [str(selection), condition.text, *option_words(condition, options)]
    if options.note:
        escaped = options.note.replace("\\", "\\\\").replace('"', '\\"')
        words.append(f'note "{escaped}"')
    return " ".join(words)


def watch_rule(rule_id: str, line: WatchLine, target: Target, created_at: int, name: str) -> Rule:
    """The rule that a chat's watch is; `created_at` in epoch ms."""
    return Rule(rule_id, name, line.selection, line.condition, line.options, (target,), created_at)


@dataclass(frozen=True, slots=True)
class _Part:
    """An option in the text: its word, and where the word, its text and its end are, from 0."""

    word: str
    keyword: int
    start: int
    end: int


def _selection(text: str, groups: Groups | None) -> tuple[Selection, int]:
    """The symbols and where the condition begins."""
    listed = _SELECTORS.match(text)
    if listed is None or _NEEDS_SYMBOLS.match(text):
        column = len(text) - len(text.lstrip()) + 1
        raise WatchLineError("symbols come first, then the condition", column)
    entries = list(re.finditer(r"[^\s,，]+", listed[1]))
    try:
        selection = read_selection([entry[0] for entry in entries], groups)
    except SelectorError as error:
        place = entries[error.entry].start() if entries else 0
        raise WatchLineError(error.message, listed.start(1) + place + 1) from None
    return selection, listed.end()


def _parts(text: str, start: int) -> Iterator[_Part]:
    """The options in the order of the text; keywords inside quotes are none."""
    found: _Part | None = None
    position = start
    while position < len(text):
        word = _WORD.match(text, position)
        if word and word[0].lower() in WORDS:
            if found is not None:
                yield _ended(found, word.start())
            found = _Part(word[0].lower(), word.start(), word.end(), len(text))
        if word:
            position = word.end()
        elif text[position] in _QUOTES and found is not None and found.word == "note":
            position = _closing(text, position) + 1
        else:
            position += 1
    if found is not None:
        yield found


def _ended(part: _Part, end: int) -> _Part:
    return _Part(part.word, part.keyword, part.start, end)


def _closing(text: str, opening: int) -> int:
    """Where a quotation ends; a backslash keeps the sign after it from ending it."""
    quote = text[opening]
    for signs in (_QUOTES[quote], _MIXED.get(quote, "")):
        position = opening + 1
        while position < len(text):
            if text[position] == "\\":
                position += 1
            elif text[position] in signs and not _inside_word(text, position):
                return position
            position += 1
    raise WatchLineError("the note has no closing quote", opening + 1, _EXAMPLES["note"])


def _inside_word(text: str, position: int) -> bool:
    return text[position] in _APOSTROPHES and text[position + 1 : position + 2].isalnum()


def _condition(text: str, start: int, end: int) -> Condition:
    try:
        return parse_condition(text[start:end].rstrip())
    except ConditionError as error:
        place = min(start + error.column - 1, end)
        raise _misread(text, place, end, error.message, EXAMPLE) from None


def _misread(text: str, place: int, end: int, message: str, example: str) -> WatchLineError:
    """An error at a place; a word there that is nearly an option is taken for one."""
    word = _WORD.match(text, place, end)
    near = nearest(word[0], WORDS, 0.6) if word and len(word[0]) > 2 else None
    if word and near and "did you mean" not in message:
        message, example = f"unknown option {quoted(word[0])}; did you mean {near}?", EXAMPLE
    return WatchLineError(message, place + 1, example)


def _options(text: str, parts: list[_Part], condition: Condition, timezone: str) -> Options:
    texts: dict[str, str] = {}
    places: dict[str, _Part] = {}
    for part in parts:
        if part.word in texts:
            raise WatchLineError(f"{part.word} stands here twice", part.keyword + 1)
        texts[part.word] = _option_text(text, part)
        places[part.word] = part
    options, problems = read_options(texts, condition, timezone)
    for problem in problems:
        part = places[problem.word]
        begun = _begin(text, part)
        place = begun if problem.word == "note" else min(begun + problem.column - 1, len(text))
        message = f"{problem.word}: {problem.message}"
        raise _misread(text, place, part.end, message, _EXAMPLES.get(problem.word, EXAMPLE))
    return options


def _begin(text: str, part: _Part) -> int:
    """Where the text of an option begins, behind the blanks."""
    given = text[part.start : part.end]
    return part.start + len(given) - len(given.lstrip())


def _option_text(text: str, part: _Part) -> str:
    given = text[part.start : part.end].strip()
    place = _begin(text, part)
    if part.word in _FLAGS:
        if given:
            message = f"{part.word} stands alone, found {quoted(given)}"
            raise _misread(text, place, part.end, message, EXAMPLE)
        return "true"
    if not given:
        raise WatchLineError(
            f"{part.word} needs more behind it", part.keyword + 1, _EXAMPLES[part.word]
        )
    return _note(text, place, part) if part.word == "note" else given


def _note(text: str, opening: int, part: _Part) -> str:
    if text[opening] not in _QUOTES:
        raise WatchLineError("put the note in quotes", opening + 1, _EXAMPLES["note"])
    closing = _closing(text, opening)
    rest = text[closing + 1 : part.end]
    if rest.strip():
        place = closing + 1 + len(rest) - len(rest.lstrip())
        message = f"expected an option or the end, found {quoted(rest.strip())}"
        raise _misread(text, place, part.end, message, _EXAMPLES["note"])
    return re.sub(r"\\([\\\"])", r"\1", text[opening + 1 : closing])
