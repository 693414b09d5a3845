"""A call to an outside watcher while all is well: its silence says that the bot is not.

The address is the secret of whoever watches; it is in no log, error or repr.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx

from bot.market.plan import is_loopback

EVERY = 30.0  # s between two calls
PATIENCE = 10.0  # s for a whole call
FAILED, OK = "failed", "ok"
_log = logging.getLogger(__name__)


class Heartbeat:
    """Calls an address as long as it is healthy; closes its connection as a context manager.

    Args:
        url: what is called with GET; None calls nothing.
        monotonic: the steady clock, seconds.
    """

    def __init__(self, url: str | None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.results: Counter[str] = Counter()
        self._url = url
        self._monotonic = monotonic
        self._called_at: float | None = None
        self._fault = ""
        self._client = None if url is None else httpx.AsyncClient(trust_env=not is_loopback(url))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def beat(self, *, healthy: bool) -> None:
        """Calls where it is time to; a call that fails is made again at its next time."""
        if self._client is None or self._url is None or not healthy:
            return
        now = self._monotonic()
        if self._called_at is not None and now - self._called_at < EVERY:
            return
        self._called_at = now
        fault = await _call(self._client, self._url)
        self.results[FAILED if fault else OK] += 1
        self._say(fault)

    def _say(self, fault: str) -> None:
        """A fault is logged when it begins, when it becomes another, and when it is over."""
        if fault and fault != self._fault:
            _log.warning(
                "HEARTBEAT_URL: %s; tried again every %g s", fault, EVERY,
                extra={"action": "heartbeat_failed"},
            )  # fmt: skip
        elif self._fault and not fault:
            _log.info("HEARTBEAT_URL answers again", extra={"action": "heartbeat_back"})
        self._fault = fault


async def _call(client: httpx.AsyncClient, url: str) -> str:
    """What is wrong with the call, in words without the address; "" where nothing is."""
    try:
        async with asyncio.timeout(PATIENCE), client.stream("GET", url, timeout=PATIENCE) as answer:
            status = answer.status_code  # the body is nobody's business
    except (TimeoutError, httpx.TimeoutException):
        return f"no answer within {PATIENCE:g} s"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return f"cannot be reached ({type(error).__name__})"  # its text may hold the address
    return "" if 200 <= status < 300 else f"answers HTTP {status}"
