"""Telegram's HTML as the Bot API server reads it (tdlib, MessageEntity.cpp, `parse_html`)."""

import re
from dataclasses import dataclass

_KINDS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline",
    "ins": "underline", "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough",
    "tg-spoiler": "spoiler", "span": "spoiler", "tg-emoji": "custom_emoji", "a": "text_link",
    "pre": "pre", "code": "code", "blockquote": "blockquote",
}  # fmt: skip
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_NUMBER = re.compile(r"&#(?:x([0-9a-fA-F]*)|([0-9]*))")
_NAME = re.compile(r"&([a-zA-Z]*)")
_SPACE = " \t\r\n\v\0"
_NAME_TOKEN = re.compile(r"[a-zA-Z0-9.-]*")
_ESCAPE = re.compile(r"&(amp|lt|gt|quot);")
_ESCAPES = re.compile(r"(?:&(?:amp|lt|gt|quot);)+")  # many at once
_PLAIN = re.compile(r"[^<&]+")


class EntityError(Exception):
    """What follows "Bad Request: can't parse entities: "."""


@dataclass(frozen=True)
class Entity:
    """A tag's stretch of the text; offset and length in UTF-16 units. `value`: url, language."""

    kind: str
    offset: int
    length: int
    value: str = ""


@dataclass(frozen=True)
class Parsed:
    text: str
    entities: tuple[Entity, ...]


def utf16_length(text: str) -> int:
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def parse_html(raw: str) -> Parsed:
    """The text without its tags, and where they were.

    Raises:
        EntityError: with the server's words.
    """
    return _Reader(raw).read()


@dataclass(frozen=True)
class _Open:
    tag: str
    value: str
    offset: int
    pieces: int  # how many pieces of text stood before it


class _Reader:
    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.at = 0
        self.text: list[str] = []
        self.length = 0
        self.open: list[_Open] = []
        self.entities: list[Entity] = []

    def read(self) -> Parsed:
        while self.at < len(self.raw):
            character = self.raw[self.at]
            if character == "&" and (escapes := _ESCAPES.match(self.raw, self.at)):
                self._add(_ESCAPE.sub(lambda one: _NAMED[one[1]], escapes.group()))
                self.at = escapes.end()
            elif character == "&":
                decoded, self.at = _decode(self.raw, self.at)
                self._add(decoded)
            elif character != "<":
                plain = _PLAIN.match(self.raw, self.at)
                assert plain is not None
                self._add(plain.group())
                self.at = plain.end()
            elif self._peek(1) == "/":
                self._close()
            else:
                self._start()
        if self.open:
            tag = self.open[-1].tag
            raise EntityError(f'Can\'t find end tag corresponding to start tag "{tag}"')
        text = _paired("".join(self.text))
        return Parsed(text, _shown(self.entities))

    def _add(self, text: str) -> None:
        self.text.append(text)
        self.length += utf16_length(text)

    def _peek(self, ahead: int = 0) -> str:
        """The character there; a zero behind the end, as C sees it."""
        place = self.at + ahead
        return self.raw[place] if place < len(self.raw) else "\0"

    def _until(self, ends: str) -> str:
        """The text up to a blank or one of the characters."""
        begun = self.at
        while self._peek() not in _SPACE and self._peek() not in ends:
            self.at += 1
        return self.raw[begun : self.at]

    def _skip_blanks(self) -> None:
        while self._peek() in _SPACE and self._peek() != "\0":
            self.at += 1

    def _start(self) -> None:
        place = _bytes(self.raw, self.at)
        self.at += 1
        tag = self._until(">").lower()
        if self._peek() == "\0":
            raise EntityError(f"Unclosed start tag at byte offset {place}")
        if tag not in _KINDS:
            raise EntityError(f'Unsupported start tag "{tag}" at byte offset {place}')
        value = ""
        while self._peek() != ">":
            self._skip_blanks()
            if self._peek() == ">":
                break
            name, found = self._attribute(tag, place)
            value = _argument(tag, name, found) or value
        if tag == "span" and value != "spoiler":
            raise EntityError(f'Tag "span" must have class "tg-spoiler" at byte offset {place}')
        self.at += 1
        self.open.append(_Open(tag, value, self.length, len(self.text)))

    def _attribute(self, tag: str, place: int) -> tuple[str, str]:
        name = self._until("=>")
        if not name:
            raise EntityError(f'Empty attribute name in the tag "{tag}" at byte offset {place}')
        self._skip_blanks()
        if self._peek() != "=":
            if tag == "blockquote" and name == "expandable" and self._peek() != "\0":
                return name, ""
            raise EntityError(
                "Expected equal sign in declaration of an attribute of the tag "
                f'"{tag}" at byte offset {place}'
            )
        self.at += 1
        self._skip_blanks()
        if self._peek() == "\0":
            raise EntityError(f'Unclosed start tag "{tag}" at byte offset {place}')
        value = self._quoted() if self._peek() in "'\"" else self._token()
        if self._peek() == "\0":
            raise EntityError(f"Unclosed start tag at byte offset {place}")
        return name, value

    def _token(self) -> str:
        begun = self.at
        match = _NAME_TOKEN.match(self.raw, begun)
        assert match is not None
        self.at = match.end()
        if self._peek() not in _SPACE and self._peek() != ">":
            place = _bytes(self.raw, begun)
            raise EntityError(f"Unexpected end of name token at byte offset {place}")
        return match.group().lower()

    def _quoted(self) -> str:
        quote, value = self._peek(), ""
        self.at += 1
        while self._peek() not in (quote, "\0"):
            if self._peek() == "&":
                decoded, self.at = _decode(self.raw, self.at)
                value += decoded
            else:
                value += self._peek()
                self.at += 1
        if self._peek() == quote:
            self.at += 1
        return value

    def _close(self) -> None:
        place = _bytes(self.raw, self.at)
        if not self.open:
            raise EntityError(f"Unexpected end tag at byte offset {place}")
        self.at += 2
        name = self._until(">").lower()
        self._skip_blanks()
        if self._peek() != ">":
            raise EntityError(f"Unclosed end tag at byte offset {place}")
        self.at += 1
        opened = self.open.pop()
        if name and name != opened.tag:
            raise EntityError(
                f"Unmatched end tag at byte offset {place}, expected "
                f'"</{opened.tag}>", found "</{name}>"'
            )
        if self.length > opened.offset:
            self._end(opened)

    def _end(self, opened: _Open) -> None:
        value = opened.value
        if opened.tag == "a":
            value = value or "".join(self.text[opened.pieces :])
        if opened.tag == "tg-emoji" and not (value.isdecimal() and int(value)):
            raise EntityError("Invalid custom emoji identifier specified")
        kind = _KINDS[opened.tag]
        if kind == "blockquote" and value:
            kind = "expandable_blockquote"
        length = self.length - opened.offset
        last = self.entities[-1] if self.entities else None
        if (
            last is not None
            and {last.kind, kind} == {"pre", "code"}
            and (last.offset, last.length) == (opened.offset, length)
        ):
            self.entities[-1] = Entity("pre", opened.offset, length, last.value or value)
            return
        self.entities.append(Entity(kind, opened.offset, length, value))


