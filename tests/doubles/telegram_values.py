"""What the Telegram double takes and shows: faults, limits, messages, requests; its refusals."""

from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What befalls one request. `acted`: whether it was carried out before it failed."""

    status: int | None = None
    body: Json | str | None = None
    acted: bool = False
    dropped: bool = False  # the connection is closed without an answer
    reset: bool = False  # closed with an RST
    cut: Literal["", "head", "body"] = ""  # half of the answer, then closed
    surplus: int = 0  # bytes that the answer's announced length has too many
    delay: float = 0.0  # seconds before the answer
    pause: float = 0.0  # seconds between the bytes of the answer
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def drop(cls, *, acted: bool) -> "Fault":
        return cls(dropped=True, acted=acted)

    @classmethod
    def rst(cls, *, acted: bool) -> "Fault":
        return cls(dropped=True, reset=True, acted=acted)

    @classmethod
    def slow(cls, seconds: float) -> "Fault":
        return cls(delay=seconds, acted=True)

    @classmethod
    def dripping(cls, seconds: float) -> "Fault":
        """Byte by byte."""
        return cls(pause=seconds, acted=True)

    @classmethod
    def cut_short(cls, at: Literal["head", "body"] = "body") -> "Fault":
        return cls(cut=at, acted=True)

    @classmethod
    def too_short(cls) -> "Fault":
        """A body shorter than its announced length, then closed."""
        return cls(surplus=10, acted=True)

    @classmethod
    def html(cls, status: int, *, acted: bool = False) -> "Fault":
        page = f"<html><body><h1>{status}</h1></body></html>"
        return cls(status=status, body=page, acted=acted)

    @classmethod
    def portal(cls) -> "Fault":
        """What a café's network says before somebody has logged in."""
        return cls(302, "<html>log in</html>", headers=(("Location", "http://127.0.0.1/login"),))

    @classmethod
    def text(cls, body: str, status: int = 200, *, acted: bool = True) -> "Fault":
        """Any body at all."""
        return cls(status=status, body=body, acted=acted)

    @classmethod
    def refuse(cls, code: int, description: str, **parameters: int) -> "Fault":
        return cls(status=code, body=error(code, description, **parameters))

    @classmethod
    def too_many(cls, retry_after: int) -> "Fault":
        """429; whoever asks for the chat again within that time is counted (`trespasses`)."""
        text = f"Too Many Requests: retry after {retry_after}"
        return cls.refuse(429, text, retry_after=retry_after)

    @property
    def retry_after(self) -> int | None:
        parameters = self.body.get("parameters", {}) if isinstance(self.body, dict) else {}
        seconds: int | None = parameters.get("retry_after")
        return seconds


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
    entities: list[Json] = field(default_factory=list)

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
    """As `fail_query_with_error` writes it: a small first letter, but for names in capitals."""
    if not (description[1:2] == "_" or description[1:2].isupper()):
        description = description[:1].lower() + description[1:]
    return RefusedError(400, f"Bad Request: {description}", **parameters)


def forbidden(description: str) -> RefusedError:
    return RefusedError(403, f"Forbidden: {description}")


def too_many(seconds: int) -> RefusedError:
    return RefusedError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
