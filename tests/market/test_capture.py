"""Captures are read line by line: whole, broken, compressed, cut, endless."""

import gzip
import io
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from bot.market import capture
from bot.market.capture import CaptureError, CaptureLine, read_capture
from tests.market.rows import frame, recorded, row, wrapped

GOOD = frame(row())


def read(path: Path) -> list[CaptureLine]:
    return list(read_capture([str(path)]))


@pytest.mark.parametrize(
    "line",
    [
        GOOD,
        b"1680652701048293 " + GOOD,
        b"1680652701048293\t" + GOOD + b"\r",
        b"  " + wrapped(row(), "btcusdt@markPrice@1s") + b"  ",
        frame([row()]),
        b"1 " + wrapped([row()]),
    ],
)
def test_a_line_is_a_frame_with_or_without_its_receive_time(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(line + b"\n" + line)
    first, second = read(path)
    assert first.frame is not None
    assert [one.symbol for one in first.frame.ticks] == ["BTCUSDT"]
    assert (first.path, first.number, first.problem) == (str(path), 1, "")
    assert (second.number, second.frame) == (2, first.frame)


def test_blank_lines_count_but_are_not_given(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(b"\n  \r\n" + GOOD + b"\n\n" + GOOD)
    assert [line.number for line in read(path)] == [3, 5]


@pytest.mark.parametrize(
    "bad",
    [
        b"not json",
        b"1680652701048293 not json",
        GOOD[:-3],
        GOOD + b" 5",
        b'{"e":"markPriceUpdate","E":5,"s":"\xff"}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_a_broken_line_is_reported_with_its_number_and_passed_over(
    tmp_path: Path, bad: bytes
) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(GOOD + b"\n" + bad + b"\n" + GOOD + b"\n")
    first, broken, last = read(path)
    assert first.frame == last.frame
    assert broken.frame is None
    assert broken.number == 2
    assert broken.problem


@pytest.mark.parametrize("line", [b"17", b"1680652701048293 ", b'"text"', b"null", b"{}"])
def test_a_line_without_an_update_is_a_frame_that_counts_as_skipped(
    tmp_path: Path, line: bytes
) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(line + b"\n")
    (only,) = read(path)
    assert only.frame is not None
    assert only.frame.ticks == ()
    assert only.frame.skipped == {"foreign": 1}


def test_a_line_beyond_all_measure_is_broken_and_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "MAX_LINE", 1 << 20)
    path = tmp_path / "c.txt.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(GOOD + b"\n")
        for _ in range(100):
            file.write(b"[" * (1 << 20))
        file.write(b"\n" + GOOD + b"\n" + b"x" * (2 << 20))
    tracemalloc.start()
    first, long, last, endless = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first.frame == last.frame
    assert (long.number, long.problem) == (2, "longer than 1 MiB")
    assert (endless.number, endless.frame) == (4, None)
    assert peak < 8 << 20


def for_each(path: Path, deed: Callable[[int], None]) -> None:
    for line in read_capture([str(path)]):
        deed(line.number)


def packed(path: Path, body: bytes) -> None:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(body))
    elif path.suffix == ".zst":
        path.write_bytes(zstandard.ZstdCompressor().compress(body))
    else:
        path.write_bytes(body)


@pytest.mark.parametrize("name", ["c.txt", "c.txt.gz", "c.jsonl.zst", "noextension"])
def test_compression_goes_by_extension(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    packed(path, (GOOD + b"\n") * 5000)
    assert [line.number for line in read(path)] == list(range(1, 5001))


@pytest.mark.parametrize("name", ["c.gz", "c.zst"])
def test_several_compressed_parts_in_one_file_are_one_capture(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    packed(path, GOOD + b"\n" + GOOD[:50])
    part = path.read_bytes()
    packed(path, GOOD[50:] + b"\n")
    path.write_bytes(part + path.read_bytes())
    assert [line.problem for line in read(path)] == ["", ""]


@pytest.mark.parametrize("name", ["c.txt", "c.gz", "c.zst"])
def test_an_empty_file_is_an_empty_capture(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    assert read(path) == []


@pytest.mark.parametrize("name", ["c.gz", "c.zst"])
def test_a_cut_file_gives_its_lines_and_then_says_so(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    lines = b"\n".join(frame(row(E=i, s=f"S{i * 7919 % 10_007}")) for i in range(1, 20_000))
    packed(path, lines)
    path.write_bytes(path.read_bytes()[:-2000])
    seen: list[int] = []
    with pytest.raises(CaptureError, match=str(path)):
        for_each(path, seen.append)
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) > 1000


@pytest.mark.parametrize("name", ["c.gz", "c.zst"])
@pytest.mark.parametrize("body", [b"no such compression at all", GOOD + b"\n"])
def test_a_file_that_is_not_compressed_so_is_named(tmp_path: Path, name: str, body: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(body)
    with pytest.raises(CaptureError, match=rf"{path}: cannot be read as a capture: \w"):
        read(path)


@pytest.mark.parametrize("name", ["absent.txt", "absent.gz", "absent.zst", "."])
def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CaptureError, match=r"cannot be read as a capture: [NI]"):
        read(tmp_path / name)


def test_several_captures_are_one_stream_in_the_given_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.gz"
    packed(one, frame(row(s="ONE")) + b"\n")
    packed(two, frame(row(s="TWO")) + b"\n")
    typed = io.TextIOWrapper(io.BytesIO(frame(row(s="TYPED"))))
    monkeypatch.setattr(sys, "stdin", typed)
    lines = list(read_capture([str(two), "-", str(one)]))
    assert [line.path for line in lines] == [str(two), "-", str(one)]
    symbols = [line.frame.ticks[0].symbol for line in lines if line.frame is not None]
    assert symbols == ["TWO", "TYPED", "ONE"]
    assert not typed.closed


def test_reading_is_lazy(tmp_path: Path) -> None:
    path = tmp_path / "one.txt"
    packed(path, GOOD + b"\n")
    lines = read_capture([str(path), str(tmp_path / "absent")])
    assert next(lines).number == 1
    with pytest.raises(CaptureError):
        next(lines)


def test_the_recorded_session_has_514_updates() -> None:
    path = recorded("btcusdt-markprice-1s-2023-04-05.txt")
    frames = [line.frame for line in read(path)]
    assert sum(len(one.ticks) for one in frames if one is not None) == 514
