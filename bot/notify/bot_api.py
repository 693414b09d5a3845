"""The Telegram channel and the Bot API's other methods, each one attempt, each error sorted.

The token is known to the transport alone: python-telegram-bot and httpx see, log and repeat a
placeholder in its stead.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from telegram import Bot
from telegram.error import TelegramError
from telegram.request import HTTPXRequest, RequestData

from bot.notify.channel import Doubtful, Later, Outcome, Sent, TokenRefused, Written
from bot.notify.outcome import is_unchanged, sort_answer

PUBLIC_API = "https://api.telegram.org"
UPDATES = ("message", "callback_query", "my_chat_member")
_PLACEHOLDER = "0:token"
_Json = dict[str, Any]


class BotApiError(Exception):
    """The server could not be asked, or refused; the message says why and what helps."""


class TokenRefusedError(BotApiError):
    """The server knows no bot with this token."""


class PollConflictError(BotApiError):
    """Another program reads the updates of this token."""


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
        connections: int = 32,
        connect_timeout: float = 5.0,
        read_timeout: float = 10.0,
    ) -> None:
        root = api_url.rstrip("/")
        sending = _TokenTransport(token, root, connections)
        polling = _TokenTransport(token, root, 2)
        self._sending = _Request(sending, connect_timeout, read_timeout)
        self._polling = _Request(polling, connect_timeout, read_timeout)
        self._bot = _Bot(
            _PLACEHOLDER, f"{root}/bot", request=self._sending, get_updates_request=self._polling
        )
        self._read_timeout = read_timeout

    def __repr__(self) -> str:
        return "BotApi()"

    async def close(self) -> None:
        await asyncio.gather(self._sending.shutdown(), self._polling.shutdown())

    async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
        """Sends or edits, once."""
        try:
            return Sent(await self._send(chat_id, topic, written))
        except _AnswerError as answer:
            if written.edit_of is not None and is_unchanged(answer.status, answer.description):
                return Sent(written.edit_of)
            return answer.outcome()
        except TelegramError as error:
            return _failure(error)

    async def _send(self, chat_id: int, topic: int | None, written: Written) -> int:
        message: _Json = {
            "chat_id": chat_id,
            "text": written.text,
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
        """Updates from an id on, those below confirmed; waits at most `timeout` s for one.

        Raises:
            PollConflictError: another program polls with this token, or a webhook is set.
            BotApiError: as its kinds say.
        """
        arguments = {"offset": offset, "timeout": timeout, "allowed_updates": list(UPDATES)}
        updates: list[_Json] = await self._ask(
            "getUpdates", arguments, self._read_timeout + timeout
        )
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

    async def delete_webhook(self) -> None:
        """Ends a webhook, which would keep getUpdates from working; updates are kept.

        Raises:
            BotApiError: as its kinds say.
        """
        await self._ask("deleteWebhook", {"drop_pending_updates": False})

    async def member_status(self, chat_id: int, user_id: int) -> str:
        """A user's place in a group: `creator`, `administrator`, `member`, `left` ...

        Raises:
            BotApiError: as its kinds say.
        """
        member = await self._ask("getChatMember", {"chat_id": chat_id, "user_id": user_id})
        return str(member["status"])

    async def _ask(self, method: str, arguments: _Json, read_timeout: float | None = None) -> Any:
        try:
            return await self._bot.ask(method, arguments, read_timeout)
        except TelegramError as error:
            raise _sorted(error) from None


class _Bot(Bot):
    """The library's requests without its objects, which need more of an answer than we do."""

    __slots__ = ()

    async def ask(self, method: str, arguments: _Json, read_timeout: float | None = None) -> Any:
        timeouts: _Json = {} if read_timeout is None else {"read_timeout": read_timeout}
        return await self._post(method, arguments, **timeouts)


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
            self.retry_after = parameters.get("retry_after")
            self.migrate_to = parameters.get("migrate_to_chat_id")
        except (ValueError, LookupError, TypeError, AttributeError):
            pass  # not the Bot API's JSON: the description stays None
        super().__init__(f"{status} {self.description}")

    def outcome(self) -> Outcome:
        return sort_answer(self.status, self.description, self.retry_after, self.migrate_to)


class _GarbledError(TelegramError):
    """A 2xx whose body is not the Bot API's JSON: it may have been carried out."""


class _Request(HTTPXRequest):
    """A pool of connections that reports each answer as it is."""

    __slots__ = ()

    def __init__(
        self, transport: "_TokenTransport", connect_timeout: float, read_timeout: float
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
        except (ValueError, LookupError, TypeError) as error:
            raise _GarbledError("the answer is no Bot API server's") from error
        return status, body


class _TokenTransport(httpx.AsyncHTTPTransport):
    """Puts the token into the address at the last moment."""

    def __init__(self, token: str, root: str, connections: int) -> None:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        super().__init__(verify=_context(), limits=limits, proxy=_proxy_for(root))
        self._token = quote(token, safe=":").encode()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.replace(_PLACEHOLDER.encode(), self._token, 1)
        addressed = httpx.Request(
            request.method,
            request.url.copy_with(raw_path=path),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return await super().handle_async_request(addressed)


@lru_cache(maxsize=1)
def _context() -> ssl.SSLContext:
    """Made once: reading the machine's certificates takes a while."""
    return httpx.create_ssl_context()


def _proxy_for(root: str) -> str | None:
    """The environment's proxy for this server; none for one on this machine."""
    address = urlsplit(root)
    host = address.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(address.scheme) or proxies.get("all")


def _markup(written: Written) -> _Json | None:
    rows = [
        [{"text": button.text, "callback_data": button.data} for button in row]
        for row in written.buttons
    ]
    return {"inline_keyboard": rows} if rows else None


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
        return PollConflictError(
            "another program reads this bot's updates (or a webhook is set): "
            f"stop it, or use a token of its own. The server says: {error.description}"
        )
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
