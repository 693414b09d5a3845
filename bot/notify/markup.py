"""Telegram HTML: escaping, cutting at the server's limits, and reading it back as plain text.

Limits (Bot API, sendMessage; Client.cpp): 4096 UTF-16 units after entity parsing, 32 KiB raw.
"""

import html
import re
from collections.abc import Iterator

MAX_UNITS = 4096
MAX_BYTES = 32_768
_TOKEN = re.compile(
    r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)([^>]*)>|&(?:#\w+|\w+);|\n|[^<&\n ]{1,32} ?|[<& ]"
)


def escape(text: str) -> str:
    """A text of any origin, to stand in HTML; what no message can carry is replaced."""
    printable = text.encode("utf-8", "replace").decode().replace("\x00", "")
    return html.escape(printable, quote=False)


def units(text: str) -> int:
    """The length that Telegram counts: UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def plain_text(markup: str) -> str:
    """What a reader of the HTML sees."""
    return html.unescape(re.sub(r"</?[a-zA-Z][^>]*>", "", markup))


def split_html(markup: str, max_units: int = MAX_UNITS, max_bytes: int = MAX_BYTES) -> list[str]:
    """Parts that each fit one message and are valid HTML, together the whole text.

    Cut at the last line's end where that is in the part's second half, else between words, else
    in one. Open tags are closed at a cut and opened again after it. The newline at a cut is the
    only thing left out.
    """
    if units(markup) <= max_units and len(markup.encode()) <= max_bytes:
        return [markup]
    parts: list[str] = []
    part = _Part(())
    for token in _tokens(markup):
        while not part.fits(token, max_units, max_bytes):
            done, part = part.cut()
            parts.append(done)
        part.add(token)
    parts.append(part.closed())
    return [one for one in parts if plain_text(one).strip()] or [""]


class _Token:
    """A tag, an entity, a newline, or a word or a piece of one."""

    __slots__ = ("closes", "opens", "size", "text", "units")

    def __init__(self, text: str, opens: str = "", closes: bool = False) -> None:
        self.text = text
        self.opens = opens
        self.closes = closes
        self.size = len(text.encode())
        self.units = 0
        if not (opens or closes):
            self.units = units(html.unescape(text) if text[0] == "&" else text)


def _tokens(markup: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(markup):
        slash, name, _ = match.groups()
        if name is None:
            yield _Token(match.group())
        else:
            yield _Token(match.group(), "" if slash else name, bool(slash))


class _Part:
    """One part under way: its tokens, and the tags that are open at each line's end."""

    def __init__(self, opened: tuple[_Token, ...], rest: list[_Token] | None = None) -> None:
        self.opened = opened  # at its start, to be opened again
        self.tokens: list[_Token] = []
        self.stack = list(opened)
        self.units = 0
        self.size = sum(tag.size for tag in opened)
        self.line_end = 0  # how many tokens up to and with the last newline
        for token in rest or []:
            self.add(token)

    def add(self, token: _Token) -> None:
        self.tokens.append(token)
        self.units += token.units
        self.size += token.size
        if token.opens:
            self.stack.append(token)
        elif token.closes and self.stack:
            self.stack.pop()
        elif token.text == "\n":
            self.line_end = len(self.tokens)

    def fits(self, token: _Token, max_units: int, max_bytes: int) -> bool:
        closing = sum(len(tag.opens) + 3 for tag in self.stack)
        closing += len(token.opens) + 3 if token.opens else 0
        return (
            self.units + token.units <= max_units and self.size + token.size + closing <= max_bytes
        )

    def cut(self) -> tuple[str, "_Part"]:
        """This part up to its last line's end, and the next one, which begins with the rest."""
        at = self.line_end if self.line_end > len(self.tokens) // 2 else len(self.tokens)
        first = _Part(self.opened, self.tokens[:at])
        if first.tokens[-1].text == "\n":
            first.tokens.pop()
        return first.closed(), _Part(tuple(first.stack), self.tokens[at:])

    def closed(self) -> str:
        texts = [token.text for token in (*self.opened, *self.tokens)]
        return "".join(texts) + "".join(f"</{tag.opens}>" for tag in reversed(self.stack))
