"""A strict Telegram: the Bot API's methods, limits and error texts over real HTTP on loopback.

    async with TelegramDouble() as telegram:
        bot = BotApi(telegram.token, telegram.url)
        telegram.say(7, "/start")                      # an update waits for getUpdates
        await telegram.wait_for(lambda: telegram.messages, timeout=5)
        telegram.press(telegram.messages[0], "unmute")
        telegram.fail_next(Fault.drop(acted=True), chat_id=7)

Which rules it keeps, where each comes from and what is left out: docs/telegram-double.md.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

from tests.doubles.loopback_server import LoopbackServer, Reply
from tests.doubles.telegram_methods import Messages
from tests.doubles.telegram_polling import Polling
from tests.doubles.telegram_rules import encode, parameters_of
from tests.doubles.telegram_throttle import Throttle
from tests.doubles.telegram_values import Fault, Limits, Message, RefusedError, Request, error

__all__ = ["Fault", "Limits", "Message", "Request", "TelegramDouble"]


class TelegramDouble(Messages, Polling, LoopbackServer):
    """One bot's Telegram. `url` is the root to which `/bot<token>/<method>` is appended.

    `clock` (steady seconds) is the one by which limits, conflicts and the age of updates go.
    """

    def __init__(
        self,
        token: str = "123456:secret-of-the-tests",
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        Polling.__init__(self, int(token.partition(":")[0]), clock)
        LoopbackServer.__init__(self)
        self.token = token
        self.requests: list[Request] = []
        self.answers = []
        self.commands = {}
        self.deactivated = False  # its owner, or Telegram, did away with the bot
        self._faults: list[tuple[Fault, str, int | None]] = []
        self._throttle = Throttle(limits, clock)

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

    @property
    def trespasses(self) -> int:
        """Requests for a chat before the time was over that a 429 had named, scripted or not."""
        return self._throttle.trespasses

    async def reply(self, verb: str, path: str, content_type: str, body: bytes) -> Reply:
        """Carries a request out, unless a fault befalls it first."""
        address, _, query = path.partition("?")
        token, method = _route(verb, address)
        try:
            parameters = parameters_of(content_type, body, query)
        except RefusedError as refused:
            return Reply(refused.code, encode(refused.body))
        arrived = time.monotonic()
        self._note_arrival(method, parameters)
        fault = self._fault(method, parameters) or Fault()
        status, answer = 0, b""
        if fault.acted or not (fault.dropped or fault.status):
            status, answer = await self._act(token, method, parameters)
        if fault.status:
            status, answer = fault.status, encode(fault.body)
        if fault.retry_after is not None:
            self._throttle.told(_chat_id(parameters), fault.retry_after)
        status = 0 if fault.dropped else status
        self.requests.append(Request(method, parameters, arrived, status))
        self._changed.set()
        return Reply(
            status, answer, fault.delay, fault.cut, fault.reset, fault.surplus, fault.pause,
            fault.headers,
        )  # fmt: skip

    def _note_arrival(self, method: str, parameters: dict[str, str]) -> None:
        chat_id = _chat_id(parameters)
        if chat_id is not None and method.lower() in _PACED:
            self._throttle.arrived(chat_id)

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
        if token != self.token:
            return 404, encode(error(404, "Not Found"))
        if self.deactivated:
            return 401, encode(error(401, "Unauthorized"))
        if handler is None:
            return 404, encode(error(404, "Not Found: method not found"))
        try:
            result = handler(self, parameters)
            if asyncio.iscoroutine(result):
                result = await result
        except RefusedError as refused:
            return refused.code, encode(refused.body)
        return 200, encode({"ok": True, "result": result})


_PACED = ("sendmessage", "editmessagetext")
_METHODS: dict[str, Callable[[TelegramDouble, dict[str, str]], Any]] = {
    "getme": TelegramDouble.get_me,
    "getupdates": TelegramDouble.get_updates,
    "sendmessage": TelegramDouble.send_message,
    "editmessagetext": TelegramDouble.edit_message,
    "answercallbackquery": TelegramDouble.answer_callback,
    "setmycommands": TelegramDouble.set_commands,
    "getchatmember": TelegramDouble.get_chat_member,
    "setwebhook": TelegramDouble.set_webhook,
    "deletewebhook": TelegramDouble.delete_webhook,
    "getwebhookinfo": TelegramDouble.webhook_info,
}


def _chat_id(parameters: dict[str, str]) -> int | None:
    chat_id = parameters.get("chat_id", "")
    return int(chat_id) if re.fullmatch(r"-?\d+", chat_id) else None


def _route(verb: str, address: str) -> tuple[str, str]:
    match = re.fullmatch(r"/bot([^/]+)/(\w+)", address)
    if match is None or verb not in ("GET", "POST"):
        return "", ""
    return match.group(1), match.group(2)
