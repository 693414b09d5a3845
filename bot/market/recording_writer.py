"""Lines of a recording on their way to the disk: gathered here, written by a thread of its own.

Whoever hands lines over never waits. Memory is bounded: what does not fit is refused, and whoever
handed it over says later, in the recording, how much is missing. A disk that refuses is tried
again every second.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bot.market.recording import Head
from bot.market.recording_file import RecordingFile, RecordingFileError, Rotation

MOST = 64 << 20  # bytes that wait in memory
EVERY = 1.0  # s between two writes
_BLOCK = 4 << 20  # bytes of lines that are made and packed at once
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Portion:
    """What is written in one go: perhaps another file, lines that are made then, lines."""

    lines: list[bytes] = field(default_factory=list)
    size: int = 0  # bytes of the lines
    count: int = 0  # lines
    head: Head | None = None  # of the other file
    made: Iterator[bytes] | None = None
    packed: bytes | None = None  # and not yet appended


class RecordingWriter:
    """Takes lines from one thread and writes them in another, which is a daemon.

    `told` is called in that thread: with the reason when the disk begins to refuse, with None
    when it takes lines again.
    """

    def __init__(
        self,
        file: RecordingFile,
        rotation: Rotation,
        told: Callable[[str | None], None],
        *,
        most: int = MOST,
        every: float = EVERY,
    ) -> None:
        self.files = 1  # begun or gone on with
        self.written = 0  # bytes
        self.is_lost = False  # somebody moved or deleted the file
        self._file = file
        self._rotation = rotation
        self._told = told
        self._most = most
        self._every = every
        self._lock = threading.Lock()
        self._waiting: deque[_Portion] = deque([_Portion()])
        self._size = 0  # bytes of the lines that wait
        self._since_rotation = file.size
        self._wake = threading.Event()
        self._closing = False
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Bytes that are not written yet."""
        return self._size

    @property
    def unwritten(self) -> int:
        """Lines that were handed over and are not written yet."""
        with self._lock:
            return sum(portion.count for portion in self._waiting)

    @property
    def problem(self) -> str | None:
        """Why nothing can be written now."""
        return self._problem

    @property
    def is_full(self) -> bool:
        """The present file has reached its size."""
        return self._since_rotation >= self._rotation.size

    @property
    def has_room(self) -> bool:
        """Little waits."""
        return self._size <= self._most // 4

    def put(self, lines: Sequence[bytes]) -> bool:
        """Takes lines that belong together; False where memory has no room for them."""
        size = sum(map(len, lines))
        with self._lock:
            if self._size + size > self._most:
                return False
            self._size += size
            portion = self._waiting[-1]
            portion.lines += lines
            portion.size += size
            portion.count += len(lines)
        if not self.has_room:
            self._wake.set()
        return True

    def make(self, lines: Iterator[bytes], head: Head | None = None) -> None:
        """Writes lines that are only made as they are written, at the head of another file.

        They may be many: making them delays nobody. Without `head` they stand where they come.
        """
        with self._lock:
            self._waiting += [_Portion(head=head, made=lines), _Portion()]
        if head is not None:
            self._since_rotation = 0
            self.is_lost = False

    def flush(self) -> None:
        """Asks that what waits is written soon."""
        self._wake.set()

    def close(self, within: float) -> bool:
        """Writes what waits and closes the file; False where that did not end in time (s)."""
        self._closing = True
        self._wake.set()
        self._thread.join(within)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._every)
            self._wake.clear()
            self._write_all()
        self._write_all()
        self._file.close()

    def _write_all(self) -> None:
        try:
            while (portion := self._next()) is not None:
                self._write(portion)
                self._done(portion)
            self._look_for_it()
        except (OSError, RecordingFileError) as error:
            self._trouble(getattr(error, "strerror", None) or str(error))
        except Exception as error:  # noqa: BLE001 - logged; the recording goes on
            _log.exception("The recording failed", extra={"action": "recording_failed"})
            self._trouble(repr(error))
        else:
            self._trouble(None)

    def _look_for_it(self) -> None:
        if self._closing or self.is_lost or self._file.is_in_place():
            return
        self.is_lost = True
        _log.warning(
            "The file of the recording was taken away; another one is begun",
            extra={"action": "recording_lost"},
        )

    def _next(self) -> _Portion | None:
        """The portion to be written; what is handed over from now on goes into the next one."""
        with self._lock:
            portion = self._waiting[0]
            if len(self._waiting) == 1:
                if not portion.lines:
                    return None
                self._waiting.append(_Portion())
            return portion

    def _write(self, portion: _Portion) -> None:
        if portion.head is not None:
            self._rotate(portion.head)
            portion.head = None
            if self._rotation.keep is not None:
                self._file.drop_old(self._rotation.keep)
        while portion.packed is not None or self._pack(portion):
            assert portion.packed is not None
            before = self._file.size
            self._file.append(portion.packed)
            portion.packed = None
            self.written += self._file.size - before
            self._since_rotation += self._file.size - before

    def _pack(self, portion: _Portion) -> bool:
        """Makes the next part of the file; False where nothing of the portion is left."""
        if portion.made is not None:
            lines = list(_block(portion.made))
        else:
            lines, portion.lines = portion.lines, []
        if lines:
            portion.packed = self._file.pack(lines)
        return bool(lines)

    def _rotate(self, head: Head) -> None:
        try:
            self._file.rotate(head)
        except OSError as error:
            if not self._file.is_in_place():
                raise  # it was put aside, but the next one cannot be begun
            _log.warning(
                "The recording goes on in its file, which cannot be put aside: %s",
                error.strerror or error,
                extra={"action": "recording_not_rotated"},
            )
        else:
            self.files += 1

    def _done(self, portion: _Portion) -> None:
        with self._lock:
            self._waiting.popleft()
            self._size -= portion.size

    def _trouble(self, problem: str | None) -> None:
        if (problem is None) == (self._problem is None):
            return
        self._problem = problem
        self._told(problem)


def _block(lines: Iterator[bytes]) -> Iterator[bytes]:
    """As many lines as are packed at once."""
    size = 0
    while size < _BLOCK and (line := next(lines, None)) is not None:
        size += len(line)
        yield line
