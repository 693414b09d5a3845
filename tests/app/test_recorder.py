"""The journal that becomes a recording: what does not fit is said, and its faults stay its own."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from bot.alerts.engine import Engine
from bot.app.recorder import Recorder, Restored, recorder
from bot.market.binance import decode_frame
from bot.market.catalog import Catalog
from bot.market.inbox import Received
from bot.market.recording_file import RecordingFile, Rotation
from bot.market.recording_writer import RecordingWriter
from tests.alerts.build import START, rule
from tests.app.recorded_session import files, replayed
from tests.market.rows import row, wrapped

HOT = rule("rate > 0.1%", name="hot")
COLD = rule("rate < 0.05%", name="cold")
LIMIT = 20_000  # bytes that wait in memory


class Full(RecordingFile):
    """A disk that is full until it is not."""

    full = True

    def append(self, packed: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().append(packed)


class Around:
    """A recorder on such a disk, with little memory, beside an engine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = Full(path)
        self.engine = Engine((HOT,), Catalog())
        self.time = START
        self.told: list[str | None] = []
        self.recorder = Recorder(self.file, Rotation(), wall=lambda: self.time * 1000)
        self.recorder.told = self.told.append
        assert self.recorder.writer.close(10)
        self.file = Full(path)
        loop = asyncio.get_running_loop()

        def pass_on(problem: str | None) -> None:
            loop.call_soon_threadsafe(self.recorder.told, problem)

        self.recorder.writer = RecordingWriter(
            self.file,
            Rotation(),
            pass_on,
            most=LIMIT,
            every=0.01,
        )
        self.recorder.start(self.engine, Restored(), "key")

    def row(self, at: int, rate: str) -> None:
        self.time = START + at * 1000
        body = wrapped([row(s="BTCUSDT", E=self.time, r=rate)])
        frame = Received(self.time * 1000, body, decode_frame(body).ticks)
        self.recorder.rows(frame.ticks, [frame])
        self.engine.on_frame(frame.ticks)

    async def said(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.told) < count:  # noqa: ASYNC110 - the writer's thread fills it
                await asyncio.sleep(0.01)


