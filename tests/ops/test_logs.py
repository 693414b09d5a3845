import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from io import StringIO

import httpx
import pytest

from bot.ops.logs import OnceLog, configure_logging, redactor

SECRET = "AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"
TOKEN = f"123456789:{SECRET}"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    names = ("httpx", "httpcore", "telegram", "websockets", "alembic", "apscheduler")
    levels = {name: logging.getLogger(name).level for name in ("", *names)}
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    yield
    for handler in [each for each in root.handlers if type(each).__module__ == "bot.ops.logs"]:
        root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)


def log_to(style: str, level: str = "info", secrets: Iterable[str] = (TOKEN,)) -> StringIO:
    """What the log will have written. Within a test, so that pytest's own handlers go too."""
    stream = StringIO()
    configure_logging(level, style, secrets, stream)
    return stream


class Locator:
    """An argument that shows what it holds only when it is formatted."""

    def __str__(self) -> str:
        return f"https://host/bot{TOKEN}/getMe"

    __repr__ = __str__


LOG = logging.getLogger("some.library")


def failing() -> None:
    raise RuntimeError(f"POST /bot{TOKEN}/sendMessage failed")


def chained() -> None:
    try:
        failing()
    except RuntimeError as error:
        raise OSError("no answer") from error


def log_traceback() -> None:
    try:
        chained()
    except OSError:
        LOG.exception("call failed")


WAYS: dict[str, Callable[[], None]] = {
    "message": lambda: LOG.debug(f"calling https://host/bot{TOKEN}/getMe"),  # noqa: G004
    "argument": lambda: LOG.info("calling %s", Locator()),
    "argument repr": lambda: LOG.info("headers %r", [(b":path", f"/bot{TOKEN}/".encode())]),
    "mapping": lambda: LOG.info("%(url)s", {"url": Locator()}),
    "url-encoded": lambda: LOG.info(
        "url=https%%3A%%2F%%2Fhost%%2Fbot%s", TOKEN.replace(":", "%3A")
    ),
    "url-encoded, lower case": lambda: LOG.info("bot%s", TOKEN.replace(":", "%3a")),
    "half of it": lambda: LOG.info("secret part: %s", SECRET),
    "extra": lambda: LOG.info("called", extra={"url": Locator(), "raw": TOKEN.encode()}),
    "traceback": log_traceback,
    "stack": lambda: LOG.info("here", stack_info=True, extra={"at": TOKEN}),
    "too few arguments": lambda: LOG.info("%s %s", TOKEN),  # noqa: PLE1206
    "wrong argument": lambda: LOG.info("%d", TOKEN),
    "warning": lambda: warnings.warn(f"bot{TOKEN} is old", stacklevel=1),
    "logger name": lambda: logging.getLogger(f"bot.{TOKEN}").info("hello"),
}


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("default")
def test_the_token_is_taken_out_of_whatever_is_logged(style: str, way: str) -> None:
    lines = log_to(style, "debug")
    WAYS[way]()
    written = lines.getvalue()
    assert written
    assert SECRET not in written


async def test_a_real_request_at_debug_logs_no_token() -> None:
    lines = log_to("text", "debug")
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:1/bot{TOKEN}/getMe")
        transport = httpx.MockTransport(lambda _: httpx.Response(200))
    async with httpx.AsyncClient(transport=transport) as client:
        await client.get(f"http://127.0.0.1:1/bot{TOKEN}/getMe")
    written = lines.getvalue()
    assert "httpcore" in written
    assert "HTTP Request: GET http://127.0.0.1:1/bot***/getMe" in written
    assert SECRET not in written


UNHANDLED = f"""
import asyncio, sys, threading, warnings
from bot.ops.logs import configure_logging

configure_logging("debug", sys.argv[1], ["{TOKEN}"])
warnings.warn("{TOKEN}")

def fail():
    raise RuntimeError("https://host/bot{TOKEN}/getMe")

thread = threading.Thread(target=fail)
thread.start()
thread.join()

class Dying:
    def __del__(self):
        fail()

Dying()

async def main():
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0.01)

asyncio.run(main())
fail()
"""


