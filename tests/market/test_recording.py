"""Control lines round trip; a recording's file survives cuts, full disks and rotation."""

import fcntl
import gzip
import io
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bot.market.binance import decode_frame
from bot.market.capture import read_capture
from bot.market.catalog import Catalog, Contract, Funding, catalog_text
from bot.market.inbox import Received
from bot.market.number import parse_number
from bot.market.recording import (
    MOST_TOGETHER,
    Control,
    ControlError,
    Head,
    Missing,
    catalog_line,
    control_line,
    frame_line,
    parse_control,
    read_body,
    read_catalog,
    rows_lines,
)
from bot.market.recording_file import RecordingFile, RecordingFileError, Rotation
from bot.market.recording_writer import RecordingWriter
from bot.market.tick import Tick
from tests.market.rows import frame, row, tick, wrapped

AT = 1_791_382_993_000_000
HEAD = Head("ab" * 8, 0, AT // 1000, program="1")
NAMES = ("rec.jsonl", "rec.jsonl.gz", "rec.jsonl.zst")
texts = st.text(st.characters(exclude_categories=["Cs"]))
times = st.integers(0, (1 << 53) - 1)
ticks = st.builds(
    Tick,
    symbol=texts.filter(bool),
    event_time=times.filter(bool),
    mark=texts,
    index=texts,
    settle=texts,
    rate=texts,
    next_funding_time=times,
    event=st.just("markPriceUpdate"),
    margin=st.just(1),
)


def control_of(line: bytes) -> Control:
    """The control line as a reader of the file sees it."""
    time, body = line.rstrip(b"\n").split(b" ", 1)
    assert int(time) == AT
    assert b"\n" not in body
    found = parse_control(body)
    assert found is not None
    return found


@given(
    st.one_of(
        st.tuples(st.sampled_from(["advance", "anew"]), times),
        st.tuples(st.sampled_from(["together", "held"]), st.integers(1, MOST_TOGETHER)),
        st.tuples(st.just("missing"), st.builds(Missing, times, times)),
        st.tuples(st.just("head"), st.builds(Head, texts, st.integers(0, 99), times)),
    )
)
def test_a_control_line_reads_back(line: tuple[str, Any]) -> None:
    kind, body = line
    control = control_of(control_line(AT, kind, body))
    assert control.kind == kind
    assert read_body(control) == body


@given(st.lists(ticks))
def test_rows_read_back(rows: list[Tick]) -> None:
    assert read_body(control_of(control_line(AT, "rows", rows))).ticks == tuple(rows)


NUMBERS = [None, *map(parse_number, ("0.02", "-0.003", "0", "7e-3", "1.5", "-0.00000001"))]
fundings = st.builds(
    Funding, texts, st.integers(0, 24), st.sampled_from(NUMBERS), st.sampled_from(NUMBERS)
)
contracts = st.builds(Contract, texts, texts, texts)


@given(st.lists(fundings), st.none() | st.lists(contracts))
def test_a_catalog_reads_back(funding: list[Funding], listed: list[Contract] | None) -> None:
    catalog = Catalog(
        None if listed is None else {one.symbol: one for one in listed},
        {one.symbol: one for one in funding},
    )
    again = read_catalog(control_of(catalog_line(AT, catalog)))
    assert catalog_text(again) == catalog_text(catalog)
    assert again.contracts == catalog.contracts


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"fundingbot":{"advance":5}}', "advance"),
        (b'{"fundingbot":{"colour":[1]}}', "colour"),
        (b'{"fundingbot":{}}', ""),
        (b'{"fundingbot":{"advance":5,"rows":[]}}', ""),
        (b'{"fundingbot":7}', ""),
        (b'{"fundingbot":{"advance":5},"e":"markPriceUpdate"}', None),
        (b'{"e":"markPriceUpdate","fundingbot":{"advance":5}}', None),
        (b'{"fundingbot":{"advance":5}', None),
        (b'{"fundingbots":{"advance":5}}', None),
    ],
)
def test_a_control_line_has_one_key_and_one_kind(body: bytes, kind: str | None) -> None:
    found = parse_control(body)
    assert (None if found is None else found.kind) == kind


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("advance", b"-1"),
        ("advance", b'"5"'),
        ("advance", b"9007199254740992"),
        ("together", b"0"),
        ("rows", b'[{"s":"A"'),
        ("rows", b"{}"),
        ("head", b"{}"),
        ("missing", b'{"frames":1}'),
    ],
)
def test_a_malformed_body_is_named(kind: str, body: bytes) -> None:
    with pytest.raises(ControlError, match=f'"{kind}" is malformed: .'):
        read_body(Control(kind, body))


