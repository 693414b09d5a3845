"""Captures: recorded streams as text, one frame a line, read in constant memory.

A line is a frame's JSON, optionally after `<local receive time in µs> `. A file may be compressed
(`.gz`, `.zst`); `-` is standard input. Control lines of a recording (recording.py) are frames
without a tick to whoever does not look at `control`.
"""

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from bot.market.binance import BrokenFrameError, Frame, decode_frame
from bot.market.recording import MAX_LINE, Control, parse_control

STANDARD_INPUT = "-"
_ZSTD_CHUNK = 1024  # bytes of input at a time: even a bomb then unpacks to some 30 MB


class CaptureError(Exception):
    """A capture cannot be read on: it is missing, unreadable, or its compression is broken."""


@dataclass(frozen=True, slots=True)
class CaptureLine:
    """One line of a capture that is not blank: its frame, or why it is broken."""

    path: str
    number: int  # from 1
    frame: Frame | None
    problem: str = ""
    control: Control | None = None


def read_capture(paths: Iterable[str]) -> Iterator[CaptureLine]:
    """The lines of several captures as one stream in the given order.

    Raises:
        CaptureError: a file cannot be opened or read on; the lines before that have been given.
    """
    for path in paths:
        try:
            with _open(path) as file:
                yield from _lines(path, file)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise CaptureError(f"{path}: cannot be read as a capture: {reason}") from error


def _open(path: str) -> AbstractContextManager[BinaryIO]:
    if path == STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    if path.endswith(".gz"):
        return gzip.open(path)  # type: ignore[return-value]  # reads as a BinaryIO does
    if path.endswith(".zst"):
        return io.BufferedReader(_Zstandard(path))
    return Path(path).open("rb")


def _lines(path: str, file: BinaryIO) -> Iterator[CaptureLine]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE)
            yield CaptureLine(path, number, None, f"longer than {MAX_LINE >> 20} MiB")
        elif body := (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip():
            yield _line(path, number, body)


def _line(path: str, number: int, body: bytes) -> CaptureLine:
    if body[:1].isdigit():
        time, *rest = body.split(None, 1)
        if time.isdigit() and rest:
            body = rest[0]
    try:
        return CaptureLine(path, number, decode_frame(body), "", parse_control(body))
    except BrokenFrameError as error:
        return CaptureLine(path, number, None, str(error))


class _Zstandard(io.RawIOBase):
    """Unpacks zstd frames one after the other; unlike the library's reader it notices a cut."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("rb")  # noqa: SIM115 - closed with the reader
        self._unpacker: zstandard.ZstdDecompressionObj | None = None
        self._given = memoryview(b"")

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what it is given
        while not self._given:
            if not (chunk := self._file.read(_ZSTD_CHUNK)):
                if self._unpacker is not None:
                    raise EOFError("the compressed file ends in the middle")
                return 0
            self._given = memoryview(self._unpack(chunk))
        size = min(len(buffer), len(self._given))
        buffer[:size] = self._given[:size]
        self._given = self._given[size:]
        return size

    def _unpack(self, chunk: bytes) -> bytes:
        parts = []
        while chunk:
            if self._unpacker is None:
                self._unpacker = zstandard.ZstdDecompressor().decompressobj()
            parts.append(self._unpacker.decompress(chunk))
            chunk = b""
            if self._unpacker.eof:
                chunk = self._unpacker.unused_data
                self._unpacker = None
        return b"".join(parts)
