"""Logging for the whole program: one line a record, and no secret in any of them.

Libraries log what they please (httpx the request's URL, which holds the bot's token). So the
secrets are taken out of the finished text, behind every logger, message, argument and traceback.
"""

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TextIO
from urllib.parse import quote, quote_plus

import msgspec

Redact = Callable[[str], str]

HIDDEN = "***"
_SHORTEST_PART = 16  # characters; a shorter part of a token might be a word of everyday text
# Each request of a healthy day is their INFO, each skipped wake-up the scheduler's WARNING.
_TALKATIVE = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "telegram": logging.WARNING,
    "websockets": logging.WARNING,
    "alembic": logging.WARNING,
    "apscheduler": logging.ERROR,
}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redactor(secrets: Iterable[str]) -> Redact:
    """A function that takes secrets out of a text, in the spellings a URL or JSON gives them."""
    spellings: set[str] = set()
    for secret in secrets:
        # The half behind a token's colon is what opens it, however the colon was spelt.
        half = secret.partition(":")[2]
        for part in (secret, half if len(half) >= _SHORTEST_PART else secret):
            quoted = {quote(part), quote(part, safe=""), quote_plus(part)}
            spellings |= {part, *quoted, *(text.replace("%3A", "%3a") for text in quoted)}
            spellings |= {msgspec.json.encode(part).decode()[1:-1], repr(part)[1:-1]}
    ordered = sorted(filter(None, spellings), key=len, reverse=True)

    def redact(text: str) -> str:
        for spelling in ordered:
            if spelling in text:
                text = text.replace(spelling, HIDDEN)
        return text

    return redact


def configure_logging(
    level: str,
    style: str,
    secrets: Iterable[str],
    stream: TextIO | None = None,
) -> None:
    """Sends every log record, warning and unhandled exception to a stream, without the secrets.

    Args:
        level: the name of a level of `logging`, in any case.
        style: a key of `FORMATTERS`.
        secrets: texts that must not appear, as they are or URL-encoded.
        stream: where the lines go; standard error if not given.
    """
    redact = redactor(secrets)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(_Handler(stream or sys.stderr, FORMATTERS[style](redact), redact))
    root.setLevel(level.upper())
    for name, least in _TALKATIVE.items():
        quiet = root.level > logging.DEBUG
        logging.getLogger(name).setLevel(max(least, root.level) if quiet else logging.NOTSET)
    logging.captureWarnings(capture=True)
    _catch_unhandled()


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to a stream; a record that cannot be formatted is reported without its arguments."""

    def __init__(self, stream: TextIO, formatter: logging.Formatter, redact: Redact) -> None:
        super().__init__(stream)
        self.setFormatter(formatter)
        self._redact = redact

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Instead of the standard one, which prints the arguments as they are."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError | ValueError) and self.stream.closed:
            return
        text = f"{record.name}: a log record could not be written ({error!r}): {record.msg!r}"
        try:
            self.stream.write(self._redact(text) + self.terminator)
        except (OSError, ValueError):
            return  # nobody reads any more; there is nobody to tell


class TextFormatter(logging.Formatter):
    """`2026-11-22T10:00:00.123Z INFO bot.app: sentence key=value`, a traceback below it."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        extra = "".join(f" {key}={value}" for key, value in _extra(record).items())
        line = f"{_utc(record)} {record.levelname} {record.name}: {message}{extra}"
        return self._redact("\n".join(filter(None, (line, _trace(self, record)))))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the extras, a traceback."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": _utc(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {key: value for key, value in _extra(record).items() if key not in fields}
        if trace := _trace(self, record):
            fields["traceback"] = trace
        plain = {key: _plain(value, self._redact) for key, value in fields.items()}
        return msgspec.json.encode(plain).decode()


FORMATTERS: dict[str, Callable[[Redact], logging.Formatter]] = {
    "text": TextFormatter,
    "json": JsonFormatter,
}


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _plain(value: object, redact: Redact) -> object:
    """A number as it is, anything else as text that can be encoded, without the secrets."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value)).encode(errors="backslashreplace").decode()


def _utc(record: logging.LogRecord) -> str:
    moment = time.gmtime(record.created)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{int(record.msecs):03d}Z"


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info else []
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


def _catch_unhandled() -> None:
    """Python prints unhandled exceptions to standard error by itself; here they are logged."""
    log = logging.getLogger("bot")

    def unhandled(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("Unhandled exception", exc_info=(kind, error, trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            unhandled(args.exc_type, args.exc_value, args.exc_traceback)

    def unraisable(args: "sys.UnraisableHookArgs") -> None:
        if args.exc_value is not None:
            unhandled(args.exc_type, args.exc_value, args.exc_traceback)

    sys.excepthook = unhandled
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable


class OnceLog:
    """Logs the first of each kind and counts the rest: a flood of bad input is one line."""

    def __init__(self, log: logging.Logger, most_kinds: int = 1_000) -> None:
        self._log = log
        self._most_kinds = most_kinds
        self.counts: Counter[str] = Counter()

    def warn(self, kind: str, message: str) -> None:
        """Counts a kind, and logs the message if it is the first one.

        Beyond `most_kinds` different ones all further kinds count as "other".
        """
        if kind not in self.counts and len(self.counts) >= self._most_kinds:
            kind = "other"
        self.counts[kind] += 1
        if self.counts[kind] == 1:
            self._log.warning("%s (further ones of this kind are only counted)", message)
