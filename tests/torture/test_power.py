"""The power is cut at every write and sync of a run; the store that ships opens what is left."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.store.sql import SqlStore
from tests.store.test_schema import first_version
from tests.torture.power.disk import Disk, Image, Synced, SyncFailed, put
from tests.torture.power.driver import Recorder, connector
from tests.torture.power.judge import Judge, Verdict, cuts
from tests.torture.power.voyage import Voyage

Report = Callable[[str, object], None]

OFTEN = "PRAGMA wal_autocheckpoint = 60"  # the log is copied into the database again and again
FULL = "PRAGMA synchronous = FULL"


def assert_whole(verdict: Verdict) -> None:
    assert verdict.wrong == []
    assert (verdict.lost, verdict.corrupt, verdict.torn) == (0, 0, 0)


@pytest.mark.parametrize(
    ("alerts", "share", "least"),
    [
        (12, 0.08, 120),
        pytest.param(60, 1.0, 3_000, marks=[pytest.mark.torture, pytest.mark.timeout(3_600)]),
    ],
)
async def test_a_power_cut_loses_nothing_that_was_committed(
    tmp_path: Path, alerts: int, share: float, least: int, record_property: Report
) -> None:
    recorder = Recorder()
    operations = recorder.operations
    voyage = Voyage(tmp_path / "run" / "bot.db", connector(recorder, OFTEN), operations)
    await voyage.sail(1, alerts)
    verdict = await Judge(tmp_path / "cut", voyage, operations).judge(seed=alerts, share=share)
    syncs = sum(isinstance(operation, Synced) for operation in operations)
    record_property(
        "summary",
        f"{verdict.images} images after {len(operations) - syncs} writes and {syncs} syncs: "
        f"{verdict.lost} of {voyage.committed} committed alerts lost, {verdict.corrupt} corrupt",
    )
    assert voyage.committed == alerts
    assert verdict.images >= least
    assert_whole(verdict)


@pytest.mark.parametrize(
    ("every", "alerts", "share"),
    [
        (3, 8, 0.03),
        pytest.param(2, 60, 0.05, marks=[pytest.mark.torture, pytest.mark.timeout(3_600)]),
    ],
)
async def test_a_commit_that_is_repeated_after_its_sync_failed_is_as_safe(
    tmp_path: Path, every: int, alerts: int, share: float, record_property: Report
) -> None:
    """What a failed sync did not bring to the disk counts as clean and is never written again."""
    recorder = Recorder(lambda number: number % every == 0)
    operations = recorder.operations
    voyage = Voyage(tmp_path / "run" / "bot.db", connector(recorder, OFTEN), operations)
    await voyage.sail(1, alerts)
    verdict = await Judge(tmp_path / "cut", voyage, operations).judge(seed=every, share=share)
    failed = sum(isinstance(operation, SyncFailed) for operation in operations)
    record_property(
        "summary",
        f"{verdict.images} images of a run with {failed} failed syncs, which forget: "
        f"{verdict.lost} of {voyage.committed} committed alerts lost, {verdict.corrupt} corrupt",
    )
    assert len(voyage.refused) == failed > alerts
    assert_whole(verdict)


async def test_a_second_cut_while_the_first_is_made_good_loses_nothing_either(
    tmp_path: Path,
) -> None:
    first = Recorder()
    before = Voyage(tmp_path / "run" / "bot.db", connector(first, OFTEN), first.operations)
    await before.sail(1, 8)
    left = _some_images(before, first, 3)
    for number, image in enumerate(left):
        again = Recorder()
        promised = await _told(tmp_path / f"copy-{number}", image)
        voyage = Voyage(
            tmp_path / f"run-{number}" / "bot.db", connector(again, OFTEN), again.operations,
            image, promised,
        )  # fmt: skip
        await voyage.sail(101, 101)
        judge = Judge(tmp_path / f"cut-{number}", voyage, again.operations)
        assert_whole(await judge.judge(seed=number, share=0.03))


async def test_a_cut_while_an_older_database_is_brought_up_to_date_loses_nothing(
    tmp_path: Path,
) -> None:
    first_version(tmp_path / "bot.db")
    old = {"bot.db": (tmp_path / "bot.db").read_bytes()}
    promised = {key: key == "sent" for key in ("sent", "fired", "resolved", "strange", "reply")}
    recorder = Recorder()
    voyage = Voyage(
        tmp_path / "run" / "bot.db", connector(recorder, OFTEN), recorder.operations, old, promised
    )
    await voyage.sail(101, 101)
    judge = Judge(tmp_path / "cut", voyage, recorder.operations)
    assert_whole(await judge.judge(seed=3, share=0.15))


def _some_images(voyage: Voyage, recorder: Recorder, count: int) -> list[Image]:
    """Images that a cut in the middle of something leaves, spread over a voyage."""
    chance = random.Random(2)
    wanted = set(chance.sample(range(200, len(recorder.operations)), count))
    disk = Disk(chance, {})
    made = enumerate(cuts(disk, recorder.operations, voyage.moments))
    return [cut() for number, (cut, before, after) in made if number in wanted]


async def _told(folder: Path, image: Image) -> dict[str, bool]:
    """The keys of an image's rows, and whether they were sent."""
    put(folder, image)
    store = SqlStore(f"sqlite:///{folder}/bot.db")
    await store.open()
    rows = await store._run(
        lambda transaction: transaction.connection.exec_driver_sql(
            "SELECT key, status FROM outbox"
        ).all()
    )
    await store.close()
    return {key: status == "sent" for key, status in rows}


@pytest.mark.parametrize(
    ("instead", "corrupts"),
    [("PRAGMA synchronous = NORMAL", False), ("PRAGMA synchronous = OFF", True)],
)
async def test_the_judge_sees_what_fewer_syncs_lose(
    tmp_path: Path, instead: str, corrupts: bool
) -> None:
    recorder = Recorder()
    connect = connector(recorder, OFTEN, instead={FULL: instead})
    voyage = Voyage(tmp_path / "run" / "bot.db", connect, recorder.operations)
    await voyage.sail(1, 6)
    judge = Judge(tmp_path / "cut", voyage, recorder.operations)
    verdict = await judge.judge(seed=1, share=0.03)
    assert verdict.lost > 0
    assert (verdict.corrupt > 0) is corrupts
