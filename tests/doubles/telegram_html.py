"""Telegram's HTML as the Bot API server reads it (tdlib, MessageEntity.cpp, `do_parse_html`)."""

import html
import re
from dataclasses import dataclass

_TAGS = frozenset(
    {"a", "b", "strong", "i", "em", "s", "strike", "del", "u", "ins", "tg-spoiler", "tg-emoji"}
    | {"span", "pre", "code", "blockquote"}
)
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ENTITY = re.compile(r"&(?:#(\d{1,8}|[xX][0-9a-fA-F]{1,8})|([a-z]+));?")
_START = re.compile(r"<([^\s>]*)")
_PLAIN = re.compile(r"[^<&]+")
_ATTRIBUTE = re.compile(r"""\s*([a-zA-Z0-9.-]+)(?:\s*=\s*("[^"]*"|'[^']*'|[a-zA-Z0-9.-]+))?""")


class EntityError(Exception):
    """What follows "Bad Request: can't parse entities: "."""


@dataclass(frozen=True)
class Entity:
    """A tag's stretch of the text; offset and length in UTF-16 units."""

    kind: str
    offset: int
    length: int


@dataclass(frozen=True)
class Parsed:
    text: str
    entities: tuple[Entity, ...]


def utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def parse_html(raw: str) -> Parsed:
    """The text without its tags, and where they were.

    Raises:
        EntityError: with the server's words.
    """
    text: list[str] = []
    length = 0
    entities: list[Entity] = []
    open_tags: list[tuple[str, int]] = []
    position = 0
    while position < len(raw):
        character = raw[position]
        if character == "&":
            decoded, position = _decode(raw, position)
            text.append(decoded)
            length += utf16_length(decoded)
        elif character != "<":
            plain = _PLAIN.match(raw, position)
            assert plain is not None
            text.append(plain.group())
            length += utf16_length(plain.group())
            position = plain.end()
        elif raw[position + 1 : position + 2] == "/":
            tag, start, position = _close(raw, position, open_tags)
            if length > start:
                entities.append(Entity(tag, start, length - start))
        else:
            tag, position = _open(raw, position)
            open_tags.append((tag, length))
    if open_tags:
        tag = open_tags[-1][0]
        raise EntityError(f'Can\'t find end tag corresponding to start tag "{tag}"')
    return Parsed("".join(text), tuple(sorted(entities, key=lambda entity: entity.offset)))


def _decode(raw: str, position: int) -> tuple[str, int]:
    """Named entities are the four of the documentation; an unknown one stays as it is."""
    match = _ENTITY.match(raw, position)
    if match is None:
        return "&", position + 1
    number, name = match.groups()
    if number is not None:
        code = int(number[1:], 16) if number[0] in "xX" else int(number)
        if not 0 < code < 0x10FFFF:
            return "&", position + 1
        return html.unescape(f"&#{code};"), match.end()
    if name not in _NAMED:
        return "&", position + 1
    return _NAMED[name], match.end()


def _open(raw: str, position: int) -> tuple[str, int]:
    place = len(raw[:position].encode())
    match = _START.match(raw, position)
    assert match is not None
    tag = match.group(1).lower()
    if tag not in _TAGS:
        raise EntityError(f'Unsupported start tag "{tag}" at byte offset {place}')
    at = match.end()
    attributes: dict[str, str] = {}
    while True:
        while at < len(raw) and raw[at].isspace():
            at += 1
        if at >= len(raw):
            raise EntityError(f"Unclosed start tag at byte offset {place}")
        if raw[at] == ">":
            break
        found = _ATTRIBUTE.match(raw, at)
        if found is None or found.end() == at:
            raise EntityError(f'Empty attribute name in the tag "{tag}" at byte offset {place}')
        attributes[found.group(1)] = (found.group(2) or "").strip("\"'")
        at = found.end()
    if tag == "span" and not attributes.get("class", "").startswith("tg-"):
        raise EntityError(f'Tag "span" must have class "tg-spoiler" at byte offset {place}')
    return tag, at + 1


def _close(raw: str, position: int, open_tags: list[tuple[str, int]]) -> tuple[str, int, int]:
    place = len(raw[:position].encode())
    if not open_tags:
        raise EntityError(f"Unexpected end tag at byte offset {place}")
    end = raw.find(">", position)
    if end < 0:
        raise EntityError(f"Unclosed end tag at byte offset {place}")
    name = raw[position + 2 : end].strip().lower()
    tag, start = open_tags.pop()
    if name and name != tag:
        raise EntityError(
            f'Unmatched end tag at byte offset {place}, expected "</{tag}>", found "</{name}>"'
        )
    return tag, start, end + 1
