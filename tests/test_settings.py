import re
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from bot.notify.second_entries import Entry
from bot.settings import (
    NAMES,
    Access,
    Address,
    LogFormat,
    LogLevel,
    Settings,
    SettingsError,
    load_settings,
)

TOKEN = "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"
HEARTBEAT = "https://beat.example:8443/hunter2?id=bot&on=1"
FALLBACK = "discord://123456789012345678/AAEhBOweik6ad9r_QXMENQjcrGbq"
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000


def load(tmp_path: Path, dotenv: str = "", **environ: str) -> Settings:
    path = tmp_path / ".env"
    if dotenv:
        path.write_text(dotenv, encoding="utf-8")
    return load_settings(environ, path)


def problems_of(tmp_path: Path, dotenv: str = "", **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, dotenv, **environ)
    return caught.value.problems


def test_nothing_given_is_a_usable_start(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.telegram_token is None
    assert settings.telegram_api_url == "https://api.telegram.org"
    assert settings.binance_stream_url == "wss://fstream.binance.com/market"
    assert settings.binance_rest_url == "https://fapi.binance.com"
    assert settings.database_url == "sqlite:///fundingbot.db"
    assert settings.rules_file == Path("rules.yaml")
    assert not settings.rules_file_is_named
    assert settings.admins == ()
    assert settings.access is Access.PRIVATE
    assert settings.http_addr == Address("127.0.0.1", 8080)
    assert (settings.stale, settings.handover_after) == (30 * SECOND, 23 * HOUR + 50 * MINUTE)
    assert (settings.send_rate, settings.max_age) == (25, HOUR)
    assert (settings.record, settings.heartbeat_url) == (None, None)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("TELEGRAM_API_URL", "http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
        ("BINANCE_STREAM_URL", "ws://[::1]:9000/market", "ws://[::1]:9000/market"),
        ("BINANCE_REST_URL", "https://demo-fapi.binance.com", "https://demo-fapi.binance.com"),
        ("DATABASE_URL", "sqlite:////data/fundingbot.db", "sqlite:////data/fundingbot.db"),
        ("RULES_FILE", "desk.yaml", Path("desk.yaml")),
        ("ADMINS", "12, 34,12,", (12, 34)),
        ("ACCESS", "Open", Access.OPEN),
        ("HTTP_ADDR", "[::1]:8080", Address("::1", 8080)),
        ("HTTP_ADDR", ":0", Address("", 0)),
        ("HTTP_ADDR", "localhost:65535", Address("localhost", 65_535)),
        ("LOG_LEVEL", "DEBUG", LogLevel.DEBUG),
        ("LOG_FORMAT", "json", LogFormat.JSON),
        ("STALE", "1m30s", 90 * SECOND),
        ("HANDOVER_AFTER", "23h50m", 23 * HOUR + 50 * MINUTE),
        ("STREAMS_PER_CONNECTION", "1024", 1_024),
        ("SEND_RATE", "1000", 1_000),
        ("MAX_AGE", "1d", 24 * HOUR),
        ("LEASE_TTL", "30s", 30_000),
        ("RECORD", "/data/market.ndjson.zst", Path("/data/market.ndjson.zst")),
        ("HEARTBEAT_URL", HEARTBEAT, SecretStr(HEARTBEAT)),
        ("FALLBACK_AFTER", "2s", 2 * SECOND),
        ("FALLBACK_URLS", "json://127.0.0.1:9/x", (Entry("admins", "json://127.0.0.1:9/x"),)),
        (
            "FALLBACK_URLS",
            "admins=mailto://bot:hunter2@h.com?to=a@b.c,d@e,desk=json://host/a,-1=xml://h\n, json://b?x=y,",
            (
                Entry("admins", "mailto://bot:hunter2@h.com?to=a@b.c,d@e"),
                Entry("desk", "json://host/a"),
                Entry("-1", "xml://h"),
                Entry("admins", "json://b?x=y"),
            ),
        ),
    ],
)
def test_a_variable_is_read(tmp_path: Path, name: str, text: str, value: object) -> None:
    assert getattr(load(tmp_path, **{name: f" {text} "}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("TELEGRAM_TOKEN", "secret-without-digits", "digits, a colon"),
        ("TELEGRAM_API_URL", "api.telegram.org", "https://host"),
        ("TELEGRAM_API_URL", "https://host:port", "https://host"),
        ("TELEGRAM_API_URL", "https://host/?a=b", "https://host"),
        ("BINANCE_STREAM_URL", "https://fstream.binance.com", "wss://host"),
        ("BINANCE_REST_URL", "wss://fapi.binance.com", "https://host"),
        ("DATABASE_URL", "postgresql://localhost/bot", "this version stores in SQLite"),
        ("DATABASE_URL", "postgres://localhost/bot", "this version stores in SQLite"),
        ("DATABASE_URL", "mysql://localhost/bot", "sqlite:////absolute/file.db"),
        ("DATABASE_URL", "sqlite://", "sqlite:////absolute/file.db"),
        ("DATABASE_URL", "sqlite:////", "sqlite:////absolute/file.db"),
        ("DATABASE_URL", "sqlite:///data/", "sqlite:////absolute/file.db"),
        ("ADMINS", "@alice", "Telegram user ids"),
        ("ADMINS", "-1001234567890", "Telegram user ids"),
        ("ADMINS", ",", "Telegram user ids"),
        ("ACCESS", "public", "one of private, open"),
        ("HTTP_ADDR", "8080", "host:port"),
        ("HTTP_ADDR", "localhost:65536", "host:port"),
        ("HTTP_ADDR", "::1:8080", "host:port"),
        ("HTTP_ADDR", "http://localhost:80", "host:port"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error, critical"),
        ("LOG_FORMAT", "xml", "one of text, json"),
        ("STALE", "30", "from 1s to 1h"),
        ("STALE", "2h", "from 1s to 1h"),
        ("HANDOVER_AFTER", "24h", "to 23h59m"),
        ("STREAMS_PER_CONNECTION", "0", "from 1 to 1024"),
        ("SEND_RATE", "-1", "from 1 to 1000"),
        ("SEND_RATE", "²", "from 1 to 1000"),
        ("MAX_AGE", "soon", "from 1s to 1d"),
        ("HEARTBEAT_URL", "wss://host/beat", "https://host"),
        ("HEARTBEAT_URL", "https:///beat", "https://host"),
        ("HEARTBEAT_URL", "https://host:port/beat", "https://host"),
        ("HEARTBEAT_URL", "https://host/be at", "https://host"),
        ("HEARTBEAT_URL", "https://host/beat#one", "https://host"),
        ("FALLBACK_AFTER", "0s", "from 1s to 1d"),
        ("FALLBACK_AFTER", "2d", "from 1s to 1d"),
        ("FALLBACK_URLS", ",", "entries like admins=mailto://"),
        ("FALLBACK_URLS", "json://host hunter2", "which entry 2 is not"),
        ("FALLBACK_URLS", "desk = json://host", "which entry 1 is not"),
        ("FALLBACK_URLS", "json://host discord://x", "which it cannot read in entry 2"),
        ("FALLBACK_URLS", "nope://a json://host nope://b", "which it cannot read in entries 1, 3"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    tmp_path: Path, name: str, text: str, expected: str
) -> None:
    [problem] = problems_of(tmp_path, **{name: text})
    assert problem.startswith(f"{name}: ")
    assert expected in problem.partition("; expected ")[2]


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path,
        dotenv="ACCESS=nobody\nSEND_RATE=many\n",
        STALE="x",
        ADMINS="me",
        MAX_AGE_FILE=str(tmp_path / "absent"),
    )
    named = {problem.partition(":")[0] for problem in problems}
    assert named == {"ACCESS", "SEND_RATE", "STALE", "ADMINS", "MAX_AGE_FILE"}


def test_every_variable_can_be_wrong_in_the_same_start(tmp_path: Path) -> None:
    lenient = {"RULES_FILE", "RECORD"}  # any text names a file
    wrong = dict.fromkeys(NAMES, "?")
    assert {problem.partition(":")[0] for problem in problems_of(tmp_path, **wrong)} == (
        set(NAMES) - lenient
    )


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, dotenv="SEND_RATE=10\nMAX_AGE=2h\n", SEND_RATE="20")
    assert (settings.send_rate, settings.max_age) == (20, 2 * HOUR)


def test_an_empty_text_counts_as_unset(tmp_path: Path) -> None:
    settings = load(tmp_path, dotenv="SEND_RATE=10\n", SEND_RATE="", TELEGRAM_TOKEN=" ")
    assert (settings.send_rate, settings.telegram_token) == (10, None)


def test_the_process_environment_is_not_read_behind_the_callers_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEND_RATE", "7")
    assert load(tmp_path).send_rate == 25


@pytest.mark.parametrize("given", ["named", "default"])
def test_a_named_rules_file_is_told_from_the_default(tmp_path: Path, given: str) -> None:
    environ = {"RULES_FILE": "rules.yaml"} if given == "named" else {}
    assert load(tmp_path, **environ).rules_file_is_named == (given == "named")


@pytest.mark.parametrize("through", ["environment", "dotenv"])
def test_a_secret_is_read_from_a_file(tmp_path: Path, through: str) -> None:
    secret = tmp_path / "token"
    secret.write_text(f"{TOKEN}\n", encoding="utf-8")
    if through == "environment":
        settings = load(tmp_path, TELEGRAM_TOKEN_FILE=str(secret))
    else:
        settings = load(tmp_path, dotenv=f"TELEGRAM_TOKEN_FILE={secret}\n")
    assert settings.telegram_token is not None
    assert settings.telegram_token.get_secret_value() == TOKEN


def test_a_value_in_the_environment_wins_over_a_file_named_in_the_dotenv(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("sqlite:///from-file.db", encoding="utf-8")
    settings = load(
        tmp_path, dotenv=f"DATABASE_URL_FILE={secret}\n", DATABASE_URL="sqlite:///direct.db"
    )
    assert settings.database_url == "sqlite:///direct.db"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"", "is empty"), (b"\xff\xfe\x00", "not UTF-8"), ("folder", "dir")],
)
def test_a_secret_file_that_gives_nothing_is_named(
    tmp_path: Path, content: bytes | str | None, words: str
) -> None:
    path = tmp_path / "secret"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    [problem] = problems_of(tmp_path, TELEGRAM_TOKEN_FILE=str(path))
    assert problem.startswith(f"TELEGRAM_TOKEN_FILE: {path}")
    assert words in problem


