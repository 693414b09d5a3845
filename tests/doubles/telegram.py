"""A strict Telegram: the Bot API's methods, limits and error texts over real HTTP on loopback.

    async with TelegramDouble() as telegram:
        bot = BotApi(telegram.token, telegram.url)
        telegram.say(7, "/start")                      # an update waits for getUpdates
        await telegram.wait_for(lambda: telegram.messages, timeout=5)
        telegram.press(telegram.messages[0], "unmute")
        telegram.fail_next(Fault.drop(acted=True), chat_id=7)

Sources of rules and texts: core.telegram.org/bots/api and tdlib/telegram-bot-api (Client.cpp).
"""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.doubles.telegram_html import utf16_length
from tests.doubles.telegram_rules import buttons_of, encode, parameters_of, text_of
from tests.doubles.telegram_throttle import Throttle
from tests.doubles.telegram_values import (
    Fault,
    Json,
    Limits,
    Message,
    RefusedError,
    Request,
    bad,
    error,
)

__all__ = ["Fault", "Limits", "Message", "Request", "TelegramDouble"]


@dataclass
class _Chat:
    chat_id: int
    kind: str
    title: str
    topics: set[int] = field(default_factory=set)
    admins: set[int] = field(default_factory=set)
    refusal: tuple[int, str] | None = None
    moved_to: int | None = None


