"""How the Bot API reads a request: its parameters, its buttons, what it replies to."""

import json
from typing import Any
from urllib.parse import parse_qsl

from tests.doubles.telegram_values import Json, RefusedError, bad

_MAX_PARAMETERS = 1 << 20  # bytes (tdlib, HttpReader.h, MAX_TOTAL_PARAMETERS_LENGTH)


def parameters_of(content_type: str, body: bytes, query: str = "") -> dict[str, str]:
    """Those of the address and those of the body, each as text.

    Raises:
        RefusedError: what no server reads.
    """
    if len(body) > _MAX_PARAMETERS:
        raise RefusedError(413, "Request Entity Too Large: too much parameters")
    pairs = dict(parse_qsl(query, keep_blank_values=True, errors="surrogateescape"))
    if content_type.startswith("application/json"):
        try:
            named = json.loads(body).items()
        except (ValueError, AttributeError):
            raise bad("Can't parse request: JSON object expected") from None
        return pairs | {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in named
        }
    text = body.decode("utf-8", "surrogateescape")
    return pairs | dict(parse_qsl(text, keep_blank_values=True, errors="surrogateescape"))


def encode(body: Json | str | None) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def is_true(value: str | None) -> bool:
    """`to_bool`."""
    return (value or "").lower() in ("true", "yes", "1")


def integer(value: str | None, default: int, least: int, most: int) -> int:
    """`get_integer_arg`: what is no number counts as 0, and the bounds hold."""
    try:
        number = int(value) if value else default
    except ValueError:
        number = 0
    return max(least, min(number, most))


def buttons_of(parameters: dict[str, str]) -> list[list[Json]]:
    """The inline keyboard of a request; its shape is judged, not yet its texts and data."""
    markup = parsed(parameters.get("reply_markup"), "Can't parse reply keyboard markup JSON object")
    if markup is None:
        return []
    if not isinstance(markup, dict):
        raise bad("Object expected as reply markup")
    rows: list[list[Json]] = markup.get("inline_keyboard", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad('Field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays')
    for button in (button for row in rows for button in row):
        _button(button)
    return rows


def check_buttons(rows: list[list[Json]]) -> None:
    """What Telegram itself refuses of a keyboard (tdlib, ReplyMarkup.cpp; messages.sendMessage)."""
    for button in (button for row in rows for button in row):
        if not button["text"]:
            raise bad("Inline keyboard button text must be non-empty")
        if len(button["callback_data"].encode()) > 64:
            raise bad("BUTTON_DATA_INVALID")


def reply_of(parameters: dict[str, str]) -> Json | None:
    """The `reply_parameters`; None without."""
    reply = parsed(parameters.get("reply_parameters"), "Can't parse ReplyParameters JSON object")
    if reply is None:
        return None
    if not isinstance(reply, dict):
        raise bad("Object expected as reply parameters")
    return reply


def parsed(text: str | None, complaint: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        raise bad(complaint) from None


def _button(button: object) -> None:
    wrong = ""
    if not isinstance(button, dict):
        wrong = "InlineKeyboardButton must be an Object"
    elif "text" not in button:
        wrong = 'Can\'t find field "text"'
    elif not button.get("callback_data"):
        wrong = "Text buttons are unallowed in the inline keyboard"
    if wrong:
        raise bad(f"Can't parse inline keyboard button: {wrong}")