def test_a_value_and_its_file_together_are_refused(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, TELEGRAM_TOKEN=TOKEN, TELEGRAM_TOKEN_FILE="token.txt")
    assert problem.startswith("TELEGRAM_TOKEN: given twice")
    assert TOKEN not in problem


def test_an_unreadable_dotenv_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"ACCESS=\xff\n")
    [problem] = problems_of(tmp_path)
    assert ".env: cannot be read (not UTF-8 text)" in problem


def test_a_dotenv_line_may_hold_quotes_comments_and_export(tmp_path: Path) -> None:
    settings = load(tmp_path, dotenv="# mine\nexport SEND_RATE='12'  # slow\nACCESS=\"open\"\n")
    assert (settings.send_rate, settings.access) == (12, Access.OPEN)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("TELEGRAM_TOKEN", "hunter2-is-no-token", "hunter2"),
        ("TELEGRAM_TOKEN", f"bot {TOKEN}", TOKEN.partition(":")[2]),
        ("DATABASE_URL", "postgresql://bot:hunter2@db/bot", "hunter2"),
        ("DATABASE_URL", "mysql://bot:hunter2@db:x/bot", "hunter2"),
        ("TELEGRAM_API_URL", f"ftp://api.telegram.org/bot{TOKEN}", TOKEN.partition(":")[2]),
        ("BINANCE_REST_URL", f"https://host/?t={TOKEN}", TOKEN.partition(":")[2]),
        ("ADMINS", TOKEN, TOKEN.partition(":")[2]),
        ("HEARTBEAT_URL", "beat.example/hunter2", "hunter2"),
        ("HEARTBEAT_URL", "https://beat.example/ping?key=hunter2#", "hunter2"),
        ("FALLBACK_URLS", "discord://hunter2", "hunter2"),
        ("FALLBACK_URLS", "json://host hunter2", "hunter2"),
        ("FALLBACK_URLS", "desk=hunter2://a", "hunter2"),
    ],
)
def test_a_problem_never_repeats_a_secret(
    tmp_path: Path, name: str, value: str, secret: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, **{name: value})
    assert secret not in str(caught.value)
    assert secret not in repr(caught.value)


