"""The settings: from the environment and a `.env` file, every problem found at once.

The environment wins over the file; an empty text counts as unset; `NAME_FILE` names a file whose
content is the value of `NAME`. Times are written as in the rule language: `30s`, `23h50m`.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bot.notify.second_channel import SecondChannelError, check
from bot.notify.second_entries import Entry, read_entries, secrets_of
from bot.rules.parser import ConditionError, parse_duration
from bot.rules.quantity import duration_text

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000  # ms
_TOKEN = re.compile(r"\d+:[^\s/?#]+", re.ASCII)
_TOKEN_WITHIN = re.compile(r"\d{3,}(:|%3[Aa])[\w-]{10,}", re.ASCII)
_PASSWORD_WITHIN = re.compile(r"(?<=://)[^/\s]*@")
_SECRET = {
    "TELEGRAM_TOKEN",
    "HEARTBEAT_URL",
    "FALLBACK_URLS",
}  # no part of their values is repeated
_SECRET_PATH = 8  # characters; a shorter path might be a word of everyday text
_LONGEST_SHOWN = 80  # characters of a wrong value that are repeated to the person


class SettingsError(Exception):
    """The settings cannot be used; `problems` has one line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Access(StrEnum):
    """Who may use the bot: the admins alone, or everybody within the quotas."""

    PRIVATE = "private"
    OPEN = "open"


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Address(NamedTuple):
    """Where a server listens; host "" is every interface, port 0 any free port."""

    host: str
    port: int


def _is_given(value: str | None) -> bool:
    return value is not None and value.strip() != ""


def _token(text: str) -> str:
    if _TOKEN.fullmatch(text) is None:
        raise ValueError("a bot token as BotFather gives it: digits, a colon, then the secret")
    return text


def _url(*schemes: str) -> Callable[[str], str]:
    """A root to which paths are appended: no query, no slash at the end."""
    example = f"{schemes[-1]}://host[:port][/path]"

    def read(text: str) -> str:
        expected = f"a URL like {example}"
        try:
            parts = urlsplit(text)
            usable = bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise ValueError(expected) from None
        if parts.scheme not in schemes or not usable or parts.query or parts.fragment:
            raise ValueError(expected)
        return text.rstrip("/")

    return read


def _heartbeat_url(text: str) -> str:
    """An address that is called as it is; the path or the query of such ones is the secret."""
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.scheme not in ("http", "https") or re.search(r"[\s#]", text):
        raise ValueError("a URL like https://host[:port][/path][?query]")
    return text


def _parts_of_address(url: str) -> list[str]:
    """An address, and what of it is secret by itself: libraries log it without its password."""
    parts = urlsplit(url)
    tail = url.partition("://")[2].partition(parts.netloc)[2]
    return [url, *filter(None, (parts.password, tail if len(tail) >= _SECRET_PATH else ""))]


def _fallback_urls(text: str) -> tuple[Entry, ...]:
    entries = read_entries(text)
    try:
        check([entry.url for entry in entries])
    except SecondChannelError as error:
        raise ValueError(str(error)) from None
    return entries


def _database_url(text: str) -> str:
    if text.startswith(("postgresql:", "postgres:")):
        raise ValueError(
            "sqlite:////absolute/file.db: this version stores in SQLite, PostgreSQL comes later"
        )
    path = text.removeprefix("sqlite:///")
    if path == text or not path.strip("/") or path.endswith("/") or "?" in path:
        raise ValueError(
            "sqlite:////absolute/file.db, or sqlite:///file.db within the working folder"
        )
    return text


def _duration(least: int, most: int) -> Callable[[str], int]:
    """A duration in ms, bounds included."""

    def read(text: str) -> int:
        expected = (
            f"a time from {duration_text(least)} to {duration_text(most)}, as in 30s or 1h30m"
        )
        try:
            value = parse_duration(text)
        except ConditionError as error:
            raise ValueError(f"{expected} ({error.message})") from None
        if not least <= value <= most:
            raise ValueError(expected)
        return value

    return read


