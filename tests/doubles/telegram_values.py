"""What the Telegram double takes and shows: faults, limits, messages, requests; its refusals."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What befalls one request. `acted`: whether it was carried out before it failed."""

    status: int | None = None
    body: Json | str | None = None
    acted: bool = False
    dropped: bool = False  # the connection is closed without an answer
    truncated: bool = False  # half of the answer, then closed
    delay: float = 0.0  # seconds before the answer

    @classmethod
    def drop(cls, *, acted: bool) -> "Fault":
        return cls(dropped=True, acted=acted)

    @classmethod
    def slow(cls, seconds: float) -> "Fault":
        return cls(delay=seconds, acted=True)

    @classmethod
    def cut_short(cls) -> "Fault":
        return cls(truncated=True, acted=True)

    @classmethod
    def html(cls, status: int, *, acted: bool = False) -> "Fault":
        page = f"<html><body><h1>{status}</h1></body></html>"
        return cls(status=status, body=page, acted=acted)

    @classmethod
    def refuse(cls, code: int, description: str, **parameters: int) -> "Fault":
        return cls(status=code, body=error(code, description, **parameters))

    @classmethod
    def too_many(cls, retry_after: int) -> "Fault":
        text = f"Too Many Requests: retry after {retry_after}"
        return cls.refuse(429, text, retry_after=retry_after)


@dataclass(frozen=True)
class Limits:
    """Limits to enforce; None is off. A message beyond one is answered 429 and counted."""

    per_chat: float | None = 1.0  # seconds between two messages of a chat
    group_window: tuple[int, float] | None = (20, 60.0)  # messages per group in any so many s
    overall: int | None = 30  # messages in any second


@dataclass
class Message:
    """A message that the bot sent, as it stands; `versions` are its earlier texts."""

    message_id: int
    chat_id: int
    topic: int | None
    text: str  # after entity parsing
    raw: str
    buttons: list[list[Json]]
    silent: bool
    reply_to: int | None
    at: float  # time.monotonic()
    versions: list[str] = field(default_factory=list)

    @property
    def data(self) -> list[str]:
        """The data of every button."""
        return [button["callback_data"] for row in self.buttons for button in row]


@dataclass(frozen=True)
class Request:
    """A request that arrived, whatever became of it."""

    method: str
    parameters: dict[str, str]
    at: float
    status: int = 0


class RefusedError(Exception):
    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.body = error(code, description, **parameters)


def error(code: int, description: str, **parameters: int) -> Json:
    body: Json = {"ok": False, "error_code": code, "description": description}
    if parameters:
        body["parameters"] = parameters
    return body


def bad(description: str, **parameters: int) -> RefusedError:
    return RefusedError(400, f"Bad Request: {description}", **parameters)