@pytest.mark.parametrize(
    ("name", "secret"),
    [("TELEGRAM_TOKEN", TOKEN), ("HEARTBEAT_URL", HEARTBEAT), ("FALLBACK_URLS", FALLBACK)],
)
def test_a_secret_is_in_no_repr_and_listed_as_one(tmp_path: Path, name: str, secret: str) -> None:
    settings = load(tmp_path, **{name: secret})
    assert secret not in f"{settings!r} {settings} {settings.model_dump()}"
    assert settings.secrets[0] == secret


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://beat.example", ()),
        ("https://beat.example/b", ()),
        ("https://beat.example/0a1b2c3d", ("/0a1b2c3d",)),
        ("https://beat.example/?key=hunter2", ("/?key=hunter2",)),
        ("https://bot:hunter2@beat.example:8443/0a1b2c3d?x=1", ("hunter2", "/0a1b2c3d?x=1")),
    ],
)
def test_the_secret_parts_of_a_heartbeat_are_secrets_of_their_own(
    tmp_path: Path, url: str, secrets: tuple[str, ...]
) -> None:
    assert load(tmp_path, HEARTBEAT_URL=url).secrets == (url, *secrets)


def test_a_second_channel_without_its_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert load(tmp_path).fallback_urls == ()
    [problem] = problems_of(tmp_path, FALLBACK_URLS=FALLBACK)
    assert "pip install 'fundingbot[fallback]'" in problem
    assert capfd.readouterr() == ("", "")


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        load(tmp_path).send_rate = 3  # type: ignore[misc]


def test_the_example_names_every_variable_with_its_default(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / ".env.example").read_text(encoding="utf-8")
    given = re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE)
    assert sorted(name for name, _ in given) == sorted(NAMES)
    assert load_settings(dict(given), tmp_path / ".env") == load(tmp_path)
