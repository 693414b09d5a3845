import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.ops.doctor import (
    Check,
    Subject,
    check_database,
    check_fallback,
    check_rules,
    check_telegram,
    check_versions,
    checks_of,
    report,
    run_checks,
)
from bot.ops.finding import Finding
from bot.simulator.server import Simulator, SimulatorSettings
from bot.store.sql import SqlStore
from tests.doubles.telegram import TelegramDouble

NOBODY = "127.0.0.1:1"  # a port at which nothing listens
TOKEN = "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"
RULES = b"version: 1\nrules:\n  - {name: hot, symbols: BTCUSDT, when: rate > 0.05%}\n"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(symbols=40, period=0.1)) as simulator:
        yield simulator


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_all_is_well_with_a_market_a_token_a_database_and_rules(
    tmp_path: Path, simulator: Simulator
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_bytes(RULES)
    async with TelegramDouble() as telegram:
        subject = Subject(
            token=telegram.token,
            telegram_api_url=telegram.url,
            stream_url=simulator.stream_url,
            rest_url=simulator.rest_url,
            database_url=f"sqlite:///{tmp_path}/fundingbot.db",
            rules_file=rules,
            rules_file_is_named=True,
        )
        checks = await run_checks(checks_of(subject))
        lines = report(checks).splitlines()
    assert [check.name for check in checks] == [
        "versions", "rules", "database", "telegram", "fallback", "rest", "stream",
    ]  # fmt: skip
    assert [check for check in checks if not check.ok] == []
    assert all(line.startswith("ok   ") for line in lines)
    assert not any(telegram.token in line for line in lines)
    assert telegram.token not in repr(subject)
    assert names_in(tmp_path) == ["rules.yaml"]


async def test_each_check_fails_alone_and_none_hides_another() -> None:
    async def fine() -> Finding:
        return Finding(ok=True, text="fine")

    async def slow() -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    async def broken() -> Finding:
        raise RuntimeError(f"https://host/bot{TOKEN}/getMe")

    checks = await run_checks({"a": fine, "b": slow, "c": broken, "d": fine}, longest=0.05)
    assert checks == [
        Check("a", ok=True, text="fine"),
        Check("b", ok=False, text="no answer within 0.05 s"),
        Check("c", ok=False, text="the check itself failed (RuntimeError)"),
        Check("d", ok=True, text="fine"),
    ]


def test_the_report_has_one_line_a_check_in_columns() -> None:
    checks = [
        Check("rest", ok=True, text="answers"),
        Check("database", ok=False, text="first\nsecond  line"),
    ]
    assert report(checks) == "ok   rest      answers\nFAIL database  first second line"
    assert report([]) == ""


async def test_the_versions_name_python_and_the_libraries() -> None:
    found = await check_versions()
    assert found.ok
    for name in ("Python 3.", "fundingbot ", "python-telegram-bot 22.", "websockets 17."):
        assert name in found.text


@pytest.mark.parametrize(
    ("content", "is_named", "ok", "words"),
    [
        (RULES, True, True, "1 rules"),
        (None, True, False, "is not there; create it, or unset RULES_FILE"),
        (None, False, True, "watches of the chats alone"),
        (b"version: 2\nrules: 3\n", False, False, "rules.yaml:1:10: "),
        (b"version: 2\nrules: 3\n", False, False, "(and 1 more)"),
        (b"", True, False, "the file is empty"),
    ],
)
async def test_the_rules_file(
    tmp_path: Path, content: bytes | None, is_named: bool, ok: bool, words: str
) -> None:
    path = tmp_path / "rules.yaml"
    if content is not None:
        path.write_bytes(content)
    found = await check_rules(path, is_named=is_named)
    assert (found.ok, words in found.text) == (ok, True), found.text


async def test_a_folder_as_rules_file_is_said(tmp_path: Path) -> None:
    found = await check_rules(tmp_path, is_named=True)
    assert not found.ok
    assert "cannot be read: Is a directory" in found.text


async def test_a_database_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    found = await check_database(f"sqlite:///{tmp_path}/new.db")
    assert found.ok
    assert "will be created" in found.text
    assert names_in(tmp_path) == []


async def test_a_database_at_rest_is_locked_for_writing_and_left_as_it_was(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bot.db"
    store = SqlStore(url)
    await store.open()
    await store.close()
    before = (tmp_path / "bot.db").read_bytes()
    found = await check_database(url)
    assert found.ok
    assert "can be written (SQLite 3." in found.text
    assert (tmp_path / "bot.db").read_bytes() == before
    await store.open()  # the doctor has let go of it
    await store.close()


async def test_a_database_in_use_is_well(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bot.db"
    store = SqlStore(url)
    await store.open()
    found = await check_database(url)
    await store.close()
    assert found == Finding(ok=True, text="in use by a running fundingbot, which writes to it")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("no folder", "cannot be created"),
        ("a folder", "is a folder"),
        ("another file", "is no SQLite database"),
    ],
)
async def test_a_database_that_cannot_be_used_is_said(
    tmp_path: Path, make: str, words: str
) -> None:
    path = tmp_path / "bot.db"
    if make == "no folder":
        path = tmp_path / "absent" / "bot.db"
    elif make == "a folder":
        path.mkdir()
    else:
        path.write_bytes(b"not a database at all, but long enough to be one " * 100)
    found = await check_database(f"sqlite:///{path}")
    assert not found.ok
    assert str(path) in found.text
    assert words in found.text


async def test_no_token_means_the_terminal() -> None:
    found = await check_telegram(None, "https://api.telegram.org")
    assert found.ok
    assert "printed to the terminal" in found.text


async def test_a_token_that_telegram_does_not_know_fails() -> None:
    async with TelegramDouble() as telegram:
        found = await check_telegram(TOKEN, telegram.url)
    assert not found.ok
    assert "token" in found.text.lower()
    assert TOKEN not in found.text


async def test_a_telegram_that_cannot_be_reached_fails() -> None:
    found = await check_telegram(TOKEN, f"http://{NOBODY}")
    assert not found.ok
    assert TOKEN not in found.text


@pytest.mark.parametrize(
    ("chats", "ok", "words"),
    [
        ((), True, "no FALLBACK_URLS"),
        (("admins", "admins", "-5"), True, "2 for the admins, 1 for chats; nothing was sent"),
        (("desk", "desk", "7"), True, "0 for the admins, 3 for chats"),
        (("desk", "typo"), False, "rules.yaml: typo; correct FALLBACK_URLS"),
    ],
)
async def test_the_second_channel_is_counted_and_its_names_are_looked_up(
    tmp_path: Path, chats: tuple[str, ...], ok: bool, words: str
) -> None:
    path = tmp_path / "rules.yaml"
    rules = "  - {name: a, symbols: BTCUSDT, when: rate > 1%}\n"
    text = f"version: 1\nchats:\n  desk: {{id: -5}}\nrules:\n{rules}"
    path.write_text(text, encoding="utf-8")
    found = await check_fallback(chats, path)
    assert (found.ok, words in found.text) == (ok, True)


async def test_a_rules_file_that_cannot_be_read_is_named_with_the_second_channel(
    tmp_path: Path,
) -> None:
    found = await check_fallback(("desk",), tmp_path / "missing.yaml")
    assert not found.ok
    assert "missing.yaml" in found.text
