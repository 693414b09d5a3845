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
from typing import Any

from tests.doubles.loopback_server import LoopbackServer, Reply
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
from tests.doubles.telegram_world import Chat, TelegramWorld

__all__ = ["Fault", "Limits", "Message", "Request", "TelegramDouble"]


class TelegramDouble(TelegramWorld, LoopbackServer):
    """One bot's Telegram. `url` is the root to which `/bot<token>/<method>` is appended."""

    def __init__(
        self, token: str = "123456:secret-of-the-tests", *, limits: Limits | None = None
    ) -> None:
        TelegramWorld.__init__(self, int(token.partition(":")[0]))
        LoopbackServer.__init__(self)
        self.token = token
        self.requests: list[Request] = []
        self.answers: list[Json] = []  # of pressed buttons: {"id", "text"}
        self.commands: dict[tuple[str, str], list[Json]] = {}  # (scope, language) -> commands
        self.on_update = self._end_poll
        self._faults: list[tuple[Fault, str, int | None]] = []
        self._poll: asyncio.Event | None = None
        self._conflict: set[asyncio.Event] = set()
        self._changed = asyncio.Event()
        self._throttle = Throttle(limits)

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

    @property
    def limited(self) -> int:
        """The 429 that were earned, not scripted."""
        return self._throttle.earned

    async def reply(self, verb: str, path: str, content_type: str, body: bytes) -> Reply:
        """Carries a request out, unless a fault befalls it first."""
        parameters = parameters_of(content_type, body)
        token, method = _route(verb, path)
        fault = self._fault(method, parameters) or Fault()
        arrived = time.monotonic()
        status, answer = 0, b""
        if fault.acted or not (fault.dropped or fault.status):
            status, answer = await self._act(token, method, parameters)
        if fault.status:
            status, answer = fault.status, encode(fault.body)
        status = 0 if fault.dropped else status
        self.requests.append(Request(method, parameters, arrived, status))
        self._changed.set()
        return Reply(status, answer, fault.delay, fault.truncated)

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

    def _end_poll(self) -> None:
        if self._poll is not None:
            self._poll.set()

    # -- rules -----------------------------------------------------------------------------

    def _target(self, parameters: dict[str, str]) -> Chat:
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

    def _reply(self, chat: Chat, parameters: dict[str, str]) -> int | None:
        reply = json.loads(parameters.get("reply_parameters", "null"))
        if reply is None:
            return None
        wanted = int(reply["message_id"])
        if any(message.message_id == wanted for message in self.to(chat.chat_id)):
            return wanted
        if reply.get("allow_sending_without_reply"):
            return None
        raise bad("message to be replied not found")


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
