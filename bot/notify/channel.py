"""What a channel carries, and what can come of one attempt to send."""

from typing import Protocol

import msgspec


class Button(msgspec.Struct, frozen=True):
    """An inline button; `data` is at most 64 bytes of UTF-8 (Bot API, InlineKeyboardButton)."""

    text: str
    data: str


class Written(msgspec.Struct, frozen=True):
    """A message as it goes out: Telegram HTML, everything inserted already escaped."""

    text: str
    buttons: tuple[tuple[Button, ...], ...] = ()
    silent: bool = False
    reply_to: int | None = None
    edit_of: int | None = None  # the message to edit instead of sending a new one
    plain: bool = False  # the text has no markup and is not to be parsed


class Sent(msgspec.Struct, frozen=True, tag=True):
    """It arrived."""

    message_id: int


class Later(msgspec.Struct, frozen=True, tag=True):
    """Certainly not sent: again later. `retry_after` (s) where the server named it."""

    reason: str
    retry_after: float | None = None


class Doubtful(msgspec.Struct, frozen=True, tag=True):
    """It may have arrived: sent again, marked as a possible repeat."""

    reason: str


class Never(msgspec.Struct, frozen=True, tag=True):
    """The chat cannot be written to until it writes to us."""

    reason: str


class Refused(msgspec.Struct, frozen=True, tag=True):
    """This message will never be taken (and the chat is not to blame)."""

    reason: str


class Moved(msgspec.Struct, frozen=True, tag=True):
    """The group became a supergroup."""

    chat_id: int


class Unparsable(msgspec.Struct, frozen=True, tag=True):
    """The markup was refused: once more as plain text."""

    reason: str


class TopicGone(msgspec.Struct, frozen=True, tag=True):
    """The topic was deleted: to the general topic."""

    reason: str


class TokenRefused(msgspec.Struct, frozen=True, tag=True):
    """The server knows no such bot: certainly not sent, and nothing will be until that changes."""

    reason: str


Outcome = Sent | Later | Doubtful | Never | Refused | Moved | Unparsable | TopicGone | TokenRefused


class Channel(Protocol):
    """One attempt to tell something; never retries on its own, never raises for an outcome."""

    async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome: ...
