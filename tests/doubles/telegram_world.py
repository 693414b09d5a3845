"""The people, chats and messages of the Telegram double, as the Bot API shapes them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.doubles.telegram_html import utf16_length
from tests.doubles.telegram_values import Json, Message


@dataclass
class Chat:
    chat_id: int
    kind: str
    title: str
    topics: set[int] = field(default_factory=set)
    admins: set[int] = field(default_factory=set)
    refusal: tuple[int, str] | None = None
    moved_to: int | None = None


class TelegramWorld:
    """What a bot's Telegram knows, and what people do in it."""

    def __init__(self, bot_id: int) -> None:
        self.username = "funding_test_bot"
        self.messages: list[Message] = []
        self.on_update: Callable[[], None] = lambda: None
        self._bot_id = bot_id
        self._chats: dict[int, Chat] = {}
        self._users: dict[int, Json] = {}
        self._updates: list[Json] = []
        self._queries: set[str] = set()
        self._ids = 100
        self._update_id = 1000

    def add_chat(
        self,
        chat_id: int,
        kind: str = "supergroup",
        title: str = "Desk",
        *,
        topics: tuple[int, ...] = (),
        admins: tuple[int, ...] = (),
    ) -> None:
        """Makes a chat known; a private one becomes known by `say` as well."""
        self._chats[chat_id] = Chat(chat_id, kind, title, set(topics), set(admins))

    def say(
        self,
        user_id: int,
        text: str,
        *,
        chat_id: int | None = None,
        language: str = "en",
        topic: int | None = None,
    ) -> int:
        """A person writes; the update's id."""
        chat = self._known(chat_id if chat_id is not None else user_id)
        message: Json = {
            "message_id": self._next_id(),
            "date": int(time.time()),
            "chat": self._chat_json(chat),
            "from": self._user(user_id, language),
            "text": text,
        }
        if text.startswith("/"):
            length = utf16_length(text.split(maxsplit=1)[0])
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
        if topic is not None:
            message |= {"message_thread_id": topic, "is_topic_message": True}
        return self.update(message=message)

    def press(
        self, message: Message, data: str, *, user_id: int | None = None, language: str = "en"
    ) -> int:
        """A person presses a button of a message; the update's id."""
        assert data in message.data, f"no button has {data!r}; there are {message.data}"
        user_id = message.chat_id if user_id is None else user_id
        query_id = str(self._next_id())
        self._queries.add(query_id)
        query = {
            "id": query_id,
            "from": self._user(user_id, language),
            "chat_instance": str(message.chat_id),
            "message": self._message_json(message),
            "data": data,
        }
        return self.update(callback_query=query)

    def membership(self, chat_id: int, user_id: int, status: str = "member") -> int:
        """The bot's own place in a chat changes: `member`, `left`, `kicked`, `administrator`."""
        bot = self._bot_json()
        member: Json = {"user": bot, "status": status}
        if status == "kicked":
            member["until_date"] = 0
        change = {
            "chat": self._chat_json(self._known(chat_id)),
            "from": self._user(user_id, "en"),
            "date": int(time.time()),
            "old_chat_member": {"user": bot, "status": "left"},
            "new_chat_member": member,
        }
        return self.update(my_chat_member=change)

    def update(self, **content: Json) -> int:
        """Any update."""
        self._update_id += 1
        self._updates.append({"update_id": self._update_id, **content})
        self.on_update()
        return self._update_id

    def block(
        self, chat_id: int, description: str = "Forbidden: bot was blocked by the user"
    ) -> None:
        """Every message to the chat is refused with 403."""
        self._known(chat_id).refusal = (403, description)

    def unblock(self, chat_id: int) -> None:
        self._known(chat_id).refusal = None

    def move(self, chat_id: int, to: int) -> None:
        """A group becomes a supergroup."""
        self.add_chat(to)
        self._known(chat_id).moved_to = to

    def delete_topic(self, chat_id: int, topic: int) -> None:
        self._known(chat_id).topics.discard(topic)

    def to(self, chat_id: int) -> list[Message]:
        """What was sent to a chat."""
        return [message for message in self.messages if message.chat_id == chat_id]

    @property
    def waiting(self) -> int:
        """Updates that are not confirmed."""
        return len(self._updates)

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids

    def _known(self, chat_id: int) -> Chat:
        if chat_id not in self._chats:
            self.add_chat(chat_id, "supergroup" if chat_id < 0 else "private")
        return self._chats[chat_id]

    def _user(self, user_id: int, language: str) -> Json:
        self._users[user_id] = {
            "id": user_id,
            "is_bot": False,
            "first_name": f"User {user_id}",
            "language_code": language,
        }
        return self._users[user_id]

    def _bot_json(self) -> Json:
        return {
            "id": self._bot_id,
            "is_bot": True,
            "first_name": "Funding",
            "username": self.username,
        }

    def _chat_json(self, chat: Chat) -> Json:
        if chat.kind == "private":
            return {"id": chat.chat_id, "type": "private", "first_name": f"User {chat.chat_id}"}
        shape: Json = {"id": chat.chat_id, "type": chat.kind, "title": chat.title}
        return shape | ({"is_forum": True} if chat.topics else {})

    def _message_json(self, message: Message) -> Json:
        shape: Json = {
            "message_id": message.message_id,
            "date": int(time.time()),
            "chat": self._chat_json(self._chats[message.chat_id]),
            "from": self._bot_json(),
            "text": message.text,
        }
        if message.topic is not None:
            shape |= {"message_thread_id": message.topic, "is_topic_message": True}
        if message.buttons:
            shape["reply_markup"] = {"inline_keyboard": message.buttons}
        return shape
