"""The file of a recording: opened, mended, appended to, rotated. Compression is by extension.

Every write is a complete part of its own (a gzip member, a zstd frame, whole lines) with an end
mark behind it that every reader skips: an empty gzip member, a zstd skippable frame. A file that
was left in the middle of a write is cut after its last mark; nothing else is ever cut.
"""

import fcntl
import gzip
import os
import re
import stat
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import zstandard

from bot.market.recording import Control, ControlError, Head, parse_control, read_body

_COMMENT = b"fundingbot: all before this is whole"
# RFC 1952: no data, flag FCOMMENT. RFC 8878, 3.1.2: a skippable frame.
GZIP_MARK = b"\x1f\x8b\x08\x10\0\0\0\0\0\xff" + _COMMENT + b"\0\x03\0" + bytes(8)
ZSTD_MARK = b"\x50\x2a\x4d\x18" + struct.pack("<I", len(_COMMENT)) + _COMMENT
_GZIP_LEVEL, _ZSTD_LEVEL = 6, 3
_BLOCK = 1 << 20  # bytes read at a time
_HEAD_WITHIN = 1 << 20  # bytes of a file in which its first line ends
_FIRST_LINE = re.compile(rb"\d{1,20} (\{.*\})", re.ASCII)
_TORN_LINE = re.compile(rb"\d{16} (\{.{0,21})", re.ASCII | re.DOTALL)
_TORN_HEAD = b'{"fundingbot":{"head":'
_STAMP = "%Y%m%dT%H%M%SZ"


class RecordingFileError(Exception):
    """A recording cannot be written to this file; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is put aside: after `every` ms, or above `size` bytes; `keep` None: all stay."""

    every: int = 86_400_000
    size: int = 1 << 30
    keep: int | None = None


class RecordingFile:
    """One open file that nobody else records to. `head` None: it is empty.

    All methods raise OSError where the disk refuses; what was written before stays whole.
    """

    def __init__(self, path: Path) -> None:
        """Opens or makes the file, and cuts a torn end.

        Raises:
            RecordingFileError: it cannot be opened, or is something else.
        """
        self.path = path
        self.head: Head | None = None
        self.size = 0
        self._mark = {".gz": GZIP_MARK, ".zst": ZSTD_MARK}.get(path.suffix, b"")
        self._torn = False
        try:
            self._file = _opened(path)
            try:
                self._mend()
            except BaseException:
                os.close(self._file)
                raise
        except OSError as error:
            raise RecordingFileError(
                f"{path}: cannot be recorded to: {error.strerror or error}"
            ) from None

    def pack(self, lines: Sequence[bytes]) -> bytes:
        """Lines as they are appended."""
        body = b"".join(lines)
        if self._mark is GZIP_MARK:
            return gzip.compress(body, _GZIP_LEVEL, mtime=0) + self._mark
        if self._mark is ZSTD_MARK:
            return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body) + self._mark
        return body

    def append(self, packed: bytes) -> None:
        """Appends all of it or nothing."""
        if self._torn:
            os.ftruncate(self._file, self.size)
            self._torn = False
        body = packed if self.size else self._mark + packed
        at, self._torn = self.size, True
        while body:
            written = os.pwrite(self._file, body, at)
            body, at = body[written:], at + written
        self.size, self._torn = at, False

    def rotate(self, head: Head) -> None:
        """Puts the file aside under the time at which it began, and begins a new one."""
        if self.head is not None and self.is_in_place():
            os.fsync(self._file)
            self.path.rename(_free_name(self.path, self.head.began))
        try:
            fresh = _opened(self.path, os.O_EXCL)
        except FileExistsError:
            raise RecordingFileError(
                f"{self.path}: another file is in the place of the recording; move it away"
            ) from None
        os.close(self._file)
        self._file, self.head, self.size, self._torn = fresh, head, 0, False

    def is_in_place(self) -> bool:
        """Whether the path still leads to the open file: nobody moved or deleted it."""
        try:
            return os.path.samestat(os.fstat(self._file), self.path.stat())
        except FileNotFoundError:
            return False

    def drop_old(self, keep: int) -> None:
        """Deletes all but the youngest `keep` files that were put aside."""
        stem, extension = _name_parts(self.path)
        name = re.compile(re.escape(stem) + r"\.\d{8}T\d{6}Z" + re.escape(extension), re.ASCII)
        aside = sorted(p for p in self.path.parent.iterdir() if name.fullmatch(p.name))
        for path in aside[: max(len(aside) - keep, 0)]:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self._file)

    def _mend(self) -> None:
        length = os.fstat(self._file).st_size
        solid = _solid(self._file, length)  # what a power cut leaves of a write may end in zeros
        if self._mark:
            start = os.pread(self._file, len(self._mark), 0)
            if start == self._mark:
                return self._cut(length, self._marked_end(length, solid))
            if self._mark.startswith(start[:solid]):  # empty, or the first write was cut
                return self._cut(length, 0)
            raise self._foreign()
        end = _last(self._file, length, b"\n")
        if end == 0 and solid:
            line = _TORN_LINE.match(os.pread(self._file, min(solid, 100), 0))
            if line is None or not _TORN_HEAD.startswith(line[1]):
                raise self._foreign()
        return self._cut(length, end)

    def _marked_end(self, length: int, solid: int) -> int:
        end = _last(self._file, length, self._mark)
        if not self._is_torn(end, solid):
            raise RecordingFileError(
                f"{self.path}: is a recording with something else at its end; move it away or "
                "name another file"
            )
        return end if end > len(self._mark) else 0

    def _is_torn(self, start: int, solid: int) -> bool:
        """Whether what follows the last mark is the beginning of a write and no more."""
        unpacker = _unpacker(self._mark)
        rest = b""
        while start < solid:
            block = os.pread(self._file, min(_BLOCK, solid - start), start)
            start += len(block)
            try:
                unpacker.decompress(block)
            except (zlib.error, zstandard.ZstdError):
                return False
            if unpacker.eof:
                rest = unpacker.unused_data + os.pread(self._file, _BLOCK, start)
                rest = rest[: len(unpacker.unused_data) + solid - start]
                break
        return self._mark.startswith(rest)

    def _cut(self, length: int, end: int) -> None:
        if end:
            self.head = self._read_head()
        if end < length:
            os.ftruncate(self._file, end)
        self.size = end

    def _read_head(self) -> Head:
        start = os.pread(self._file, _HEAD_WITHIN, len(self._mark))
        if self._mark:
            try:
                start = _unpacker(self._mark).decompress(start)
            except (zlib.error, zstandard.ZstdError):
                raise self._foreign() from None
        line = _FIRST_LINE.fullmatch(start.partition(b"\n")[0])
        control = None if line is None else parse_control(line[1])
        if control is None or control.kind != "head":
            raise self._foreign()
        return self._head_of(control)

    def _head_of(self, control: Control) -> Head:
        try:
            head = read_body(control)
        except ControlError:
            raise self._foreign() from None
        assert isinstance(head, Head)
        return head

    def _foreign(self) -> RecordingFileError:
        return RecordingFileError(
            f"{self.path}: is there and is no recording of this program; move it away or name "
            "another file"
        )


