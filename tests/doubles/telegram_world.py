"""The people, chats and messages of the Telegram double, as the Bot API shapes them."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.doubles.telegram_html import utf16_length
from tests.doubles.telegram_queue import UpdateQueue
from tests.doubles.telegram_values import Json, Message, RefusedError, bad


@dataclass
class Chat:
    chat_id: int
    kind: str
    title: str
    topics: set[int] = field(default_factory=set)
    admins: set[int] = field(default_factory=set)
    refusal: tuple[int, str] | None = None
    moved_to: int | None = None
    closed: set[int | None] = field(default_factory=set)  # topics; None: the general one


class TelegramWorld:
    """What a bot's Telegram knows, and what people do in it."""

    def __init__(self, bot_id: int, clock: Callable[[], float]) -> None:
        self.username = "funding_test_bot"
        self.clock = clock  # steady seconds
        self.messages: list[Message] = []
        self.on_update: Callable[[], None] = lambda: None
        self._bot_id = bot_id
        self._chats: dict[int, Chat] = {}
        self._users: dict[int, Json] = {}
        self._queue = UpdateQueue(clock)
        self._queries: set[str] = set()
        self._others: set[tuple[int, int]] = set()  # people's messages: chat and id
        self._deleted: set[int] = set()
        self._ids = 100
        self._changed = asyncio.Event()

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
        message_id = self._next_id()
        self._others.add((chat.chat_id, message_id))
        message: Json = {
            "message_id": message_id,
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
        """Any update; its id, 0 where the bot does not ask for its kind."""
        update_id = self._queue.push(content)
        self.on_update()
        return update_id or 0

    def block(
        self, chat_id: int, description: str = "Forbidden: bot was blocked by the user"
    ) -> None:
        """Every message to the chat is refused with 403."""
        self.refuse(chat_id, 403, description)

    def refuse(self, chat_id: int, code: int, description: str) -> None:
        """Every message to the chat is refused, with the server's whole description."""
        self._known(chat_id).refusal = (code, description)

    def unblock(self, chat_id: int) -> None:
        self._known(chat_id).refusal = None

    def move(self, chat_id: int, to: int, *, told: bool = False) -> None:
        """A group becomes a supergroup; `told`: the bot hears of it in both."""
        self.add_chat(to)
        self._known(chat_id).moved_to = to
        if told:
            self._service(chat_id, migrate_to_chat_id=to)
            self._service(to, migrate_from_chat_id=chat_id)

    def delete_topic(self, chat_id: int, topic: int) -> None:
        self._known(chat_id).topics.discard(topic)

    def close_topic(self, chat_id: int, topic: int | None) -> None:
        """Only admins write there from now on; None is the general topic."""
        self._known(chat_id).closed.add(topic)

    def delete(self, message: Message) -> None:
        """A person deletes a message of the bot's; `messages` remembers it."""
        self._deleted.add(message.message_id)

    def expire_presses(self) -> None:
        """No press that was made so far can be answered any more."""
        self._queries.clear()

    def to(self, chat_id: int) -> list[Message]:
        """What was sent to a chat."""
        return [message for message in self.messages if message.chat_id == chat_id]

    @property
    def waiting(self) -> int:
        """Updates that are not confirmed."""
        return len(self._queue)

    def _target(self, parameters: dict[str, str]) -> Chat:
        """The chat that a request is for (Client.cpp, check_chat, check_chat_access)."""
        chat_id = parameters.get("chat_id", "")
        if not chat_id:
            raise bad("chat_id is empty")
        known = self._chats.get(int(chat_id)) if chat_id.lstrip("-").isdecimal() else None
        if known is None:
            raise bad("chat not found")
        if known.moved_to is not None:
            raise bad(
                "group chat was upgraded to a supergroup chat", migrate_to_chat_id=known.moved_to
            )
        if known.refusal is not None:
            raise RefusedError(*known.refusal)
        return known

    def _service(self, chat_id: int, **content: int) -> None:
        message = {
            "message_id": self._next_id(),
            "date": int(time.time()),
            "chat": self._chat_json(self._known(chat_id)),
        }
        self.update(message=message | content)

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
        if message.entities:
            shape["entities"] = message.entities
        if message.reply_to is not None:
            shape["reply_to_message"] = {
                "message_id": message.reply_to,
                "date": int(time.time()),
                "chat": shape["chat"],
            }
        if message.buttons:
            shape["reply_markup"] = {"inline_keyboard": message.buttons}
        return shape
