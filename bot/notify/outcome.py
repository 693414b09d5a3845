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

# 400 is also how the server says that a chat is out of reach: by names of Telegram's own errors
# (`fail_query_with_error` makes a 403 of capitals a 400), and where it does not know the chat.
_NEVER = (
    "chat not found", "user not found", "group chat was upgraded", "group chat was deleted",
    "user is deactivated", "group chat was deactivated", "bot was kicked", "bot was blocked",
    "bot is not a member", "not enough rights", "have no rights to send", "have no write access",
    "need administrator rights", "can't initiate conversation", "can't send messages to",
    "user_is_blocked", "you_blocked_user", "input_user_deactivated", "peer_id_invalid",
    "chat_id_invalid", "channel_private", "channel_invalid", "chat_admin_required",
    "chat_restricted", "chat_forbidden", "chat_write_forbidden", "chat_guest_send_forbidden",
    "chat_send_plain_forbidden", "user_banned_in_channel", "user_privacy_restricted",
)  # fmt: skip
_TOPIC = (
    "message thread not found", "message thread is not a forum topic", "message_thread_invalid",
    "topic_deleted", "topic_closed", "topic_id_invalid",
)  # fmt: skip
_MARKUP = ("can't parse entities", "can't parse message text", "entity_bounds_invalid")
# It reads so already, or somebody deleted it: nobody could read what an edit would have said.
_SETTLED = ("message is not modified", "message to edit not found", "message_id_invalid")


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
    if status in (401, 404, 421):
        return TokenRefused(description)
    return _refusal(status, description)


def _refusal(status: int, description: str) -> Outcome:
    text = description.lower()
    if any(words in text for words in _TOPIC):
        return TopicGone(description)
    if status == 403 or any(words in text for words in _NEVER):
        return Never(description)
    if any(words in text for words in _MARKUP):
        return Unparsable(description)
    return Refused(description)


def is_settled_edit(status: int, description: str | None) -> bool:
    """An edit that changes nothing: the message already reads so, or nobody can read it."""
    text = (description or "").lower()
    return status == 400 and any(words in text for words in _SETTLED)
