"""The methods about messages and chats, in the order in which Client.cpp judges a request."""

import json
import re
import time

from tests.doubles.telegram_html import Parsed, utf16_length
from tests.doubles.telegram_rules import buttons_of, check_buttons, is_true, reply_of
from tests.doubles.telegram_text import entity_json, parsed_text, sendable
from tests.doubles.telegram_throttle import Throttle
from tests.doubles.telegram_values import Json, Message, bad
from tests.doubles.telegram_world import Chat, TelegramWorld


class Messages(TelegramWorld):
    """Sending, editing, answering, and what a bot asks about itself and others."""

    answers: list[Json]  # of pressed buttons: {"id", "text"}
    commands: dict[tuple[str, str], list[Json]]  # (scope, language) to commands
    _throttle: Throttle

    def get_me(self, _: dict[str, str]) -> Json:
        return self._bot_json() | {
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }

    def send_message(self, parameters: dict[str, str]) -> Json:
        parsed, reply, buttons = _content(parameters)
        chat = self._target(parameters)
        reply_to = self._reply(chat, reply)
        topic = self._topic(chat, parameters)
        shown = sendable(parsed)
        check_buttons(buttons)
        self._throttle.count(chat.chat_id)
        message = Message(
            self._next_id(), chat.chat_id, topic, shown.text, parameters["text"], buttons,
            is_true(parameters.get("disable_notification")), reply_to, time.monotonic(),
            entities=[entity_json(entity) for entity in shown.entities],
        )  # fmt: skip
        self.messages.append(message)
        return self._message_json(message)

    def edit_message(self, parameters: dict[str, str]) -> Json:
        parsed, _, buttons = _content(parameters)
        if not parameters.get("message_id"):
            raise bad("Message identifier is not specified")
        chat = self._target(parameters)
        message = self._editable(chat, int(parameters["message_id"]))
        shown = sendable(parsed)
        check_buttons(buttons)
        entities = [entity_json(entity) for entity in shown.entities]
        if (shown.text, entities, buttons) == (message.text, message.entities, message.buttons):
            raise bad(
                "message is not modified: specified new message content and reply markup are "
                "exactly the same as a current content and reply markup of the message"
            )
        self._throttle.count(chat.chat_id)
        message.versions.append(message.text)
        message.text, message.raw = shown.text, parameters["text"]
        message.buttons, message.entities = buttons, entities
        return self._message_json(message) | {"edit_date": int(time.time())}

    def answer_callback(self, parameters: dict[str, str]) -> bool:
        query = parameters.get("callback_query_id", "")
        if query not in self._queries:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        if utf16_length(parameters.get("text", "")) > 200:
            raise bad("MESSAGE_TOO_LONG")
        self._queries.discard(query)
        self.answers.append({"id": query, "text": parameters.get("text", "")})
        return True

    def set_commands(self, parameters: dict[str, str]) -> bool:
        commands = json.loads(parameters.get("commands", "[]"))
        if len(commands) > 100:
            raise bad("BOT_COMMANDS_TOO_MUCH")
        for command in commands:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]):
                raise bad("BOT_COMMAND_INVALID")
            if not 1 <= len(command["description"]) <= 256:
                raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
        language = parameters.get("language_code", "")
        if not re.fullmatch(r"|[a-z]{2}", language):
            raise bad("invalid language code specified")
        scope = json.loads(parameters.get("scope", '{"type": "default"}'))["type"]
        self.commands[scope, language] = commands
        return True

    def get_chat_member(self, parameters: dict[str, str]) -> Json:
        chat = self._target(parameters)
        user_id = int(parameters["user_id"])
        user = self._users.get(user_id)
        if user is None:
            raise bad("user not found")
        if user_id in chat.admins:
            return {"user": user, "status": "creator", "is_anonymous": False}
        return {"user": user, "status": "member"}

    def _reply(self, chat: Chat, reply: Json | None) -> int | None:
        if reply is None:
            return None
        wanted = int(reply.get("message_id", 0))
        if self._exists(chat, wanted):
            return wanted
        if reply.get("allow_sending_without_reply"):
            return None
        raise bad("message to be replied not found")

    def _topic(self, chat: Chat, parameters: dict[str, str]) -> int | None:
        named = parameters.get("message_thread_id")
        topic = int(named) if named else None
        if topic is not None and topic not in chat.topics:
            raise bad("Message thread not found")
        if topic in chat.closed:
            raise bad("TOPIC_CLOSED")
        return topic

    def _editable(self, chat: Chat, wanted: int) -> Message:
        if not self._exists(chat, wanted):
            raise bad("message to edit not found")
        found = self._own(chat, wanted)
        if found is None:
            raise bad("Message can't be edited")
        return found

    def _exists(self, chat: Chat, message_id: int) -> bool:
        if message_id in self._deleted:
            return False
        if (chat.chat_id, message_id) in self._others:
            return True
        return self._own(chat, message_id) is not None

    def _own(self, chat: Chat, message_id: int) -> Message | None:
        """A message of the bot's; ids grow, and what is asked for is mostly young."""
        for message in reversed(self.messages):
            if message.message_id == message_id:
                return message if message.chat_id == chat.chat_id else None
            if message.message_id < message_id:
                break
        return None


def _content(parameters: dict[str, str]) -> tuple[Parsed, Json | None, list[list[Json]]]:
    """Text, reply and keyboard, as far as they are judged before the chat is looked at."""
    return parsed_text(parameters), reply_of(parameters), buttons_of(parameters)
