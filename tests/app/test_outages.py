"""The database fails under the whole program, or the clock is set: nothing lost, nothing twice."""

import asyncio
import itertools
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.app.desk import Desk
from bot.app.rules_source import RulesSource
from bot.app.run import Program, build
from bot.app.wiring import Wiring
from bot.market.stream import StreamSettings
from bot.notify.bot_api import BotApi
from bot.store.dialect import Sqlite
from bot.store.port import StoreError
from bot.store.records import Commit, Committed, OutboxKind, OutboxRow, OutboxStatus
from bot.store.sql import SqlStore
from tests.app.program import ADMIN, Place, a_place
from tests.app.test_health import page
from tests.store.faulty_files import OK, WRITE, FaultyFiles, library

HIGH, OTHER = "0.00200000", 8
FULL, READONLY = sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY
BACK = "Telegram can be reached again"
BROKEN, WHOLE, MARK = "cannot be written", "can be written again", "ossible repeat"
HOUR = 3_600_000_000_000  # ns

pytestmark = pytest.mark.timeout(120)
on_faulty_files = pytest.mark.skipif(
    library() is None, reason="the driver's SQLite cannot be reached through ctypes"
)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path) as made:
        made.write_rules(f'{{name: hot, symbols: "*USDT", when: "rate > 0.1%", to: [{ADMIN}]}}')
        made.telegram.add_chat(OTHER, "private", "Another admin")
        yield made


