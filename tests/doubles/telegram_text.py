"""What becomes of a text after its markup was read (tdlib, `fix_formatted_text`, `misc.cpp`)."""

import re

from tests.doubles.telegram_html import Entity, EntityError, Parsed, parse_html, utf16_length
from tests.doubles.telegram_values import Json, bad

MAX_TEXT = 4096  # UTF-16 units after entity parsing
MAX_RAW = 1 << 15  # bytes before it (Client.cpp, get_formatted_text)
_DROPPED = re.compile("[\r\u2028-\u202e\u0333\u033f\u030a]")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_MARKS = re.compile("[\u200e\u200f]{2,}")
_SPACES = re.compile(
    "[\u1680\u180e\u2000-\u200a\u202e\u202f\u205f\u2800\u3000\ufffc\U000e0000-\U000e007f]"
)
_EMPTY = re.compile("[ \n\u200b-\u200f\u202e\ufeff\u00a0]*")


def parsed_text(parameters: dict[str, str]) -> Parsed:
    """The text and entities of a request, as far as they are judged before the chat is."""
    raw = parameters.get("text", "")
    if not raw:
        raise bad("Message text is empty")
    if len(raw.encode("utf-8", "surrogatepass")) > MAX_RAW:
        raise bad("Text is too long")
    mode = parameters.get("parse_mode", "").lower()
    if mode in ("", "none"):
        return Parsed(raw, ())
    if mode != "html":
        raise bad("Unsupported parse_mode" if "markdown" not in mode else f"{mode} is not modelled")
    try:
        raw.encode()
        return parse_html(raw)
    except UnicodeEncodeError:
        raise bad("Text must be encoded in UTF-8") from None
    except EntityError as error:
        raise bad(f"Can't parse entities: {error}") from None


def sendable(parsed: Parsed) -> Parsed:
    """The text as people will see it; refused where they would see nothing, or too much."""
    try:
        parsed.text.encode()
    except UnicodeEncodeError:
        raise bad("Strings must be encoded in UTF-8") from None
    text, entities = _trimmed(clean(parsed.text), _moved(parsed.text, parsed.entities))
    if is_empty(text):
        raise bad("Text must be non-empty")
    if utf16_length(text) > MAX_TEXT:
        raise bad("Message is too long")
    return Parsed(text, entities)


def clean(text: str) -> str:
    """`clean_input_string`: control characters become spaces, some characters vanish."""
    text = _CONTROL.sub(" ", _DROPPED.sub("", text))
    return _MARKS.sub(lambda run: "\u200c" * (len(run[0]) - 1) + run[0][-1], text)


def is_empty(text: str) -> bool:
    """`is_empty_string`: nothing that a reader could see."""
    return _EMPTY.fullmatch(_SPACES.sub(" ", text)) is not None


def entity_json(entity: Entity) -> Json:
    shape: Json = {"type": entity.kind, "offset": entity.offset, "length": entity.length}
    if entity.kind == "text_link":
        shape["url"] = entity.value
    elif entity.kind == "pre" and entity.value:
        shape["language"] = entity.value
    elif entity.kind == "custom_emoji":
        shape["custom_emoji_id"] = entity.value
    return shape


def _moved(text: str, entities: tuple[Entity, ...]) -> tuple[Entity, ...]:
    """Where entities are once some characters have vanished."""
    if not _DROPPED.search(text):
        return entities
    wide = text.encode("utf-16-le")

    def place(offset: int) -> int:
        return utf16_length(_DROPPED.sub("", wide[: 2 * offset].decode("utf-16-le")))

    moved = []
    for one in entities:
        begin, end = place(one.offset), place(one.offset + one.length)
        if end > begin:
            moved.append(Entity(one.kind, begin, end - begin, one.value))
    return tuple(moved)


def _trimmed(text: str, entities: tuple[Entity, ...]) -> tuple[str, tuple[Entity, ...]]:
    """Blanks at the end go; those at the start as far as no entity covers them."""
    text = text.rstrip(" \n")
    first = min((entity.offset for entity in entities), default=len(text))
    cut = 0
    while cut < min(first, len(text)) and text[cut] in " \n":
        cut += 1
    length = utf16_length(text)
    kept = [
        Entity(one.kind, one.offset - cut, min(one.length, length - one.offset), one.value)
        for one in entities
        if one.offset < length
    ]
    return text[cut:], tuple(kept)