async def test_what_no_longer_fits_is_counted_and_what_follows_is_right(tmp_path: Path) -> None:
    around = Around(tmp_path / "rec.jsonl")
    await around.said(1)
    for at in range(200):
        around.row(at, "0.0001")
    around.recorder.rules([COLD])  # dropped as well: a reader learns of it all the same
    around.engine.replace_rules([COLD])
    assert around.recorder.writer.waiting <= LIMIT
    around.file.full = False
    await around.said(2)
    around.row(300, "0.0001")
    around.recorder.rules([COLD, HOT])
    around.engine.replace_rules([COLD, HOT])
    around.row(301, "0.002")
    await around.recorder.close()
    assert around.told == ["No space left on device", None]
    events, summary, warnings = replayed(around.path)
    told = [(e["event"], e["rule"], (e["at"] - START) // 1000) for e in events]
    assert told == [("fired", "cold", 300), ("resolved", "cold", 301), ("fired", "hot", 301)]
    missing = summary.played.missing
    assert 0 < missing.frames < 200
    assert missing.decisions == missing.frames + 1
    assert len(warnings) == 1
    assert "missing" in warnings[0]


async def test_what_cannot_be_written_down_is_logged_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    around = Around(tmp_path / "rec.jsonl")
    around.file.full = False
    around.row(0, "0.0001")
    with caplog.at_level(logging.ERROR):
        around.recorder.advance("soon \ud800")  # type: ignore[arg-type]
        around.recorder.advance("sooner \ud800")  # type: ignore[arg-type]
    around.row(1, "0.002")
    await around.recorder.close()
    assert len(caplog.records) == 1
    events, summary, _ = replayed(around.path)
    assert [event["event"] for event in events] == ["fired"]
    assert (summary.played.missing.frames, summary.played.missing.decisions) == (0, 2)


async def test_what_still_waits_when_the_disk_refuses_to_the_end_is_logged_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    around = Around(tmp_path / "rec.jsonl")
    await around.said(1)
    around.row(0, "0.0001")
    with caplog.at_level(logging.WARNING):
        await around.recorder.close()
    assert around.recorder.missed == 3  # the head, the row, the end
    assert "The last 3 lines could not be written" in caplog.text


async def test_the_end_is_written_and_a_rotated_part_is_whole_alone(tmp_path: Path) -> None:
    path, now = tmp_path / "rec.jsonl", [START]
    for _ in range(2):
        made = Recorder(RecordingFile(path), Rotation(every=60_000), wall=lambda: now[0] * 1000)
        made.start(Engine((HOT,), Catalog()), Restored(), "key")
        for _ in range(4):
            now[0] += 20_000
            made.advance(now[0])
        await made.close()
        await made.close()
    parts = files(path)
    assert len(parts) == 3
    assert [part.read_text().splitlines()[-1].partition(" ")[2] for part in parts] == [
        '{"fundingbot":{"end":{"next":1}}}',
        '{"fundingbot":{"end":{"next":2}}}',
        '{"fundingbot":{"end":{}}}',
    ]
    assert replayed(*parts)[2] == []
    assert replayed(parts[0])[2] == []
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    (warning,) = replayed(*parts)[2]
    assert "the recording before this has no end" in warning


async def test_a_file_that_is_deleted_is_noticed_and_another_one_is_begun(tmp_path: Path) -> None:
    around = Around(tmp_path / "rec.jsonl")
    await around.said(1)
    around.file.full = False
    around.row(0, "0.0001")
    await around.said(2)
    around.path.unlink()
    async with asyncio.timeout(10):
        while not around.path.exists():
            around.time += 1_000
            around.recorder.advance(around.time)
            around.engine.advance(around.time)
            await asyncio.sleep(0.01)
    around.row(900, "0.002")
    await around.recorder.close()
    events, summary, warnings = replayed(around.path)
    assert [event["event"] for event in events] == ["fired"]
    assert summary.broken == 0
    assert "from its part 1" in warnings[0]


async def test_a_change_after_a_rotation_is_no_longer_than_it_was(tmp_path: Path) -> None:
    path, now = tmp_path / "rec.jsonl", START
    engine = Engine((HOT, COLD), Catalog())
    made = Recorder(RecordingFile(path), Rotation(every=60_000), wall=lambda: now * 1000)
    made.start(engine, Restored(), "key")
    now += 60_000
    made.advance(now)
    made.rules([HOT])
    await made.close()
    changes = [line for line in path.read_text().splitlines() if '"rules":' in line]
    assert changes[-1].endswith('{"rules":{"at":1,"drop":1}}}')


async def test_a_recorder_writes_what_waits_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl.zst"
    for _ in range(2):
        async with recorder(path, Rotation()) as made:
            made.start(Engine((HOT,), Catalog()), Restored(), "key")
            made.advance(START)
    _, summary, warnings = replayed(path)
    assert (summary.played.starts, summary.played.advances, warnings) == (2, 2, [])


async def test_a_recorder_without_rules_leaves_them_to_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl"
    async with recorder(path, Rotation(), with_rules=False) as made:
        made.start(Engine((HOT,), Catalog()), Restored(), "key")
        made.rules([HOT])
    body = await asyncio.to_thread(path.read_text)
    assert "rules" not in body
    assert '"begin"' in body


async def test_the_file_is_put_aside_when_its_time_has_come(tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl"
    now = START
    file = RecordingFile(path)
    made = Recorder(file, Rotation(every=60_000, keep=2), wall=lambda: now * 1000)
    made.start(Engine((HOT,), Catalog()), Restored(), "key")
    for _ in range(10):
        now += 20_000
        made.advance(now)
    await made.close()
    names = sorted(os.listdir(tmp_path))  # noqa: PTH208 - names are what matters
    assert len(names) == 3
    assert names[-1] == "rec.jsonl"
    again = RecordingFile(path)
    assert again.head is not None
    assert again.head.part == 3
    again.close()


async def test_an_existing_recording_goes_on_as_the_same_part(tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl.gz"
    heads: list[Any] = []
    for _ in range(2):
        file = RecordingFile(path)
        made = Recorder(file, Rotation())
        made.start(Engine((), Catalog()), Restored(), "key")
        heads.append(file.head)
        await made.close()
    assert heads[0] == heads[1]
