"""The Telegram channel and the Bot API's other methods, each one attempt, each error sorted.

The token is known to the transport alone: python-telegram-bot and httpx see, log and repeat a
placeholder in its stead.
"""

import asyncio
import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import httpx
from telegram import Bot
from telegram.error import TelegramError
from telegram.request import HTTPXRequest, RequestData

from bot.notify.channel import Doubtful, Later, Outcome, Sent, TokenRefused, Written
from bot.notify.outcome import is_settled_edit, sort_answer
from bot.notify.token_transport import PLACEHOLDER, TokenTransport

PUBLIC_API = "https://api.telegram.org"
UPDATES = ("message", "callback_query", "my_chat_member")
_CLOSE_WITHIN = 2.0  # s
_Json = dict[str, Any]


class BotApiError(Exception):
    """The server could not be asked, or refused; the message says why and what helps."""


class TokenRefusedError(BotApiError):
    """The server knows no bot with this token."""


class PollConflictError(BotApiError):
    """The updates of this token go to another program, or to a webhook."""


class UnreachableError(BotApiError):
    """No answer, or none of a Bot API server: the same again later may help.

    `retry_after` (s) where the server named a time.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class BotApi:
    """One bot. `api_url` is the server's root, to which `/bot<token>/<method>` is appended."""

    def __init__(
        self,
        token: str,
        api_url: str = PUBLIC_API,
        *,
        connections: int = 288,  # all that the notifier has under way, and a few
        connect_timeout: float = 5.0,
        read_timeout: float = 10.0,
    ) -> None:
        root = api_url.rstrip("/")

        def pool(most: int) -> _Pool:
            transport = TokenTransport(token, root, most)
            return _Pool(root, _Request(transport, connect_timeout, read_timeout))

        self._sending = pool(connections)
        self._bot = self._sending.bot
        self._new_polling = partial(pool, 2)
        self._polling = self._new_polling()
        self._leaving: set[asyncio.Task[None]] = set()
        self._read_timeout = read_timeout

    def __repr__(self) -> str:
        return "BotApi()"

    async def close(self) -> None:
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(
            self._sending.close(), self._polling.close(), *self._leaving, return_exceptions=True
        )

    def renew_polling(self) -> None:
        """The next getUpdates has connections of its own; those before are given up as they are."""
        task = asyncio.create_task(self._polling.close())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        self._polling = self._new_polling()

    async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
        """Sends or edits, once. An edit of a message that somebody deleted counts as done."""
        try:
            return Sent(await self._send(chat_id, topic, written))
        except _AnswerError as answer:
            edited = written.edit_of
            if edited is not None and is_settled_edit(answer.status, answer.description):
                return Sent(edited)
            return answer.outcome()
        except TelegramError as error:
            return _failure(error)

    async def _send(self, chat_id: int, topic: int | None, written: Written) -> int:
        message: _Json = {
            "chat_id": chat_id,
            "text": _sendable(written.text),
            "parse_mode": None if written.plain else "HTML",
            "link_preview_options": {"is_disabled": True},
            "reply_markup": _markup(written),
        }
        if written.edit_of is not None:
            await self._bot.ask("editMessageText", message | {"message_id": written.edit_of})
            return written.edit_of
        if written.reply_to is not None:
            message["reply_parameters"] = {
                "message_id": written.reply_to,
                "allow_sending_without_reply": True,
            }
        message |= {"message_thread_id": topic, "disable_notification": written.silent or None}
        sent = await self._bot.ask("sendMessage", message)
        try:
            return int(sent["message_id"])
        except (LookupError, TypeError, ValueError) as error:
            raise _GarbledError("the server's answer names no message") from error

    async def get_me(self) -> _Json:
        """The bot as the server knows it: `id`, `username`, `first_name`.

        Raises:
            BotApiError: as its kinds say.
        """
        me: _Json = await self._ask("getMe", {})
        return me

    async def get_updates(self, offset: int, timeout: int) -> list[_Json]:  # noqa: ASYNC109 - the server's long poll
        """Updates from an id on, those below confirmed; the server waits `timeout` s for one.

        How long the whole may take is the caller's to watch: no bound on a read ends an answer
        that drips, and none a pool that is stuck.

        Raises:
            PollConflictError: another program polls with this token, or a webhook is set.
            BotApiError: as its kinds say.
        """
        arguments = {"offset": offset, "timeout": timeout, "allowed_updates": list(UPDATES)}
        try:
            updates: list[_Json] = await self._polling.bot.ask(
                "getUpdates", arguments, timeout + 2 * self._read_timeout
            )
        except TelegramError as error:
            raise _sorted(error) from None
        return updates

    async def answer_callback(self, query_id: str, text: str = "") -> bool:
        """Ends the waiting mark on a pressed button, with a short notice (at most 200 units).

        False where the press is too old to be answered, which harms nobody.
        """
        try:
            answer = {"callback_query_id": query_id, "text": text[:200] or None}
            await self._bot.ask("answerCallbackQuery", answer)
        except _AnswerError as refused:
            if "query is too old" in (refused.description or "").lower():
                return False
            raise _sorted(refused) from None
        except TelegramError as error:
            raise _sorted(error) from None
        return True

    async def set_commands(self, commands: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        """The `/` menu: language ("" for all others) to (name, description) in its order.

        Raises:
            BotApiError: as its kinds say.
        """
        for language, entries in commands.items():
            menu = [{"command": name, "description": text} for name, text in entries]
            await self._ask("setMyCommands", {"commands": menu, "language_code": language or None})

    async def member_status(self, chat_id: int, user_id: int) -> str:
        """A user's place in a group: `creator`, `administrator`, `member`, `left` ...

        Raises:
            BotApiError: as its kinds say.
        """
        member = await self._ask("getChatMember", {"chat_id": chat_id, "user_id": user_id})
        return str(member["status"])

    async def _ask(self, method: str, arguments: _Json) -> Any:
        try:
            return await self._bot.ask(method, arguments)
        except TelegramError as error:
            raise _sorted(error) from None


class _Bot(Bot):
    """The library's requests without its objects, which need more of an answer than we do."""

    __slots__ = ()

    async def ask(self, method: str, arguments: _Json, read_timeout: float | None = None) -> Any:
        timeouts: _Json = {} if read_timeout is None else {"read_timeout": read_timeout}
        return await self._post(method, arguments, **timeouts)


class _Pool:
    """Connections, and the library's requests over them."""

    def __init__(self, root: str, request: "_Request") -> None:
        self.bot = _Bot(PLACEHOLDER, f"{root}/bot", request=request, get_updates_request=request)
        self._request = request

    async def close(self) -> None:
        """Within a few seconds, however stuck it is."""
        with contextlib.suppress(Exception):  # what cannot be closed in order is let go of
            async with asyncio.timeout(_CLOSE_WITHIN):
                await self._request.shutdown()


class _AnswerError(TelegramError):
    """An answer other than 2xx, before python-telegram-bot folds unlike ones together."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.description: str | None = None
        self.retry_after: float | None = None
        self.migrate_to: int | None = None
        try:
            answer = json.loads(body)
            self.description = str(answer["description"])
            parameters = answer.get("parameters", {})
            self.retry_after = _seconds(parameters.get("retry_after"))
            self.migrate_to = _chat_id(parameters.get("migrate_to_chat_id"))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            pass  # not the Bot API's JSON: what is missing stays None
        super().__init__(f"{status} {self.description}")

    def outcome(self) -> Outcome:
        return sort_answer(self.status, self.description, self.retry_after, self.migrate_to)


def _seconds(value: Any) -> float | None:
    """A `retry_after` that can be waited for."""
    if isinstance(value, int | float) and 0 <= value < math.inf:
        return value
    return None


def _chat_id(value: Any) -> int | None:
    return value if isinstance(value, int) else None


class _GarbledError(TelegramError):
    """A 2xx whose body is not the Bot API's JSON: it may have been carried out."""


class _Request(HTTPXRequest):
    """A pool of connections that reports each answer as it is."""

    __slots__ = ()

    def __init__(
        self, transport: "TokenTransport", connect_timeout: float, read_timeout: float
    ) -> None:
        super().__init__(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            write_timeout=read_timeout,
            pool_timeout=connect_timeout,
            httpx_kwargs={"transport": transport, "trust_env": False},
        )

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        *timeouts: Any,
        **named: Any,
    ) -> tuple[int, bytes]:
        status, body = await super().do_request(url, method, request_data, *timeouts, **named)
        if not 200 <= status < 300:
            raise _AnswerError(status, body)
        try:
            json.loads(body)["result"]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise _GarbledError("the answer is no Bot API server's") from error
        return status, body


