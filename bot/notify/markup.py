"""Telegram HTML: escaping, cutting at the server's limits, and reading it back as plain text.

Limits (Bot API, sendMessage; Client.cpp): 4096 UTF-16 units after entity parsing, 32 KiB raw.
What the server makes of single characters: tdlib, misc.cpp, `clean_input_string` (control
characters become spaces, some are left out) and `is_empty_string` (what nobody can see).
"""

import html
import re
import unicodedata

MAX_UNITS = 4096
MAX_BYTES = 32_768
_TOKEN = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)[^>]*>|&(?:#\w+|\w+);|[^<&]{1,4096}|[<&]")
_TAG = re.compile(r"</?[a-zA-Z][^>]*>")
_LINE_ENDS = re.compile("\r\n|[\r\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f]")
_UNSEEN = re.compile(
    "[\x00-\x20\u00a0\u030a\u0333\u033f\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f\u2800\u3000"
    "\ufeff\ufffc\U000e0000-\U000e007f]+"
)
_ESCAPES = ("&amp;", "&lt;", "&gt;")  # those that `escape` makes
_LONGEST_LETTER = 256  # characters of a letter with its marks that are kept together
_Tags = tuple[tuple[str, str], ...]  # open ones, outermost first: name and the tag as written


def escape(text: str) -> str:
    """A text of any origin, to stand in HTML.

    What no message can carry is replaced: half characters by "?", control characters by spaces,
    as the server does it, and other ends of a line by newlines.
    """
    whole = text.encode("utf-8", "replace").decode()
    return html.escape(_CONTROLS.sub(" ", _LINE_ENDS.sub("\n", whole)), quote=False)


def units(text: str) -> int:
    """The length that Telegram counts: UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def plain_text(markup: str) -> str:
    """What a reader of the HTML sees."""
    return html.unescape(_TAG.sub("", markup))


def is_blank(text: str) -> bool:
    """Whether a reader would see nothing at all: the server takes no such message."""
    return _UNSEEN.fullmatch(text) is not None or not text


def split_html(markup: str, max_units: int = MAX_UNITS, max_bytes: int = MAX_BYTES) -> list[str]:
    """Parts that each fit one message and are valid HTML, together the whole text.

    Cut at the last line's end in a part's second half, else between words there, else between
    letters; a letter and its marks stay together. Open tags are closed at a cut and opened again
    after it. Left out are the newline at a cut and parts in which there is nothing to see; of
    the blanks around a cut the server shows none.
    """
    if units(markup) <= max_units and len(markup.encode()) <= max_bytes:
        return [markup]
    parts: list[str] = []
    at = 0
    tags: _Tags = ()
    while at < len(markup):
        opened = "".join(written for _, written in tags)
        room = max_bytes - len(opened.encode())
        tokens, reach = _reach(markup, at, tags, max_units, room)
        end, after = _cut(markup, at, tokens, reach)
        tags = _open_at(end, tokens, tags)
        parts.append(opened + markup[at:end] + _closing(tags))
        at = after
    return [part for part in parts if not is_blank(plain_text(part))] or [""]


def with_mark(markup: str, mark: str) -> str:
    """A text that is to replace a message's, with a line about it.

    The line is at the end, but where that takes several messages at the top: one can replace one.
    """
    whole = f"{markup}\n{mark}"
    return whole if len(split_html(whole)) == 1 else f"{mark}\n{markup}"


class _Token:
    """A tag, an entity, or text."""

    __slots__ = ("closes", "is_text", "name", "size", "start", "stop", "text", "units")

    def __init__(self, match: re.Match[str]) -> None:
        text = self.text = match[0]
        slash, self.name = match[1], match[2]  # of a tag, else None
        self.start, self.stop = match.span()
        self.closes = slash == "/"
        self.is_text = self.name is None and (text[0] != "&" or len(text) == 1)
        self.size = len(text) if text.isascii() else len(text.encode())
        if self.name is not None:
            self.units = 0
        elif self.is_text:
            self.units = units(text)
        else:
            self.units = 1 if text in _ESCAPES else units(html.unescape(text))

    def opened(self, tags: _Tags) -> _Tags:
        """The tags that are open behind this one."""
        if self.name is None:
            return tags
        return tags[:-1] if self.closes else (*tags, (self.name, self.text))


def _reach(
    markup: str, at: int, tags: _Tags, units_left: int, bytes_left: int
) -> tuple[list[_Token], int]:
    """How far a part can go, and the tokens up to there, of which the last may be cut."""
    tokens: list[_Token] = []
    bytes_left -= len(_closing(tags))
    for match in _TOKEN.finditer(markup, at):
        token = _Token(match)
        tokens.append(token)
        if token.name is not None:
            bytes_left += len(_closing(tags))
            tags = token.opened(tags)
            bytes_left -= len(_closing(tags))
        if token.units > units_left or token.size > bytes_left:
            some = _fitting(token.text, units_left, bytes_left) if token.is_text else 0
            return tokens, token.start + some
        units_left -= token.units
        bytes_left -= token.size
    return tokens, len(markup)


def _cut(markup: str, at: int, tokens: list[_Token], reach: int) -> tuple[int, int]:
    """Where the part ends, and where the next one begins."""
    if reach == len(markup):
        return reach, reach
    if reach == at:  # not even one token fits: it goes all the same
        return tokens[0].stop, tokens[0].stop
    half = (at + reach) // 2
    for blank, left_out in (("\n", 1), (" ", 0)):
        for token in reversed(tokens):
            if token.stop <= half:
                break
            if token.is_text:
                found = markup.rfind(blank, max(token.start, half), min(token.stop, reach))
                if found >= 0:
                    return found + 1 - left_out, found + 1
    end = _whole_letter(markup, at, tokens, reach)
    return end, end


def _whole_letter(markup: str, at: int, tokens: list[_Token], reach: int) -> int:
    """The last place up to a reach that parts no letter from its marks, if there is one near."""
    for token in reversed(tokens):
        place = min(token.stop, reach)
        if place <= token.start:
            continue
        least = max(token.start, place - _LONGEST_LETTER) if token.is_text else place - 1
        while place > least and _joined(markup, place):
            place -= 1
        if place > least:
            return place
        if token.name is not None or token.start <= at or reach - token.start > _LONGEST_LETTER:
            return reach
        if not _joined(markup, token.start):
            return token.start
    return reach


def _joined(markup: str, place: int) -> bool:
    """Whether the characters before and behind a place are one letter to a reader."""
    before, behind = markup[place - 1], markup[place]
    if before == "\u200d" or behind in "\u200d\u20e3" or unicodedata.category(behind)[0] == "M":
        return True
    if "\U0001f3fb" <= behind <= "\U0001f3ff" or "\U000e0020" <= behind <= "\U000e007f":
        return True  # the colour of a skin, the letters of a flag
    if not _is_flag_half(behind):
        return False
    halves = 0
    while place - halves > 0 and _is_flag_half(markup[place - halves - 1]):
        halves += 1
    return halves % 2 == 1


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _fitting(text: str, most_units: int, most_bytes: int) -> int:
    """How many of a text's characters fit."""
    start = text[: max(most_units, 0)]
    if not start.isascii():
        start = start.encode("utf-16-le")[: 2 * most_units].decode("utf-16-le", "ignore")
        start = start.encode()[: max(most_bytes, 0)].decode(errors="ignore")
    return min(len(start), max(most_bytes, 0))


def _open_at(end: int, tokens: list[_Token], tags: _Tags) -> _Tags:
    for token in tokens:
        if token.start >= end:
            break
        tags = token.opened(tags)
    return tags


def _closing(tags: _Tags) -> str:
    return "".join(f"</{name}>" for name, _ in reversed(tags))