class TelegramDouble:
    """One bot's Telegram. `url` is the root to which `/bot<token>/<method>` is appended."""

    def __init__(
        self, token: str = "123456:secret-of-the-tests", *, limits: Limits | None = None
    ) -> None:
        self.token = token
        self.username = "funding_test_bot"
        self.messages: list[Message] = []
        self.requests: list[Request] = []
        self.answers: list[Json] = []  # of pressed buttons: {"id", "text"}
        self.commands: dict[tuple[str, str], list[Json]] = {}  # (scope, language) -> commands
        self._chats: dict[int, _Chat] = {}
        self._users: dict[int, Json] = {}
        self._updates: list[Json] = []
        self._queries: set[str] = set()
        self._faults: list[tuple[Fault, str, int | None]] = []
        self._ids = 100
        self._update_id = 1000
        self._poll: asyncio.Event | None = None
        self._conflict: set[asyncio.Event] = set()
        self._changed = asyncio.Event()
        self._throttle = Throttle(limits)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._connections: set[asyncio.Task[None]] = set()

    # -- running ---------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.come_back()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.go_down()

    async def come_back(self) -> None:
        """Listens, again on the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def go_down(self) -> None:
        """Refuses connections, and closes those that are open."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def wait_for(self, predicate: Callable[[], object], timeout: float = 5.0) -> None:  # noqa: ASYNC109 - the tests' word
        """Waits until the predicate holds, looked at after every request."""

        async def watch() -> None:
            while not predicate():
                self._changed.clear()
                await self._changed.wait()

        try:
            await asyncio.wait_for(watch(), timeout)
        except TimeoutError:
            texts = [message.text for message in self.messages]
            raise AssertionError(f"not within {timeout} s; sent: {texts}") from None

    # -- what people do --------------------------------------------------------------------

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
        self._chats[chat_id] = _Chat(chat_id, kind, title, set(topics), set(admins))

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
        if self._poll is not None:
            self._poll.set()
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

    def fail_next(
        self,
        fault: Fault,
        *,
        method: str = "sendMessage",
        chat_id: int | None = None,
        times: int = 1,
    ) -> None:
        """The next requests of the method (and chat) meet a fault."""
        self._faults += [(fault, method, chat_id)] * times

    def to(self, chat_id: int) -> list[Message]:
        """What was sent to a chat."""
        return [message for message in self.messages if message.chat_id == chat_id]

    @property
    def limited(self) -> int:
        """The 429 that were earned, not scripted."""
        return self._throttle.earned

    @property
    def waiting(self) -> int:
        """Updates that are not confirmed."""
        return len(self._updates)

    # -- HTTP ------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False ends the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        verb, path, _ = lines[0].split(" ", 2)
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        parameters = parameters_of(headers.get("content-type", ""), body)
        token, method = _route(verb, path)
        fault = self._fault(method, parameters) or Fault()
        arrived = time.monotonic()
        status, answer = 0, b""
        if fault.acted or not (fault.dropped or fault.status):
            status, answer = await self._act(token, method, parameters)
        if fault.status:
            status, answer = fault.status, encode(fault.body)
        self.requests.append(Request(method, parameters, arrived, 0 if fault.dropped else status))
        self._changed.set()
        await asyncio.sleep(fault.delay)
        if fault.dropped:
            return False
        kind = "text/html" if answer.startswith(b"<") else "application/json"
        writer.write(
            f"HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(answer)}\r\n\r\n".encode()
        )
        writer.write(answer[: len(answer) // 2] if fault.truncated else answer)
        await writer.drain()
        return not fault.truncated

    def _fault(self, method: str, parameters: dict[str, str]) -> Fault | None:
        for entry in self._faults:
            fault, of_method, chat_id = entry
            if of_method == method and (
                chat_id is None or str(chat_id) == parameters.get("chat_id")
            ):
                self._faults.remove(entry)
                return fault
        return None

    async def _act(self, token: str, method: str, parameters: dict[str, str]) -> tuple[int, bytes]:
        handler = _METHODS.get(method.lower())
        if token != self.token and re.fullmatch(r"\d+:[\w-]+", token):
            return 401, encode(error(401, "Unauthorized"))
        if token != self.token or handler is None:
            return 404, encode(error(404, "Not Found"))
        try:
            result = handler(self, parameters)
            if asyncio.iscoroutine(result):
                result = await result
        except RefusedError as refused:
            return refused.code, encode(refused.body)
        return 200, encode({"ok": True, "result": result})

    # -- methods ---------------------------------------------------------------------------

    def _get_me(self, _: dict[str, str]) -> Json:
        return self._bot_json() | {
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }

    async def _get_updates(self, parameters: dict[str, str]) -> list[Json]:
        if self._poll is not None:  # the earlier poll is the one that is terminated
            self._conflict.add(self._poll)
            self._poll.set()
            self._poll = None
        offset = int(parameters.get("offset", "0"))
        if offset < 0:
            self._updates = self._updates[offset:]
        else:
            self._updates = [one for one in self._updates if one["update_id"] >= offset]
        limit = min(int(parameters.get("limit", "100")), 100)
        seconds = float(parameters.get("timeout", "0"))
        if not self._updates and seconds:
            await self._long_poll(seconds)
        return self._updates[:limit]

    async def _long_poll(self, seconds: float) -> None:
        poll = self._poll = asyncio.Event()
        self._changed.set()
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(poll.wait(), seconds)
        finally:
            if self._poll is poll:
                self._poll = None
        if poll in self._conflict:
            self._conflict.discard(poll)
            raise RefusedError(
                409,
                "Conflict: terminated by other getUpdates request; "
                "make sure that only one bot instance is running",
            )

    @property
    def polling(self) -> bool:
        """Whether a long poll is waiting."""
        return self._poll is not None

    def _send_message(self, parameters: dict[str, str]) -> Json:
        chat = self._target(parameters)
        topic = int(parameters["message_thread_id"]) if "message_thread_id" in parameters else None
        if topic is not None and topic not in chat.topics:
            raise bad("message thread not found")
        text = text_of(parameters)
        buttons = buttons_of(parameters)
        reply_to = self._reply(chat, parameters)
        self._throttle.count(chat.chat_id)
        message = Message(
            self._next_id(), chat.chat_id, topic, text, parameters["text"], buttons,
            parameters.get("disable_notification") == "true", reply_to, time.monotonic(),
        )  # fmt: skip
        self.messages.append(message)
        return self._message_json(message)

    def _edit_message(self, parameters: dict[str, str]) -> Json:
        chat = self._target(parameters)
        wanted = int(parameters.get("message_id", "0"))
        message = next((one for one in self.to(chat.chat_id) if one.message_id == wanted), None)
        if message is None:
            raise bad("message to edit not found")
        text, buttons = text_of(parameters), buttons_of(parameters)
        if (parameters["text"], buttons) == (message.raw, message.buttons):
            raise bad(
                "message is not modified: specified new message content and reply markup are "
                "exactly the same as a current content and reply markup of the message"
            )
        self._throttle.count(chat.chat_id)
        message.versions.append(message.text)
        message.text, message.raw, message.buttons = text, parameters["text"], buttons
        return self._message_json(message) | {"edit_date": int(time.time())}

    def _answer_callback(self, parameters: dict[str, str]) -> bool:
        query = parameters.get("callback_query_id", "")
        if query not in self._queries:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        if utf16_length(parameters.get("text", "")) > 200:
            raise bad("MESSAGE_TOO_LONG")
        self._queries.discard(query)
        self.answers.append({"id": query, "text": parameters.get("text", "")})
        return True

    def _set_commands(self, parameters: dict[str, str]) -> bool:
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

    def _get_chat_member(self, parameters: dict[str, str]) -> Json:
        chat = self._target(parameters)
        user_id = int(parameters["user_id"])
        user = self._users.get(user_id)
        if user is None:
            raise bad("user not found")
        if user_id in chat.admins:
            return {"user": user, "status": "creator", "is_anonymous": False}
        return {"user": user, "status": "member"}

    def _delete_webhook(self, parameters: dict[str, str]) -> bool:
        if parameters.get("drop_pending_updates") == "true":
            self._updates.clear()
        return True

    # -- rules -----------------------------------------------------------------------------

    def _target(self, parameters: dict[str, str]) -> _Chat:
        chat_id = parameters.get("chat_id", "")
        if not chat_id:
            raise bad("chat_id is empty")
        chat = self._chats.get(int(chat_id)) if re.fullmatch(r"-?\d+", chat_id) else None
        if chat is None:
            raise bad("chat not found")
        if chat.moved_to is not None:
            raise bad(
                "group chat was upgraded to a supergroup chat", migrate_to_chat_id=chat.moved_to
            )
        if chat.refusal is not None:
            raise RefusedError(*chat.refusal)
        return chat

    def _reply(self, chat: _Chat, parameters: dict[str, str]) -> int | None:
        reply = json.loads(parameters.get("reply_parameters", "null"))
        if reply is None:
            return None
        wanted = int(reply["message_id"])
        if any(message.message_id == wanted for message in self.to(chat.chat_id)):
            return wanted
        if reply.get("allow_sending_without_reply"):
            return None
        raise bad("message to be replied not found")

    # -- shapes ----------------------------------------------------------------------------

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids

    def _known(self, chat_id: int) -> _Chat:
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
        bot_id = int(self.token.partition(":")[0])
        return {"id": bot_id, "is_bot": True, "first_name": "Funding", "username": self.username}

    def _chat_json(self, chat: _Chat) -> Json:
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


_METHODS: dict[str, Callable[[TelegramDouble, dict[str, str]], Any]] = {
    "getme": TelegramDouble._get_me,
    "getupdates": TelegramDouble._get_updates,
    "sendmessage": TelegramDouble._send_message,
    "editmessagetext": TelegramDouble._edit_message,
    "answercallbackquery": TelegramDouble._answer_callback,
    "setmycommands": TelegramDouble._set_commands,
    "getchatmember": TelegramDouble._get_chat_member,
    "deletewebhook": TelegramDouble._delete_webhook,
}


def _route(verb: str, path: str) -> tuple[str, str]:
    match = re.fullmatch(r"/bot([^/]+)/(\w+)", path.partition("?")[0])
    if match is None or verb not in ("GET", "POST"):
        return "", ""
    return match.group(1), match.group(2)