def test_a_malformed_catalog_is_named() -> None:
    with pytest.raises(ControlError, match='"catalog" is malformed'):
        read_catalog(Control("catalog", b'{"exchangeInfo":5}'))


def test_a_reader_that_knows_no_control_line_counts_it_as_foreign() -> None:
    assert decode_frame(b'{"fundingbot":{"advance":5}}').skipped == {"foreign": 1}


def received(*symbols: str, at: int = 1) -> Received:
    body = wrapped([row(s=symbol, E=at) for symbol in symbols])
    return Received(AT, body, decode_frame(body).ticks)


def kinds(lines: list[bytes]) -> list[str]:
    """What each line is: the kind of a control line, or `frame`."""
    found = [parse_control(line.split(b" ", 1)[1].rstrip(b"\n")) for line in lines]
    return ["frame" if control is None else control.kind for control in found]


ONE, TWO, NEWER = received("A", "B"), received("C"), received("A", at=2)


@pytest.mark.parametrize(
    ("taken", "frames", "expected"),
    [
        (ONE.ticks, [ONE], ["frame"]),
        (ONE.ticks + TWO.ticks, [ONE, TWO], ["together", "frame", "frame"]),
        ((ONE.ticks[1], *NEWER.ticks), [ONE, NEWER], ["held", "frame", "frame", "rows"]),
        (ONE.ticks[:1], [ONE], ["held", "frame", "rows"]),
        ((tick("A", 1, rate="9"), ONE.ticks[1]), [ONE], ["held", "frame", "rows"]),
        (ONE.ticks, [], ["rows"]),
    ],
)
def test_frames_that_were_decided_on_as_they_stand_need_no_rows(
    taken: tuple[Tick, ...], frames: list[Received], expected: list[str]
) -> None:
    lines = rows_lines(AT, list(taken), frames)
    assert kinds(lines) == expected
    if expected[-1] == "rows":
        assert read_body(control_of(lines[-1])).ticks == taken


def test_a_frame_keeps_its_bytes_and_stays_on_one_line() -> None:
    body = b'{"stream":"x",\n "data":' + frame(row(s="币安人生USDT")) + b"\r\n}\n"
    line = frame_line(Received(AT, body, ()))
    assert line.count(b"\n") == 1
    assert line == b"%d " % AT + body.replace(b"\n", b" ") + b"\n"
    assert decode_frame(line.split(b" ", 1)[1]).ticks == decode_frame(body).ticks


# The file

HEAD_LINE = control_line(AT, "head", HEAD)


def lines_of(number: int, count: int = 3) -> list[bytes]:
    return [b'%d {"n":"%d.%d"}\n' % (AT, number, each) for each in range(count)]


def written(path: Path, writes: int) -> list[int]:
    """A recording of some writes; returns how long the file was after each."""
    file = RecordingFile(path)
    sizes = []
    for number in range(writes):
        file.append(file.pack([*([HEAD_LINE] if number == 0 else []), *lines_of(number)]))
        sizes.append(path.stat().st_size)
    file.close()
    return sizes


def text_of(path: Path) -> bytes:
    body = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(body)
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body)).read()
    return body


