"""What somebody asked of the bot, read from a raw Telegram update (Bot API, object Update)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

_COMMAND = re.compile(r"/([a-z0-9_]{1,32})(?:@(\w{1,64}))?(?=\s|$)", re.ASCII | re.IGNORECASE)
_LARGEST_ID = 2**63 - 1  # what the store's integers hold; Telegram promises 52 bits
_GONE = ("left", "kicked")  # states of a chat member that is not there any more
_CHAT_KINDS = ("private", "group", "supergroup", "channel")


class RequestKind(StrEnum):
    TEXT = "text"  # a new message with text
    PRESS = "press"  # an inline button
    SIGN = "sign"  # nothing to answer: it only shows that the chat can be written to
    GONE = "gone"  # the bot was blocked in, or removed from, the chat
    MOVED = "moved"  # the group became a supergroup


@dataclass(frozen=True, slots=True)
class Request:
    """One update, as far as it concerns the bot.

    `user_id` is 0 where no person stands behind it: a channel post, another bot, or an
    administrator who writes as the group. `topic` is None outside of topics.
    """

    update_id: int
    chat_id: int
    chat_kind: str  # private, group, supergroup or channel
    kind: RequestKind = RequestKind.TEXT
    chat_title: str = ""
    topic: int | None = None
    user_id: int = 0
    user_language: str = ""  # IETF tag of the user's Telegram
    text: str = ""
    message_id: int | None = None
    data: str = ""  # of the pressed button
    callback_id: str = ""
    moved_to: int = 0

    @property
    def is_private(self) -> bool:
        return self.chat_kind == "private"


@dataclass(frozen=True, slots=True)
class Command:
    """`/name@bot argument`; `start` is where the argument begins in the text."""

    name: str
    bot_name: str  # "" where nobody is addressed
    argument: str
    start: int

    def is_for(self, own_name: str) -> bool:
        """Not addressed to another bot; an own name that is not known yet matches any."""
        return not self.bot_name or not own_name or self.bot_name.lower() == own_name.lower()


def read_command(text: str) -> Command | None:
    """The command at the very beginning of a text, as Telegram's own clients mark it."""
    found = _COMMAND.match(text)
    if found is None:
        return None
    rest = text[found.end() :]
    start = found.end() + len(rest) - len(rest.lstrip())
    return Command(found[1].lower(), found[2] or "", rest.strip(), start)


def read_update(update: object) -> Request | None:
    """What an update asks, or None where it names no chat that could be answered.

    Never raises: what is missing or has another shape than the Bot API says is passed over.
    """
    if not isinstance(update, Mapping):
        return None
    update_id = _integer(update.get("update_id"))
    if not update_id:
        return None
    for key, read in _READERS.items():
        body = update.get(key)
        if isinstance(body, Mapping):
            return read(update_id, body)
    return None


def _message(update_id: int, message: Mapping[str, Any]) -> Request | None:
    request = _sign(update_id, message)
    if request is None:
        return None
    moved_to = _integer(message.get("migrate_to_chat_id"))
    if moved_to:
        return replace(request, kind=RequestKind.MOVED, moved_to=moved_to)
    text = _text(message.get("text"))
    return replace(request, kind=RequestKind.TEXT, text=text) if text else request


def _press(update_id: int, query: Mapping[str, Any]) -> Request | None:
    message = query.get("message")
    if not isinstance(message, Mapping):  # of an inline message: no chat is known
        return None
    # The message is the bot's own; who pressed stands outside of it.
    request = _sign(update_id, {**message, "from": query.get("from"), "sender_chat": None})
    if request is None:
        return None
    data, callback_id = _text(query.get("data")), _text(query.get("id"))
    return replace(request, kind=RequestKind.PRESS, data=data, callback_id=callback_id)


def _membership(update_id: int, change: Mapping[str, Any]) -> Request | None:
    request = _sign(update_id, change)
    if request is None or _mapping(change.get("new_chat_member")).get("status") not in _GONE:
        return request
    return replace(request, kind=RequestKind.GONE)


def _sign(update_id: int, message: Mapping[str, Any]) -> Request | None:
    """Who and where, with nothing to answer.

    An edited text is no more than that: its first version was answered, and stands.
    """
    chat = _mapping(message.get("chat"))
    chat_id, chat_kind = _integer(chat.get("id")), _text(chat.get("type"))
    if not chat_id or chat_kind not in _CHAT_KINDS:
        return None
    user = _mapping(message.get("from"))
    is_person = not message.get("sender_chat") and user.get("is_bot") is not True
    # Outside of forums the same key only names a thread of replies.
    in_topic = message.get("is_topic_message") is True
    return Request(
        update_id,
        chat_id,
        chat_kind,
        RequestKind.SIGN,
        chat_title=_title(chat),
        topic=(_integer(message.get("message_thread_id")) or None) if in_topic else None,
        user_id=_integer(user.get("id")) if is_person else 0,
        user_language=_text(user.get("language_code")),
        message_id=_integer(message.get("message_id")) or None,
    )


# Each kind of update that is asked for, and how it is read.
_READERS = {
    "message": _message,
    "callback_query": _press,
    "my_chat_member": _membership,
    "edited_message": _sign,
    "channel_post": _sign,
    "edited_channel_post": _sign,
}
UPDATE_KINDS = tuple(_READERS)


def _title(chat: Mapping[str, Any]) -> str:
    names = (chat.get("title"), chat.get("first_name"), chat.get("last_name"))
    return " ".join(filter(None, map(_text, names)))[:255]


def _integer(value: object) -> int:
    """An id, 0 where it is none."""
    return value if type(value) is int and abs(value) <= _LARGEST_ID else 0


def _text(value: object) -> str:
    """A text that can be stored and sent: without lone surrogates and NUL."""
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
