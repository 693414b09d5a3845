"""What a power cut leaves of files: all that was synced, and by chance what was not.

The model is harsher than disks are. Of what was written since a file's last sync each sector of
512 bytes is there or not, whatever came before or after it; so is each change of a size, and each
name that came or went since the folder's last sync. A sync that fails forgets: what it did not
bring to the disk is never written again, as on Linux (the pages are marked clean).
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512

Choose = Callable[[], bool]
Image = dict[str, bytes]  # by the file's name


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that was made if it was not there; `names`: its first sync is also its folder's."""

    name: str
    names: bool


@dataclass(frozen=True, slots=True)
class Wrote:
    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    name: str


@dataclass(frozen=True, slots=True)
class SyncFailed:
    name: str


@dataclass(frozen=True, slots=True)
class Deleted:
    name: str
    names: bool  # its folder was synced with it


Operation = Opened | Wrote | Truncated | Synced | SyncFailed | Deleted


def every() -> bool:
    return True


def none() -> bool:
    return False


@dataclass(eq=False)
class _File:
    durable: bytes = b""
    pending: list[Wrote | Truncated] = field(default_factory=list)
    syncs_names: bool = False

    def after(self, choose: Choose, noise: Callable[[int], bytes]) -> bytes:
        """What is found of it; where its size grew without its content there is noise."""
        found, size = bytearray(self.durable), len(self.durable)
        for one in self.pending:
            if isinstance(one, Truncated):
                size = one.size
                if choose():
                    _resize(found, one.size)
                continue
            size = max(size, one.offset + len(one.data))
            for start, piece in _sectors(one):
                if choose():
                    _resize(found, max(len(found), start))
                    found[start : start + len(piece)] = piece
        if len(found) < size and choose():
            found += noise(size - len(found))
        return bytes(found)


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _sectors(wrote: Wrote) -> Iterator[tuple[int, bytes]]:
    start, end = wrote.offset, wrote.offset + len(wrote.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        yield start, wrote.data[start - wrote.offset : stop - wrote.offset]
        start = stop


class Disk:
    """One folder, with files that it has held for long; `chance` is for all that is by chance."""

    def __init__(self, chance: random.Random, found: Image) -> None:
        self._chance = chance
        self._durable = {name: _File(content) for name, content in found.items()}
        self._now = dict(self._durable)
        self._pending: list[tuple[str, _File | None]] = []  # the names that came or went since

    def carry_out(self, operation: Operation) -> None:
        name = operation.name
        match operation:
            case Opened():
                if name not in self._now:
                    self._name(name, _File())
                self._now[name].syncs_names |= operation.names
            case Wrote() | Truncated():
                self._now[name].pending.append(operation)
            case Synced():
                self._sync(self._now[name], every)
            case SyncFailed():
                self._sync(self._now[name], self._coin)
            case Deleted():
                self._name(name, None)
                if operation.names:
                    self._sync_names(every)

    def image(self, choose: Choose) -> Image:
        """The folder as a cut at this moment leaves it."""
        names = self._names(choose)
        return {name: file.after(choose, self._noise) for name, file in names.items()}

    def halves(self) -> Image:
        """An image of which each part is there by chance."""
        return self.image(self._coin)

    def _coin(self) -> bool:
        return self._chance.random() < 0.5

    def _noise(self, size: int) -> bytes:
        return self._chance.randbytes(size) if self._coin() else bytes(size)

    def _sync(self, file: _File, choose: Choose) -> None:
        file.durable, file.pending = file.after(choose, self._noise), []
        if file.syncs_names and choose():
            file.syncs_names = False
            self._sync_names(choose)

    def _sync_names(self, choose: Choose) -> None:
        self._durable, self._pending = self._names(choose), []

    def _names(self, choose: Choose) -> dict[str, _File]:
        found = dict(self._durable)
        for name, file in self._pending:
            if choose():
                if file is None:
                    found.pop(name, None)
                else:
                    found[name] = file
        return found

    def _name(self, name: str, file: _File | None) -> None:
        self._pending.append((name, file))
        if file is None:
            del self._now[name]
        else:
            self._now[name] = file


def put(folder: Path, image: Image) -> None:
    """Makes the folder anew with an image's files alone."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, content in image.items():
        (folder / name).write_bytes(content)
