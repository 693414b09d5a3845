"""Faults of the venue outlive a crash: told once, told to be over once, with how long it was."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest

from bot import __version__
from bot.alerts.engine import Engine
from bot.app import venue_texts as texts
from bot.app.desk import Desk
from bot.app.faults import CATALOG_DOUBTED, FAULTS, FEED, KEPT, LAG, SOURCES, UNANSWERED, Faults
from bot.app.feed_watch import FeedWatch
from bot.app.live import Live
from bot.app.parts import Parts
from bot.app.reports import Reports
from bot.locale import translator
from bot.market.catalog import Catalog
from bot.market.feed import FeedStatus
from bot.market.reconnect import refusal
from bot.notify.port import UNREACHABLE
from bot.ops.metrics import build_metrics
from bot.store.port import StoreError
from bot.store.records import Commit, Committed
from bot.store.sql import SqlStore
from tests.alerts.build import START

ADMIN = 7


class Run:
    """One run on a database file; it ends without a word, as by a kill. Times are s since START."""

    def __init__(self, path: Path) -> None:
        self.seconds = 0.0
        self.path = path
        self.store = SqlStore(f"sqlite:///{path}")
        self.faults = Faults(Desk([ADMIN]).admin_readers)
        self.status = FeedStatus()

    async def begin(self, at: float) -> "Run":
        self.seconds = at
        await self.store.open()
        self.faults.restore((await self.store.load()).facts.get(FAULTS, ""))
        engine = Engine((), Catalog())
        desk = Desk([ADMIN])
        parts = Parts(engine, self.store, desk, self.faults, build_metrics(__version__))
        self.live = Live(
            parts,
            now=self.wall,
            wall=self.wall,
            wake=lambda: None,
            say_unrecorded=lambda row: None,
        )
        self.watch = FeedWatch(self.live, self.monotonic)
        return self

    async def end(self) -> None:
        await self.store.close()

    def wall(self) -> int:
        return START + int(self.seconds * 1000)

    @property
    def monotonic(self) -> float:
        """Of a machine that was not booted at START."""
        return self.seconds + 5.0

    def show(self, **changes: object) -> None:
        self.status = replace(self.status, **changes)  # type: ignore[arg-type]

    async def pass_time(self, seconds: int, rows: bool | Callable[[], bool] = False) -> None:
        for _ in range(seconds):
            self.seconds += 1
            if rows:
                self.show(last_row=self.monotonic, last_taken=self.monotonic)
            await self.watch.look(self.status, self.monotonic)

    def told(self) -> list[str]:
        with sqlite3.connect(self.path) as database:
            found = database.execute("select payload from outbox order by id").fetchall()
        return [msgspec.json.decode(payload)["text"] for (payload,) in found]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


async def test_a_silence_that_is_told_before_a_kill_is_over_once_after_it(path: Path) -> None:
    first = await Run(path).begin(0)
    await first.pass_time(30, rows=True)
    await first.pass_time(40)
    await first.end()
    second = await Run(path).begin(100)
    await second.pass_time(30)
    assert len(second.told()) == 1
    await second.pass_time(40, rows=True)
    await second.end()
    third = await Run(path).begin(200)
    await third.pass_time(40, rows=True)
    silent, back = third.told()
    await third.end()
    assert "The feed is silent" in silent
    assert "The feed is back after 1m 41s: a new connection brought it back" in back


async def test_a_refusal_that_goes_on_is_not_told_again_and_another_one_is(path: Path) -> None:
    first = await Run(path).begin(0)
    first.show(problem=refusal(451).words, next_connect=1000.0)
    await first.pass_time(40)
    await first.end()
    second = await Run(path).begin(60)
    second.show(problem=refusal(451).words, next_connect=1000.0)
    await second.pass_time(40)
    assert len(second.told()) == 1
    second.show(problem=refusal(403).words)
    await second.pass_time(10)
    assert len(second.told()) == 2
    await second.end()


async def test_late_rows_and_mute_streams_go_on_over_a_restart(path: Path) -> None:
    first = await Run(path).begin(0)
    first.show(lag=9.0, unanswered=("a@markPrice",))
    await first.pass_time(30, rows=True)
    await first.end()
    assert len(first.told()) == 2
    second = await Run(path).begin(60)
    second.show(lag=9.0)
    await second.pass_time(20, rows=True)
    second.show(unanswered=("a@markPrice",))
    await second.pass_time(60, rows=True)
    assert len(second.told()) == 2
    second.show(lag=0.1, unanswered=())
    await second.pass_time(30, rows=True)
    assert len(second.told()) == 4
    assert {text.partition(" It lasted")[0] for text in second.told()[2:]} == {
        "✅ Rows come in time again.",
        "✅ Every stream gives rows.",
    }
    await second.end()


async def test_streams_that_give_rows_after_a_restart_are_told_a_minute_later(path: Path) -> None:
    first = await Run(path).begin(0)
    first.show(unanswered=("a@markPrice",))
    await first.pass_time(5, rows=True)
    await first.end()
    second = await Run(path).begin(10)
    await second.pass_time(59, rows=True)
    assert len(second.told()) == 1
    await second.pass_time(20, rows=True)
    assert "Every stream gives rows. It lasted" in second.told()[1]
    await second.end()


@pytest.mark.parametrize(
    ("kind", "begin", "over"),
    [
        (SOURCES, partial(texts.sources_differ, (), 1, True), texts.sources_agree),
        (CATALOG_DOUBTED, partial(texts.catalog_doubted, ("x",)), texts.catalog_believed),
    ],
)
async def test_other_faults_are_neither_told_again_nor_forgotten(
    path: Path,
    kind: str,
    begin: Callable[[Callable[[str], str]], str],
    over: Callable[[Callable[[str], str]], str],
) -> None:
    first = await Run(path).begin(0)
    await first.live.fault(kind, begin)
    await first.end()
    second = await Run(path).begin(90)
    assert "before this start" in second.faults.present[kind](translator("en"))
    await second.live.fault(kind, begin)
    await second.live.fault_over(kind, over)
    await second.live.fault_over(kind, over)
    assert len(second.told()) == 2
    assert second.told()[1].endswith(" It lasted 1m 30s.")
    assert (await second.store.load()).facts[FAULTS] == "{}"
    await second.end()


async def test_telegram_out_of_reach_is_told_once_over_a_restart_and_its_end_too(
    tmp_path: Path,
) -> None:
    first = await Run(tmp_path / "bot.db").begin(0)
    reports = Reports(first.faults, first.wall)
    reports.begin(UNREACHABLE, "away")
    await first.live.note(reports.take())
    await first.end()
    second = await Run(tmp_path / "bot.db").begin(60)
    assert second.faults.is_active(UNREACHABLE)
    again = Reports(second.faults, second.wall)
    again.begin(UNREACHABLE, "still away")
    assert again.take() == []
    again.polling(UNREACHABLE, None)
    rows = again.take()
    assert ["It lasted 1m" in row.payload.decode() for row in rows] == [True]
    await second.live.note(rows)
    assert (await second.store.load()).facts[FAULTS] == "{}"
    await second.end()


async def test_a_fault_and_its_notice_are_one_commit(path: Path) -> None:
    run = await Run(path).begin(0)
    commits: list[Commit] = []
    original = run.store.commit

    async def watched(commit: Commit) -> Committed:
        commits.append(commit)
        if len(commits) == 1:
            raise StoreError("the disk is full")
        return await original(commit)

    run.store.commit = watched  # type: ignore[method-assign]
    await run.live.fault(LAG, partial(texts.rows_late, 9))
    await run.live.fault(LAG, partial(texts.rows_late, 10))
    for one in commits:
        assert FAULTS in one.facts
        assert len(one.outbox) == 1
    await run.end()


@pytest.mark.parametrize("kept", ["", "nonsense", "[]", '{"feed": "x"}', '{"unknown": 1}'])
def test_what_cannot_be_read_restores_nothing(kept: str) -> None:
    faults = Faults(Desk([ADMIN]).admin_readers)
    faults.restore(kept)
    assert not faults.present
    assert faults.kept() == "{}"


def test_what_is_no_fault_of_the_venue_is_not_kept() -> None:
    faults = Faults(Desk([ADMIN]).admin_readers)
    faults.begin("rules", texts.clock_right, START)
    assert faults.kept() == "{}"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", KEPT)
def test_every_fault_has_words_for_the_next_start(kind: str, language: str) -> None:
    faults = Faults(Desk([ADMIN]).admin_readers)
    faults.restore(msgspec.json.encode({kind: START}).decode())
    assert "2023-11-14" in faults.present[kind](translator(language))
    assert faults.since(kind) == START


def test_the_feed_is_kept_since_its_last_row() -> None:
    faults = Faults(Desk([ADMIN]).admin_readers)
    faults.begin(FEED, texts.clock_right, START, since=START - 15_000)
    faults.begin(UNANSWERED, texts.clock_right, START)
    faults.begin(UNANSWERED, texts.clock_right, START + 5_000, again=True)
    assert msgspec.json.decode(faults.kept()) == {FEED: START - 15_000, UNANSWERED: START}
