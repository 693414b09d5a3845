"""Sorts what a Bot API server says into outcomes. Texts: tdlib/telegram-bot-api, Client.cpp."""

from bot.notify.channel import (
    Doubtful,
    Later,
    Moved,
    Never,
    Outcome,
    Refused,
    TokenRefused,
    TopicGone,
    Unparsable,
)

# 400 is also how the server says that a chat is out of reach.
_NEVER = (
    "chat not found", "user not found", "user_is_blocked", "peer_id_invalid",
    "input_user_deactivated", "user is deactivated", "group chat was deactivated",
    "chat_write_forbidden", "chat_restricted", "not enough rights", "have no rights to send",
    "need administrator rights", "bot was kicked", "bot is not a member",
    "the group chat was deleted", "channel_private",
)  # fmt: skip
_TOPIC = ("message thread not found", "topic_deleted", "topic_closed", "topic_id_invalid")
_MARKUP = ("can't parse entities", "can't parse message text")


def sort_answer(
    status: int,
    description: str | None,
    retry_after: float | None = None,
    migrate_to: int | None = None,
) -> Outcome:
    """The outcome of an answer other than 2xx.

    `description` is None where the body was not the Bot API's JSON: then something between us
    and the server spoke, and nothing is certain but a 429.
    """
    if migrate_to is not None:
        return Moved(migrate_to)
    if status == 429:
        return Later(description or "too many requests", retry_after)
    if status >= 500:
        return Doubtful(f"the Telegram server answers {status} {description or ''}".rstrip())
    if description is None:
        return Doubtful(f"{status}, but not from a Bot API server; is TELEGRAM_API_URL right?")
    if status in (401, 404):
        return TokenRefused(description)
    return _refusal(status, description)


def _refusal(status: int, description: str) -> Outcome:
    text = description.lower()
    if status == 403 or any(words in text for words in _NEVER):
        return Never(description)
    if any(words in text for words in _TOPIC):
        return TopicGone(description)
    if any(words in text for words in _MARKUP):
        return Unparsable(description)
    return Refused(description)


def is_unchanged(status: int, description: str | None) -> bool:
    """An edit that changes nothing: the message already reads so."""
    return status == 400 and "message is not modified" in (description or "")