def _opened(path: Path, flags: int = 0) -> int:
    """An open regular file, locked: two programs never write to one recording."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | flags, 0o644)
    try:
        _lock(file, path)
    except BaseException:
        os.close(file)
        raise
    return file


def _lock(file: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(file).st_mode):
        raise RecordingFileError(f"{path}: is no regular file; name another one")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = os.path.samestat(os.fstat(file), path.stat())
    except (BlockingIOError, FileNotFoundError):
        mine = False
    if not mine:  # or whoever held the lock has just put this file aside
        raise RecordingFileError(f"{path}: another program records to it")


def _unpacker(mark: bytes) -> "zlib._Decompress | zstandard.ZstdDecompressionObj":
    if mark is GZIP_MARK:
        return zlib.decompressobj(31)
    return zstandard.ZstdDecompressor().decompressobj()


def _solid(file: int, length: int) -> int:
    """Where the zeros begin in which a file ends."""
    while length > 0:
        size = min(_BLOCK, length)
        if found := len(os.pread(file, size, length - size).rstrip(b"\0")):
            return length - size + found
        length -= size
    return 0


def _last(file: int, length: int, wanted: bytes) -> int:
    """Where the last occurrence of some bytes ends; 0: there is none."""
    start = length
    tail = b""
    while start > 0:
        size = min(_BLOCK, start)
        start -= size
        block = os.pread(file, size, start) + tail
        found = block.rfind(wanted)
        if found >= 0:
            return start + found + len(wanted)
        tail = block[: len(wanted) - 1]
    return 0


def _name_parts(path: Path) -> tuple[str, str]:
    """`market.jsonl.zst` as `market` and `.jsonl.zst`."""
    packed = path.suffix if path.suffix in (".gz", ".zst") else ""
    bare = Path(path.name.removesuffix(packed))
    return bare.stem, bare.suffix + packed


def _free_name(path: Path, began: int) -> Path:
    """The name of a file that began then (ms); where it is taken, of the next free second."""
    stem, extension = _name_parts(path)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=began)
    while True:
        name = path.with_name(f"{stem}.{moment.strftime(_STAMP)}{extension}")
        if not name.exists():
            return name
        moment += timedelta(seconds=1)