class BreakingStore(SqlStore):
    """A store whose disk fails from the moment that `moment` names."""

    def __init__(self, path: Path) -> None:
        self.files = FaultyFiles()
        super().__init__(Sqlite(str(path), self.files.connect))
        self.moment = ""
        self.code = OK
        self.failed = 0  # calls
        self._alert_waits = False

    def heal(self) -> None:
        self.moment, self.files.fault = "", lambda *_: OK

    def _at(self, moment: str) -> None:
        if moment == self.moment:
            self.files.fault = lambda call, suffix, _: self._code(call, suffix)

    def _code(self, call: str, suffix: str) -> int:
        return self.code if (call, suffix) == ("write", "-wal") else OK

    async def commit(self, commit: Commit) -> Committed:
        if commit.update_id is not None:
            self._at("command")
        is_alert = any(row.kind is OutboxKind.ALERT for row in commit.outbox)
        if is_alert:
            self._at("decision")
        done = await super().commit(commit)
        self._alert_waits |= is_alert
        return done

    async def lease(self, *arguments: Any) -> Sequence[OutboxRow]:
        if self._alert_waits:
            self._at("lease")
        return await super().lease(*arguments)

    async def settle(self, rows: Sequence[OutboxRow], *arguments: Any) -> int:
        if any(row.status is OutboxStatus.SENT for row in rows):
            self._at("settle")
        return await super().settle(rows, *arguments)

    async def _submit(self, work: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await super()._submit(work, *arguments)
        except StoreError:
            self.failed += 1
            raise


@asynccontextmanager
async def running(place: Place, store: SqlStore) -> AsyncIterator[Program]:
    """The program in this process, from its first row to its end."""
    api = BotApi(place.telegram.token, place.telegram.url)
    wiring = Wiring(
        store=store,
        channel=api,
        api=api,
        stream=StreamSettings(place.venue.stream_url),
        rest_root=place.venue.rest_url,
        source=RulesSource(place.rules, named=True),
        desk=Desk([ADMIN, OTHER]),
    )
    stop = asyncio.Event()
    try:
        async with build(wiring) as program:
            work = asyncio.create_task(program.run(stop))
            try:
                await until(lambda: "ETHUSDT" in program.engine.symbols)
                yield program
            finally:
                stop.set()
                await work
    finally:
        await api.close()


async def until(holds: Callable[[], object], within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - what is looked at belongs to many parts
            await asyncio.sleep(0.02)


def asked(folder: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(folder / "bot.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def statuses(folder: Path) -> list[str]:
    """Those that rows of the outbox have."""
    return [status for (status,) in asked(folder, "SELECT DISTINCT status FROM outbox")]


def texts(place: Place, words: str, chat_id: int = ADMIN) -> list[str]:
    return [message.text for message in place.telegram.to(chat_id) if words in message.text]


@on_faulty_files
@pytest.mark.parametrize(
    ("moment", "code", "words"),
    [
        ("decision", FULL, "its disk is full; free some space"),
        ("decision", READONLY, "let the user that runs this program write the file"),
        ("decision", WRITE, "its disk fails; look at the system's log"),
        ("lease", FULL, "its disk is full"),
        ("settle", FULL, "its disk is full"),
        ("command", FULL, "its disk is full"),
    ],
)
async def test_whenever_the_database_fails_all_is_told_once(
    place: Place, tmp_path: Path, moment: str, code: int, words: str
) -> None:
    store = BreakingStore(tmp_path / "bot.db")
    async with running(place, store):
        store.code, store.moment = code, moment
        if moment == "command":
            place.telegram.say(ADMIN, "/watch BTCUSDT rate>0.0005")
            await until(lambda: store.failed)
        place.venue.set_row("ETHUSDT", rate=HIGH)
        told = await place.heard(ADMIN, BROKEN)
        assert words in told.text
        if moment != "command":
            place.telegram.say(ADMIN, "/watch BTCUSDT rate>0.0005")
        failed = store.failed
        await until(lambda: store.failed > failed + 6)
        place.venue.set_row("XRPUSDT", rate=HIGH)
        await until(lambda: store.failed > failed + 9)
        assert len(place.alerts()) == (moment == "settle")
        assert len(place.telegram.to(ADMIN)) == 1 + (moment == "settle")

        store.heal()
        await place.heard(ADMIN, WHOLE)
        await place.heard(ADMIN, "XRPUSDT")
        await place.heard(ADMIN, "rate > 0.05%")
        place.telegram.say(ADMIN, "/list")
        await until(lambda: len(texts(place, "rate > 0.05%")) > 1)
    for symbol in ("ETHUSDT", "XRPUSDT"):
        assert len([text for text in texts(place, "Rule hot") if symbol in text]) == 1
    assert [len(texts(place, said)) for said in (BROKEN, WHOLE, MARK, "stored")] == [1, 1, 0, 0]
    assert [BROKEN in text for text in texts(place, "", OTHER)] == [True, False]
    assert asked(tmp_path, "SELECT count(*) FROM watches") == [(1,)]
    assert statuses(tmp_path) == ["sent"]


@on_faulty_files
@pytest.mark.parametrize(("moment", "copies"), [("settle", 2), ("lease", 1), ("decision", 1)])
async def test_a_program_that_ends_while_the_database_fails_loses_nothing(
    place: Place, tmp_path: Path, moment: str, copies: int
) -> None:
    """What had been sent and could not be recorded comes again, with the mark."""
    store = BreakingStore(tmp_path / "bot.db")
    async with running(place, store):
        store.code, store.moment = FULL, moment
        place.venue.set_row("ETHUSDT", rate=HIGH)
        await place.heard(ADMIN, BROKEN)
        ending = time.monotonic()
    assert time.monotonic() - ending < 5
    async with running(place, SqlStore(f"sqlite:///{tmp_path}/bot.db")):
        await until(lambda: len(place.alerts()) == copies)
        place.venue.set_row("XRPUSDT", rate=HIGH)
        await place.heard(ADMIN, "XRPUSDT")
    told = [text for text in texts(place, "Rule hot") if "ETHUSDT" in text]
    assert [MARK in text for text in told] == [number > 0 for number in range(copies)]


async def test_a_lock_of_another_program_holds_up_nothing_but_what_is_recorded(
    place: Place, tmp_path: Path
) -> None:
    async with place.start() as run:
        await run.said("Rows flow")
        with locked(tmp_path / "bot.db") as other:
            place.venue.set_row("ETHUSDT", rate=HIGH)
            place.telegram.say(ADMIN, "/watch BTCUSDT rate>0.0005")
            told = await place.heard(ADMIN, BROKEN)
            assert "is locked by another program; end that program" in told.text
            for _ in range(3):
                assert await page(run, "/healthz") == (200, "ok")
                assert (await page(run, "/readyz"))[0] == 503
                await asyncio.sleep(1)
            assert len(place.telegram.to(ADMIN)) == 1
            other.execute("ROLLBACK")
            await place.heard(ADMIN, "ETHUSDT")
            await place.heard(ADMIN, WHOLE)
            await until(lambda: statuses(tmp_path) == ["sent"])
            other.execute("BEGIN EXCLUSIVE")
            place.venue.set_row("XRPUSDT", rate=HIGH)
            await until(lambda: len(texts(place, BROKEN)) == 2)
            assert await run.stop() == 0
        assert "Traceback" not in run.output
    async with place.start():
        await place.heard(ADMIN, "XRPUSDT")
    assert len(place.alerts()) == 2
    assert texts(place, MARK) == []
    assert len(texts(place, "rate > 0.05%")) == 1


class locked:  # noqa: N801 - read as a word
    """A database whose lock another connection holds."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=5)

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN EXCLUSIVE")
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


async def test_telegram_out_of_reach_for_longer_than_alerts_live_is_one_line(
    place: Place, tmp_path: Path
) -> None:
    """In time, too late and told before: every decision is in a message or in the line's count."""
    symbols = [f"{name}USDT" for name in ("ETH", "XRP", "BNB", "SOL", "ADA", "DOGE")]
    async with place.start(MAX_AGE="5s", ADMINS=f"{ADMIN},{OTHER}") as run:
        await run.said("Rows flow")
        place.venue.set_row(symbols[0], rate=HIGH)
        await place.heard(ADMIN, symbols[0])
        await place.telegram.go_down()
        for symbol in symbols[1:]:
            place.venue.set_row(symbol, rate=HIGH)
            await asyncio.sleep(2)
        await place.telegram.come_back()
        await place.heard(ADMIN, BACK)
        await place.heard(OTHER, BACK)
        await place.heard(ADMIN, symbols[-1])
        await until(lambda: set(statuses(tmp_path)) <= {"sent", "dead"})
        assert await run.stop() == 0
    assert "Traceback" not in run.output
    (line,) = texts(place, "would have come too late")
    dead = asked(tmp_path, "SELECT symbol FROM outbox WHERE status = 'dead' ORDER BY id")
    count = re.search(r"(\d+) alerts? from", line)
    assert count is not None
    assert int(count[1]) == len(dead) >= 2
    assert all(f"{symbol} (hot)" in line.partition("Still on: ")[2] for (symbol,) in dead)
    told = [text for text in texts(place, "Rule") if "too late" not in text]
    for symbol in symbols:
        assert sum(symbol in text for text in told) == ((symbol,) not in dead)
    for admin in (ADMIN, OTHER):
        notices = [text for text in texts(place, "", admin) if text.startswith(("⚠️", "✅"))]
        assert [BACK in text for text in notices] == [False, True]
    assert texts(place, MARK) == []


async def test_a_start_on_a_locked_database_says_so_and_a_later_one_is_well(
    place: Place, tmp_path: Path
) -> None:
    async with place.start() as run:
        await run.said("Rows flow")
        assert await run.stop() == 0
    with locked(tmp_path / "bot.db"):
        async with place.start() as run:
            assert await run.ended(15) == 2
    assert "bot.db is locked by another program; end that program" in run.output
    assert "Traceback" not in run.output
    async with place.start() as run:
        await run.said("Rows flow")


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_set_moves_nothing_that_waits_also_over_a_restart(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    real = time.time_ns
    numbers = itertools.count()
    symbols = ("ETHUSDT", "XRPUSDT", "BNBUSDT", "SOLUSDT")

    async def fires() -> None:
        symbol = symbols[next(numbers)]
        place.venue.set_row(symbol, rate=HIGH)
        await place.heard(ADMIN, symbol, within=5)

    async with running(place, SqlStore(f"sqlite:///{tmp_path}/bot.db")):
        await fires()
        monkeypatch.setattr(time, "time_ns", lambda: real() + hours * HOUR)
        await fires()
    async with running(place, SqlStore(f"sqlite:///{tmp_path}/bot.db")):
        await fires()
        monkeypatch.setattr(time, "time_ns", real)
        await fires()
    dated = asked(tmp_path, "SELECT created_at FROM outbox ORDER BY id")
    assert dated == sorted(dated)
    assert statuses(tmp_path) == ["sent"]
    assert len(place.alerts()) == len(symbols)
    assert texts(place, "late") == texts(place, MARK) == []
