"""The doctor: one look at each thing that the bot needs, and one line about it.

A check uses the same parts that the bot uses, so that what it sees is what the bot would see. It
changes nothing: no message, no table, no file that stays.
"""

import asyncio
import platform
import re
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bot.notify.bot_api import BotApi, BotApiError
from bot.notify.second_entries import ADMINS
from bot.ops.doctor_venue import ROW_WITHIN, check_rest, check_stream
from bot.ops.finding import Finding
from bot.rules.rules_file import RulesFileError, read_rules_file
from bot.store.dialect import Database, database
from bot.store.port import StoreBusyError, StoreError

_LONGEST_CHECK = 30.0  # s
_LIBRARIES = (
    "python-telegram-bot", "websockets", "apscheduler", "sqlalchemy", "alembic", "httpx",
    "msgspec", "lark", "pyyaml",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """What came of a check: its name, whether all is well, and a line for people."""

    name: str
    ok: bool
    text: str


CheckFunction = Callable[[], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined: the settings that the checks need, as values."""

    token: str | None = field(repr=False)
    telegram_api_url: str
    stream_url: str
    rest_url: str
    database_url: str
    rules_file: Path
    rules_file_is_named: bool
    fallback_chats: tuple[str, ...] = ()  # of each entry of FALLBACK_URLS


def checks_of(subject: Subject, *, row_within: float = ROW_WITHIN) -> dict[str, CheckFunction]:
    """Every check by name, in the order of the report; `row_within` is seconds."""
    return {
        "versions": check_versions,
        "rules": partial(check_rules, subject.rules_file, is_named=subject.rules_file_is_named),
        "database": partial(check_database, subject.database_url),
        "telegram": partial(check_telegram, subject.token, subject.telegram_api_url),
        "fallback": partial(check_fallback, subject.fallback_chats, subject.rules_file),
        "rest": partial(check_rest, subject.rest_url),
        "stream": partial(
            check_stream, subject.stream_url, subject.rest_url, row_within=row_within
        ),
    }


async def run_checks(
    checks: Mapping[str, CheckFunction], *, longest: float = _LONGEST_CHECK
) -> list[Check]:
    """Runs all checks at once; none keeps another one from its answer."""
    findings = await asyncio.gather(*(_run(check, longest) for check in checks.values()))
    return [
        Check(name, finding.ok, finding.text)
        for name, finding in zip(checks, findings, strict=True)
    ]


async def _run(check: CheckFunction, longest: float) -> Finding:
    try:
        async with asyncio.timeout(longest):
            return await check()
    except TimeoutError:
        return Finding(ok=False, text=f"no answer within {longest:g} s")
    except Exception as error:  # noqa: BLE001 - a fault of one check must not hide the others
        # Its type alone: the text of an unexpected error may hold a token.
        return Finding(ok=False, text=f"the check itself failed ({type(error).__name__})")


def report(checks: list[Check]) -> str:
    """One line a check, the names in a column."""
    width = max((len(check.name) for check in checks), default=0)
    return "\n".join(
        f"{'ok  ' if check.ok else 'FAIL'} {check.name:<{width}}  {' '.join(check.text.split())}"
        for check in checks
    )


async def check_versions() -> Finding:
    """What is installed; a library that is not there is a broken installation."""
    found, missing = [f"Python {platform.python_version()}"], []
    for library in ("fundingbot", *_LIBRARIES):
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            missing.append(library)
    if missing:
        return Finding(ok=False, text=f"not installed: {', '.join(missing)}; install it anew")
    return Finding(ok=True, text=", ".join(found))


async def check_rules(path: Path, *, is_named: bool) -> Finding:
    try:
        content = await asyncio.to_thread(path.read_bytes)
        rules_file = read_rules_file(content)
    except FileNotFoundError:
        if is_named:
            return Finding(ok=False, text=f"{path} is not there; create it, or unset RULES_FILE")
        return Finding(ok=True, text=f"no {path}: watches of the chats alone")
    except OSError as error:
        return Finding(ok=False, text=f"{path} cannot be read: {error.strerror or error}")
    except RulesFileError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        text = f"{path}:{error.problems[0]}{more}; fundingbot check {path} lists all"
        return Finding(ok=False, text=text)
    return Finding(ok=True, text=f"{path}: {len(rules_file.rules)} rules")


async def check_database(url: str) -> Finding:
    """Whether the file can be locked for writing; where none is, whether one can be made."""
    return await asyncio.to_thread(_check_database, url)


def _check_database(url: str) -> Finding:
    try:
        found = database(url)
        path = Path(found.name)
        if not path.exists():
            return _check_folder(path)
        return Finding(ok=True, text=f"{path} can be written ({_sqlite_version(found)})")
    except StoreBusyError:
        return Finding(ok=True, text="in use by a running fundingbot, which writes to it")
    except StoreError as error:
        return Finding(ok=False, text=str(error))


def _check_folder(path: Path) -> Finding:
    # Not by making the database: it would belong to whoever runs the doctor, not the bot.
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return Finding(ok=True, text=f"{path} will be created at the first start")
    except OSError as error:
        text = f"{path} cannot be created ({error.strerror}); make its folder, or set DATABASE_URL"
        return Finding(ok=False, text=text)


def _sqlite_version(found: Database) -> str:
    """Opens a transaction, which locks for writing, and takes it back.

    Raises:
        StoreError: it cannot be written.
    """
    found.acquire()
    try:
        engine = found.engine()
        try:
            with engine.connect() as connection:
                answer = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
                connection.rollback()
                return f"SQLite {answer}"
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - the driver's kinds are known to the store alone
            raise StoreError(found.words(error)) from None
        finally:
            engine.dispose()
    finally:
        found.release()


async def check_telegram(token: str | None, api_url: str) -> Finding:
    """Whether the token is known to the server."""
    if token is None:
        return Finding(ok=True, text="no TELEGRAM_TOKEN: alerts are printed to the terminal")
    api = BotApi(token, api_url)
    try:
        me = await api.get_me()
    except BotApiError as error:
        return Finding(ok=False, text=str(error))
    finally:
        await api.close()
    return Finding(ok=True, text=f"the token is that of @{me.get('username', me.get('id'))}")


async def check_fallback(chats: Sequence[str], rules: Path) -> Finding:
    """For whom there is a second channel; its addresses were read with the settings."""
    if not chats:
        return Finding(ok=True, text="no FALLBACK_URLS: no second channel beside Telegram")
    others = [chat for chat in chats if chat != ADMINS]
    named = [chat for chat in others if not re.fullmatch(r"-?\d+", chat)]
    try:
        known = read_rules_file(await asyncio.to_thread(rules.read_bytes)).chats if named else {}
    except (OSError, RulesFileError):
        return Finding(ok=False, text=f"the chats that it names cannot be looked up in {rules}")
    if unknown := [chat for chat in named if chat not in known]:
        text = f"not under chats: in {rules}: {', '.join(unknown)}; correct FALLBACK_URLS"
        return Finding(ok=False, text=text)
    counts = f"{len(chats) - len(others)} for the admins, {len(others)} for chats"
    return Finding(ok=True, text=f"second channel: {counts}; nothing was sent there")