@pytest.mark.parametrize("style", ["text", "json"])
def test_an_unhandled_exception_shows_its_traceback_without_the_token(style: str) -> None:
    program = [sys.executable, "-W", "always", "-c", UNHANDLED, style]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("RuntimeError: https://host/bot***/getMe") == 4
    assert SECRET not in done.stderr


def test_a_text_line_has_time_level_logger_message_and_extras() -> None:
    stream = log_to("text")
    logging.getLogger("bot.app").warning("Feed %s", "silent", extra={"seconds": 20})
    time, rest = stream.getvalue().split(" ", 1)
    assert rest == "WARNING bot.app: Feed silent seconds=20\n"
    assert time.endswith("Z")
    assert len(time) == len("2026-11-22T10:00:00.123Z")


def test_a_message_from_outside_cannot_forge_a_line() -> None:
    stream = log_to("text")
    logging.getLogger("bot").info("chat said %s", "x\r\n2026-11-22T10:00:00.000Z INFO bot: forged")
    assert stream.getvalue().count("\n") == 1


def test_a_json_line_is_one_object_with_everything() -> None:
    stream = log_to("json", secrets=['pass"word'])
    extra = {"symbol": "币安人生USDT", "chats": 3, "ratio": 0.5, "none": None, "odd": "\udc80"}
    logging.getLogger("bot.app").info('a "quoted" pass"word\nnext', extra=extra)
    [line] = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record["message"] == 'a "quoted" ***\nnext'
    assert (record["level"], record["logger"]) == ("info", "bot.app")
    assert {key: record[key] for key in extra} == extra | {"odd": "\\udc80"}


@pytest.mark.parametrize(
    ("level", "shown"), [("debug", True), ("info", False), ("warning", False), ("error", False)]
)
def test_each_request_is_logged_at_debug_alone(level: str, shown: bool) -> None:
    stream = log_to("text", level)
    logging.getLogger("httpx").info("HTTP Request: GET /")
    assert ("HTTP Request" in stream.getvalue()) is shown


def test_a_level_hides_what_is_below_it_from_libraries_too() -> None:
    stream = log_to("text", "critical")
    for name in ("bot", "httpx", "apscheduler", "asyncio"):
        logging.getLogger(name).error("hidden")
    assert stream.getvalue() == ""


def test_configuring_again_replaces_what_was() -> None:
    first, second = log_to("text"), log_to("json")
    logging.getLogger("bot").info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_a_closed_stream_does_not_break_the_program() -> None:
    stream = log_to("text")
    stream.close()
    logging.getLogger("bot").info("nobody reads this")


@pytest.mark.parametrize(
    ("secret", "text", "expected"),
    [
        ("a b/c", "x=a%20b%2Fc", "x=***"),
        ("a b/c", "x=a+b%2Fc", "x=***"),
        ("a b/c", "x=a%20b/c", "x=***"),
        ("1:short", "short and 1:short", "short and ***"),
        ("", "nothing is hidden", "nothing is hidden"),
    ],
)
def test_a_secret_is_found_in_its_spellings(secret: str, text: str, expected: str) -> None:
    assert redactor([secret])(text) == expected


def test_the_first_of_a_kind_is_logged_and_the_rest_counted() -> None:
    stream = log_to("text")
    once = OnceLog(logging.getLogger("bot.market"))
    for number in range(5):
        once.warn("foreign", f"A foreign event: kline {number}")
    once.warn("broken", "A frame that is not JSON")
    assert once.counts == {"foreign": 5, "broken": 1}
    written = stream.getvalue()
    assert written.count("\n") == 2
    assert "A foreign event: kline 0 (further ones of this kind are only counted)" in written


def test_a_flood_of_different_kinds_is_bounded() -> None:
    stream = log_to("text")
    once = OnceLog(logging.getLogger("bot.market"), most_kinds=3)
    for number in range(100):
        once.warn(f"unknown {number}", "An unknown symbol")
    assert sum(once.counts.values()) == 100
    assert once.counts["other"] == 97
    assert stream.getvalue().count("\n") == 4