def whole(writes: int) -> bytes:
    return HEAD_LINE + b"".join(line for number in range(writes) for line in lines_of(number))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_gone_on_with_wherever_its_last_write_was_cut(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    sizes = written(path, 3)
    body = path.read_bytes()
    least = 18 if path.suffix == ".jsonl" else 0  # shorter, text may be anybody's
    for length in (0, *range(least, len(body) + 1)):
        path.write_bytes(body[:length])
        kept = sum(size <= length for size in sizes)
        file = RecordingFile(path)
        assert (file.head is None) == (file.size == 0)
        file.append(file.pack([*([HEAD_LINE] if file.head is None else []), *lines_of(9)]))
        file.close()
        text = text_of(path)
        if path.suffix == ".jsonl":  # whole lines stay, though their write was cut
            assert text.startswith(whole(kept) if kept else b"")
            assert len(text) >= length - 60
        else:
            assert text == (whole(kept) if kept else HEAD_LINE) + b"".join(lines_of(9))
        assert all(line.endswith(b"}") for line in text.splitlines())


@pytest.mark.parametrize("zeros", [1, 5_000, (2 << 20) + 7])
@pytest.mark.parametrize("name", NAMES)
def test_what_a_power_cut_leaves_may_end_in_zeros(tmp_path: Path, name: str, zeros: int) -> None:
    path = tmp_path / name
    sizes = written(path, 2)
    body = path.read_bytes()
    for kept in (0, 20, 40, sizes[0], sizes[0] + 15):
        path.write_bytes(body[:kept] + bytes(zeros))
        file = RecordingFile(path)
        whole = sizes[0] if kept >= sizes[0] else 0
        assert (file.head, file.size) == (HEAD if whole else None, whole)
        assert path.stat().st_size == whole
        file.close()


@pytest.mark.parametrize("name", NAMES)
def test_zeros_before_something_else_are_left_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    written(path, 1)
    body = path.read_bytes()[:10] + bytes(5_000) + b"mine"
    path.write_bytes(body)
    with pytest.raises(RecordingFileError, match="no recording of this program"):
        RecordingFile(path)
    assert path.read_bytes() == body


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "body",
    [
        b"somebody's text\n",
        b"somebody's text",
        frame(row()) + b"\n",
        gzip.compress(frame(row()) + b"\n"),
        zstandard.compress(frame(row()) + b"\n"),
        control_line(AT, "advance", 5),
    ],
)
def test_what_is_no_recording_is_left_alone(tmp_path: Path, name: str, body: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(body)
    with pytest.raises(RecordingFileError, match=f"{name}: is there and is no recording"):
        RecordingFile(path)
    assert path.read_bytes() == body


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_recording_that_somebody_appended_to_is_left_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    written(path, 2)
    for more in (b"junk", gzip.compress(b"line\n") + b"junk", zstandard.compress(b"line\n") * 2):
        body = path.read_bytes()
        path.write_bytes(body + more)
        with pytest.raises(RecordingFileError, match="something else at its end"):
            RecordingFile(path)
        assert path.read_bytes() == body + more
        path.write_bytes(body)


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "rec.gz"):
        with pytest.raises(RecordingFileError, match=f"{path}: cannot be recorded to: "):
            RecordingFile(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordingFileError, match="no regular file"):
        RecordingFile(tmp_path / "pipe")


def test_two_programs_do_not_record_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "rec.gz"
    first = RecordingFile(path)
    with pytest.raises(RecordingFileError, match="another program records to it"):
        RecordingFile(path)
    first.close()
    RecordingFile(path).close()