def _markup(written: Written) -> _Json | None:
    rows = [
        [{"text": _sendable(button.text), "callback_data": button.data} for button in row]
        for row in written.buttons
    ]
    return {"inline_keyboard": rows} if rows else None


def _sendable(text: str) -> str:
    """Without half characters, which no request can carry."""
    return text.encode("utf-8", "replace").decode()


_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def _failure(error: TelegramError) -> Outcome:
    """The outcome of a request without an answer, by the cause that the library hides."""
    cause = error if isinstance(error, _GarbledError) else error.__cause__ or error
    reason = str(cause) or type(cause).__name__
    if isinstance(cause, _NOT_SENT):
        return Later(f"cannot reach the Telegram server: {reason}")
    return Doubtful(f"no certain answer from the Telegram server: {reason}")


def _sorted(error: TelegramError) -> BotApiError:
    if isinstance(error, _AnswerError) and error.status == 409:
        return PollConflictError(_conflict(error.description or ""))
    outcome = error.outcome() if isinstance(error, _AnswerError) else _failure(error)
    if isinstance(outcome, TokenRefused):
        return TokenRefusedError(
            "the Telegram server refuses the token: check TELEGRAM_TOKEN (from @BotFather) "
            f"and TELEGRAM_API_URL. The server says: {outcome.reason}"
        )
    if isinstance(outcome, Later):
        return UnreachableError(outcome.reason, outcome.retry_after)
    if isinstance(outcome, Doubtful):
        return UnreachableError(outcome.reason)
    return BotApiError(f"the Telegram server refuses: {error}")


def _conflict(description: str) -> str:
    """Who gets the updates instead, and what to do; the texts are those of Client.cpp."""
    if "webhook" in description.lower():
        return (
            "a webhook is set for this bot: somebody called setWebhook with its token, and Telegram"
            " hands its updates there alone. If that is not wanted any more, open"
            " https://api.telegram.org/bot<the token>/deleteWebhook once; else use a token of its"
            f" own here. The server says: {description}"
        )
    return (
        "another program reads this bot's updates with the same token, so that each gets some of"
        " the commands: stop the other one, or give one of them a token of its own. The server"
        f" says: {description}"
    )
