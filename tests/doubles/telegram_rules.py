"""How the Bot API reads a request: its parameters, its text, its buttons."""

import json
from urllib.parse import parse_qs

from tests.doubles.telegram_html import EntityError, parse_html, utf16_length
from tests.doubles.telegram_values import Json, bad

MAX_TEXT = 4096  # UTF-16 units after entity parsing
MAX_RAW = 1 << 15  # bytes before it (Client.cpp, get_formatted_text)


def parameters_of(content_type: str, body: bytes) -> dict[str, str]:
    if content_type.startswith("application/json"):
        return {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in json.loads(body).items()
        }
    pairs = parse_qs(body.decode(), keep_blank_values=True)
    return {name: values[0] for name, values in pairs.items()}


def encode(body: Json | str | None) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def text_of(parameters: dict[str, str]) -> str:
    raw = parameters.get("text", "")
    if not raw.strip():
        raise bad("message text is empty")
    if len(raw.encode()) > MAX_RAW:
        raise bad("text is too long")
    text = raw
    if parameters.get("parse_mode", "").lower() == "html":
        try:
            text = parse_html(raw).text
        except EntityError as error:
            raise bad(f"can't parse entities: {error}") from None
    if not text.strip():
        raise bad("text must be non-empty")
    if utf16_length(text.strip()) > MAX_TEXT:
        raise bad("message is too long")
    return text.strip()


def buttons_of(parameters: dict[str, str]) -> list[list[Json]]:
    markup = json.loads(parameters.get("reply_markup", "null")) or {}
    rows: list[list[Json]] = markup.get("inline_keyboard", [])
    for button in (button for row in rows for button in row):
        if not button.get("text"):
            raise bad("inline keyboard button text is empty")
        if not 1 <= len(button.get("callback_data", "").encode()) <= 64:
            raise bad("BUTTON_DATA_INVALID")
    return rows