def _shown(entities: list[Entity]) -> tuple[Entity, ...]:
    """In order, without those inside of `pre` and `code`, and no more than the first hundred."""
    ordered = sorted(entities, key=lambda one: (one.offset, -one.length))
    kept: list[Entity] = []
    code_until = 0
    for entity in ordered:
        if entity.offset < code_until:
            continue
        if entity.kind in ("pre", "code"):
            code_until = entity.offset + entity.length
        kept.append(entity)
    return tuple(kept[:100])


def _argument(tag: str, name: str, value: str) -> str:
    if (tag, name) in (("a", "href"), ("tg-emoji", "emoji-id")):
        return value
    if (tag, name) == ("code", "class") and value.startswith("language-"):
        return value.removeprefix("language-")
    if (tag, name) == ("span", "class") and value.startswith("tg-"):
        return value.removeprefix("tg-")
    return "1" if (tag, name) == ("blockquote", "expandable") else ""


def _decode(raw: str, at: int) -> tuple[str, int]:
    """`decode_html_entity`: numbers, and four names; anything else stays as it is."""
    if raw[at + 1 : at + 2] == "#":
        number = _NUMBER.match(raw, at)
        assert number is not None
        hexadecimal, decimal = number.groups()
        code = int(hexadecimal or "0", 16) if hexadecimal is not None else int(decimal or "0")
        if not 0 < code < 0x10FFFF or number.end() - at >= 10:
            return "&", at + 1
        decoded, end = chr(code), number.end()
    else:
        name = _NAME.match(raw, at)
        assert name is not None
        if name.group(1) not in _NAMED:
            return "&", at + 1
        decoded, end = _NAMED[name.group(1)], name.end()
    return decoded, end + (raw[end : end + 1] == ";")


def _paired(text: str) -> str:
    """`&#xD83D;` and its like make half characters, which the server refuses."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise EntityError(
            "Text contains invalid Unicode characters after decoding HTML entities, check for "
            "unmatched surrogate code units"
        ) from None
    return text


def _bytes(raw: str, at: int) -> int:
    return len(raw[:at].encode())