def _count(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if re.fullmatch(r"\d{1,9}", text, re.ASCII) is None or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read


def _word(words: type[StrEnum]) -> Callable[[str], StrEnum]:
    def read(text: str) -> StrEnum:
        try:
            return words(text.lower())
        except ValueError:
            raise ValueError(f"one of {', '.join(words)}") from None

    return read


def _admins(text: str) -> tuple[int, ...]:
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not entries or any(not re.fullmatch(r"[1-9]\d{0,15}", entry, re.ASCII) for entry in entries):
        raise ValueError(
            "Telegram user ids, comma-separated, as in 123456789,987654321 (the bot's /id names "
            "yours; a user name or a group's id does not do)"
        )
    return tuple(dict.fromkeys(int(entry) for entry in entries))


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_port = re.fullmatch(r"\d{1,5}", port, re.ASCII) is not None and int(port) <= 65_535
    if not colon or not is_port or (bare == host and ":" in host) or re.search(r"[\s/]", host):
        raise ValueError("host:port, as in 127.0.0.1:8080, [::1]:8080 or :8080 for every interface")
    return Address(bare, int(port))


class Settings(BaseSettings):
    """What a start was told. Durations are ms. Each field is the variable of that name."""

    # A wrong value may be a secret: pydantic's own error texts must not repeat it.
    model_config = SettingsConfigDict(
        frozen=True, validate_default=False, hide_input_in_errors=True, extra="ignore"
    )

    telegram_token: Annotated[SecretStr | None, BeforeValidator(_token)] = None
    telegram_api_url: Annotated[str, BeforeValidator(_url("http", "https"))] = (
        "https://api.telegram.org"
    )
    binance_stream_url: Annotated[str, BeforeValidator(_url("ws", "wss"))] = (
        "wss://fstream.binance.com/market"
    )
    binance_rest_url: Annotated[str, BeforeValidator(_url("http", "https"))] = (
        "https://fapi.binance.com"
    )
    database_url: Annotated[str, BeforeValidator(_database_url)] = "sqlite:///fundingbot.db"
    rules_file: Path = Path("rules.yaml")
    admins: Annotated[tuple[int, ...], BeforeValidator(_admins)] = ()
    access: Annotated[Access, BeforeValidator(_word(Access))] = Access.PRIVATE
    http_addr: Annotated[Address, BeforeValidator(_address)] = Address("127.0.0.1", 8080)
    log_level: Annotated[LogLevel, BeforeValidator(_word(LogLevel))] = LogLevel.INFO
    log_format: Annotated[LogFormat, BeforeValidator(_word(LogFormat))] = LogFormat.TEXT
    stale: Annotated[int, BeforeValidator(_duration(SECOND, HOUR))] = 30 * SECOND
    # The venue closes a connection after 24 h; we are to be first.
    handover_after: Annotated[int, BeforeValidator(_duration(SECOND, 24 * HOUR - MINUTE))] = (
        23 * HOUR + 50 * MINUTE
    )
    # The venue documents 1024; clients in use cap at the older 200, which is always safe.
    streams_per_connection: Annotated[int, BeforeValidator(_count(1, 1_024))] = 200
    send_rate: Annotated[int, BeforeValidator(_count(1, 1_000))] = 25  # messages a second
    max_age: Annotated[int, BeforeValidator(_duration(SECOND, 24 * HOUR))] = HOUR
    # A row that is leased for longer may be sent by somebody else.
    lease_ttl: Annotated[int, BeforeValidator(_duration(10 * SECOND, HOUR))] = MINUTE
    record: Path | None = None  # `run` writes a recording of all that it decides on
    heartbeat_url: Annotated[SecretStr | None, BeforeValidator(_heartbeat_url)] = None
    # Where alerts and faults go as well when Telegram has been out of reach for so long.
    fallback_urls: Annotated[
        tuple[Entry, ...], BeforeValidator(_fallback_urls), Field(exclude=True)
    ] = ()
    fallback_after: Annotated[int, BeforeValidator(_duration(SECOND, 24 * HOUR))] = 5 * MINUTE

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` was given: nothing is read behind the caller's back."""
        return (init_settings,)

    @property
    def rules_file_is_named(self) -> bool:
        """RULES_FILE was set: then the file must be there; the default one may be absent."""
        return "rules_file" in self.model_fields_set

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that no log may show."""
        found = [] if self.telegram_token is None else [self.telegram_token.get_secret_value()]
        if self.heartbeat_url is not None:
            found += _parts_of_address(self.heartbeat_url.get_secret_value())
        for entry in self.fallback_urls:
            found += secrets_of(entry.url)
        return tuple(found)


NAMES = tuple(field.upper() for field in Settings.model_fields)


def load_settings(environ: Mapping[str, str], dotenv_path: Path) -> Settings:
    """The settings of an environment and, where it exists, a `.env` file.

    Raises:
        SettingsError: with every problem; none repeats a token or a password.
    """
    problems: list[str] = []
    values: dict[str, str] = {}
    for layer in (_read_dotenv(dotenv_path, problems), environ):  # the later one wins
        values |= _read_layer(layer, problems)
    settings = _validated(values, problems)
    if settings is None or problems:
        raise SettingsError(problems)
    return settings


def _validated(values: dict[str, str], problems: list[str]) -> Settings | None:
    try:
        return Settings.model_validate({name.lower(): value for name, value in values.items()})
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            name = str(each["loc"][0]).upper()
            expected = each.get("ctx", {}).get("error", each["msg"])
            problems.append(f"{name}: {_shown(name, values[name])}; expected {expected}")
        return None


def _read_dotenv(path: Path, problems: list[str]) -> Mapping[str, str | None]:
    try:
        source = DotEnvSettingsSource(
            Settings, env_file=path, env_file_encoding="utf-8", case_sensitive=True
        )
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read ({_cause(error)}); expected lines NAME=value")
        return {}
    return source.env_vars


def _read_layer(layer: Mapping[str, str | None], problems: list[str]) -> dict[str, str]:
    """The values that one source gives, directly or by naming a file."""
    values: dict[str, str] = {}
    for name in NAMES:
        direct, file = layer.get(name), layer.get(f"{name}_FILE")
        if _is_given(direct) and _is_given(file):
            problems.append(f"{name}: given twice, also as {name}_FILE; expected one of the two")
        elif direct is not None and _is_given(direct):
            values[name] = direct.strip()
        elif file is not None and _is_given(file):
            _read_secret(name, Path(file.strip()), values, problems)
    return values


def _read_secret(name: str, path: Path, values: dict[str, str], problems: list[str]) -> None:
    expected = f"expected a readable text file that holds {name}"
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{name}_FILE: {path} cannot be read ({_cause(error)}); {expected}")
        return
    if text:
        values[name] = text
    else:
        problems.append(f"{name}_FILE: {path} is empty; {expected}")


def _cause(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8 text"


def _shown(name: str, value: str) -> str:
    """What was given, as far as it may be repeated."""
    if name in _SECRET:
        return f"{len(value)} characters given (not shown)"
    hidden = _PASSWORD_WITHIN.sub("***@", _TOKEN_WITHIN.sub("***", value))
    short = hidden if len(hidden) <= _LONGEST_SHOWN else f"{hidden[:_LONGEST_SHOWN]}…"
    return f"{short!r} given"
