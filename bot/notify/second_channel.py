"""The second channel: Apprise, an optional extra, which waits for an answer as it sends.

Its log is kept apart: it may name addresses, and those are secrets.
"""

import asyncio
import contextlib
import logging
import re
import threading
import warnings
from collections.abc import Sequence
from typing import Any

from bot.notify.second_entries import secrets_of

TITLE = "fundingbot"
SEND_WITHIN = 30.0  # s
MISSING = "the extra `fallback`, which is not installed: pip install 'fundingbot[fallback]'"
_LONGEST_REASON = 300  # characters


class SecondChannelError(Exception):
    """It cannot be used; the message says why, without an address."""


class SecondChannel:
    """Services that take a text, by their position among the given addresses."""

    def __init__(self, urls: Sequence[str], *, within: float = SEND_WITHIN) -> None:
        """Raises SecondChannelError as `check` says."""
        check(urls)
        self._services = [_service(url) for url in urls]
        self._urls = tuple(urls)
        self._within = within
        self._threads: dict[int, threading.Thread] = {}

    def __repr__(self) -> str:
        return f"SecondChannel({len(self._urls)} services)"

    async def send(self, position: int, text: str) -> str:
        """Sends once; "" where the service took it, else why it may not have.

        It is over within a bound; what still hangs then keeps the service from being asked again
        until it ends, and the program's end does not wait for it.
        """
        before = self._threads.get(position)
        if before is not None and before.is_alive():
            return "the attempt before has not ended yet"
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str] = loop.create_future()

        def settle(problem: str) -> None:
            if not done.done():
                done.set_result(problem)

        def work() -> None:
            problem = self._notify(position, text)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
                loop.call_soon_threadsafe(settle, problem)

        thread = threading.Thread(target=work, name=f"second channel {position}", daemon=True)
        self._threads[position] = thread
        thread.start()
        try:
            async with asyncio.timeout(self._within):
                return await done
        except TimeoutError:
            return f"no end within {self._within:g} s"

    def _notify(self, position: int, text: str) -> str:
        try:
            result = self._services[position].notify(text, title=TITLE, body_format="text")
            if result:
                return ""
            said = [str(entry.message) for entry in result.logs()]
        except Exception as error:  # noqa: BLE001 - a service's plugin may raise anything
            said = [f"{type(error).__name__}: {error}"]
        return _without(secrets_of(self._urls[position]), " ".join(said)) or "the service refused"


def check(urls: Sequence[str]) -> None:
    """Raises SecondChannelError where Apprise is not installed, or cannot use an address."""
    wrong = [str(at) for at, url in enumerate(urls, 1) if _service(url) is None]
    if wrong:
        named = ("entry " if len(wrong) == 1 else "entries ") + ", ".join(wrong)
        raise SecondChannelError(
            "addresses as Apprise writes them (https://github.com/caronc/apprise/wiki), which "
            f"it cannot read in {named}"
        )


def _service(url: str) -> Any:
    """An Apprise of one service; None where it cannot read the address."""
    apprise = _apprise()
    # No threads of its own: the program's end would wait for them.
    asset = apprise.AppriseAsset(
        app_id=TITLE, async_mode=False, service_timeout=0, result_log_disk_size=0
    )
    with warnings.catch_warnings():  # it loads all its plugins, some with outdated imports
        warnings.simplefilter("ignore")
        service = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        return None
    if not re.search(r"[?&]overflow=", url):  # a long text comes in parts, not refused
        service.overflow_mode = apprise.OverflowMode.SPLIT
    alone = apprise.Apprise(asset=asset)
    alone.add(service)
    return alone


def _apprise() -> Any:
    """The library; loaded where it is needed, which is where the setting asks for it."""
    try:
        import apprise  # noqa: PLC0415 - optional
    except ImportError:
        raise SecondChannelError(MISSING) from None
    log = logging.getLogger("apprise")
    log.setLevel(logging.WARNING)
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it logs whole paths
    return apprise


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return " ".join(text.split())[:_LONGEST_REASON]