def test_a_file_that_is_put_aside_while_it_is_opened_is_not_recorded_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rec.jsonl"
    one = RecordingFile(path)
    one.append(HEAD_LINE)
    one.head = HEAD
    lock = fcntl.flock

    def late(file: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        one.rotate(HEAD)
        lock(file, how)

    one_file = one._file
    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(RecordingFileError, match="another program records to it"):
        RecordingFile(path)
    assert one._file != one_file
    one.close()


def test_another_file_in_the_place_of_a_recording_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl"
    file = RecordingFile(path)
    path.unlink()
    path.write_bytes(b"mine")
    with pytest.raises(RecordingFileError, match="another file is in the place"):
        file.rotate(HEAD)
    assert path.read_bytes() == b"mine"
    file.close()


@pytest.mark.parametrize("name", NAMES)
def test_other_readers_read_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    written(path, 3)
    assert text_of(path) == whole(3)
    assert len(list(read_capture([str(path)]))) == whole(3).count(b"\n")
    tool = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    if tool is not None and shutil.which(tool):
        for arguments in (["-dc"], ["-t"]):
            done = subprocess.run([tool, *arguments, str(path)], capture_output=True, check=True)
            assert done.stdout == (whole(3) if arguments == ["-dc"] else b"")


@pytest.mark.parametrize("name", ["market.jsonl.zst", "market", "my.market.jsonl"])
def test_rotation_never_overwrites_and_keeps_the_order(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    file = RecordingFile(path)
    file.head = Head("x", 0, 1_795_370_400_000)
    for part in range(5):
        file.append(file.pack([b"%d\n" % part]))
        file.rotate(Head("x", part + 1, 1_795_370_400_000))  # all of them in one second
    file.append(file.pack([b"5\n"]))
    bare, extension = ("my.market", ".jsonl") if "my" in name else name.partition(".")[::2]
    extension = extension if extension.startswith(".") or not extension else f".{extension}"
    aside = [f"{bare}.20261122T18000{second}Z{extension}" for second in range(5)]
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == sorted([name, *aside])
    in_order = [text_of(tmp_path / each) for each in [*aside, name]]
    assert in_order == [b"%d\n" % part for part in range(6)]
    stranger = tmp_path / f"{bare}.19990101T000000{extension}"
    stranger.write_bytes(b"")
    file.drop_old(2)
    left = {each.name for each in tmp_path.iterdir()}
    assert left == {name, *aside[3:], stranger.name}
    file.close()


def test_a_file_that_was_taken_away_is_not_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl"
    file = RecordingFile(path)
    file.head = HEAD
    path.rename(tmp_path / "theirs")
    file.rotate(HEAD)
    file.append(b"line\n")
    assert {each.name for each in tmp_path.iterdir()} == {"rec.jsonl", "theirs"}
    file.close()


# The writer


class Faulty(RecordingFile):
    """A disk that can be full: a write then leaves half of what it was given."""

    full = False

    def append(self, packed: bytes) -> None:
        if self.full:
            os.pwrite(self._file, packed[: len(packed) // 2], self.size)
            self._torn = True
            raise OSError(28, "No space left on device")
        super().append(packed)


class Bench:
    """A writer on a disk that can be full; `said` is what it told, in order."""

    def __init__(self, path: Path, most: int = 1 << 20, rotation: Rotation | None = None) -> None:
        self.path = path
        self.file = Faulty(path)
        self.said: list[str | None] = []
        self.told = threading.Condition()
        self.writer = RecordingWriter(
            self.file, rotation or Rotation(), self._tell, most=most, every=0.01
        )

    def _tell(self, problem: str | None) -> None:
        with self.told:
            self.said.append(problem)
            self.told.notify_all()

    def wait_for(self, count: int) -> None:
        with self.told:
            assert self.told.wait_for(lambda: len(self.said) >= count, 10)

    def text(self) -> bytes:
        assert self.writer.close(10)
        return text_of(self.path)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**options: Any) -> Bench:
        made.append(Bench(tmp_path / "rec.jsonl.gz", **options))
        return made[-1]

    yield make
    for each in made:
        assert each.writer.close(10)


def test_lines_arrive_whole_and_in_order(bench: Callable[..., Bench]) -> None:
    one = bench()
    wanted = []
    for number in range(300):
        if number % 7 == 0:
            one.writer.make(iter(lines_of(number)))
        else:
            assert one.writer.put(lines_of(number))
        wanted += lines_of(number)
    assert one.text() == b"".join(wanted)
    assert one.said == []


def test_a_full_disk_is_told_once_and_nothing_is_lost(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.writer.put(lines_of(0))
    one.file.full = True
    one.writer.put(lines_of(1))
    one.wait_for(1)
    assert one.writer.problem == "No space left on device"
    for number in range(2, 5):
        one.writer.put(lines_of(number))
    one.file.full = False
    one.wait_for(2)
    assert one.said == ["No space left on device", None]
    assert one.text() == b"".join(line for number in range(5) for line in lines_of(number))


def test_memory_is_bounded_and_a_decision_is_taken_whole_or_not(
    bench: Callable[..., Bench],
) -> None:
    one = bench(most=1000)
    one.file.full = True
    taken = [number for number in range(200) if one.writer.put(lines_of(number))]
    assert one.writer.waiting <= 1000
    assert not one.writer.has_room
    assert taken == list(range(len(taken)))
    one.wait_for(1)
    one.file.full = False
    one.wait_for(2)
    assert one.text() == b"".join(line for number in taken for line in lines_of(number))


def test_a_file_that_cannot_be_put_aside_is_gone_on_with(
    bench: Callable[..., Bench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bench()

    def refused(path: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    one.file.head = HEAD
    one.writer.put(lines_of(0))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refused)
        one.writer.make(iter(lines_of(1)), HEAD)
        one.writer.put(lines_of(2))
        assert one.text() == b"".join(line for number in range(3) for line in lines_of(number))
    assert [each.name for each in tmp_path.iterdir()] == ["rec.jsonl.gz"]


def is_full(bench: Bench) -> bool:
    return bench.writer.is_full


def test_rotation_by_size_counts_what_is_on_the_disk(bench: Callable[..., Bench]) -> None:
    one = bench(rotation=Rotation(size=300, keep=1))
    for number in range(5):
        one.file.head = HEAD
        one.writer.put([os.urandom(400).hex().encode() + b"\n"])
        pause = threading.Event()
        while not is_full(one):
            assert not pause.wait(0.01)
        one.writer.make(iter([b"%d\n" % number]), HEAD)
        assert not is_full(one)
    assert one.text() == b"4\n"
    assert one.writer.files == 6
    assert len(list(one.path.parent.iterdir())) == 2
