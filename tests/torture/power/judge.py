"""Opens what power cuts left with the driver and the store that ship, and compares."""

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bot.store.port import StoreError
from bot.store.records import Commit
from bot.store.schema import metadata
from bot.store.sql import SqlStore
from bot.store.transaction import Transaction
from tests.torture.power.disk import (
    Deleted,
    Disk,
    Image,
    Operation,
    Synced,
    every,
    none,
    put,
)
from tests.torture.power.voyage import Moment, Voyage

_TABLES = {
    table.name: ", ".join(column.name for column in table.columns)
    for table in metadata.sorted_tables
}

Content = dict[str, list[tuple[Any, ...]]]  # rows by table


@dataclass
class Verdict:
    """What all images came to; `wrong` describes each that broke a promise."""

    images: int = 0
    corrupt: int = 0
    lost: int = 0  # alerts that were committed and are gone, or were sent and are to be sent again
    torn: int = 0  # neither what was before a call nor what is after it
    wrong: list[str] = field(default_factory=list)


class Judge:
    """Judges the images of one voyage's operations; `folder` is its own."""

    def __init__(self, folder: Path, voyage: Voyage, operations: list[Operation]) -> None:
        self.verdict = Verdict()
        self._path = folder / voyage.path.name
        self._moments = voyage.moments
        self._before = voyage.found
        self._operations = operations
        self._contents: dict[int, Content] = {}  # by the moment
        self._seen: set[tuple[bytes, int, int]] = set()

    async def judge(self, seed: int, share: float = 1.0) -> Verdict:
        """Cuts the power after each operation, and whenever a call had returned.

        `share` of the images is opened, each of them once.
        """
        chance = random.Random(seed)
        disk = Disk(chance, self._before)
        for cut, before, after in cuts(disk, self._operations, self._moments):
            if chance.random() >= share:
                continue
            image = cut()
            key = (_digest(image), before, after)
            if key not in self._seen:
                self._seen.add(key)
                await self._judge(image, before, after)
        return self.verdict

    async def _judge(self, image: Image, before: int, after: int) -> None:
        """The image holds exactly what was there at one of two moments."""
        self.verdict.images += 1
        try:
            content = await self._open(image)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program does not start
            self.verdict.corrupt += 1
            self.verdict.wrong.append(f"call {after}: {error}")
            return
        for moment in {before, after}:
            if content == await self._content(moment):
                return
        lost = self._lost(content, before) if before >= 0 else []
        self.verdict.lost += len(lost)
        self.verdict.torn += not lost
        self.verdict.wrong.append(f"call {after}: lost {lost}")

    async def _content(self, moment: int) -> Content:
        """What a program finds that begins at a moment. It keeps the moment's promises."""
        moment = max(moment, 0)  # before the tables are made there is as much as just after
        if moment not in self._contents:
            content = await self._open(self._moments[moment].files)
            assert self._lost(content, moment) == []
            self._contents[moment] = content
        return self._contents[moment]

    def _lost(self, content: Content, moment: int) -> list[str]:
        names = _TABLES["outbox"].split(", ")
        key, status = names.index("key"), names.index("status")
        found = {row[key]: row[status] for row in content["outbox"]}
        return [
            name
            for name, was_sent in self._moments[moment].promised.items()
            if name not in found or (was_sent and found[name] != "sent")
        ]

    async def _open(self, image: Image) -> Content:
        """Starts on an image, as the program does, and reads all of it; then writes to it."""
        put(self._path.parent, image)
        store = SqlStore(f"sqlite:///{self._path}")
        try:
            await store.open()
            found = await store._run(_read)
            await store.commit(Commit(facts={"after the cut": "1"}))
            await store._run(_check)
        finally:
            await store.close()
        return found


def cuts(
    disk: Disk, operations: list[Operation], moments: list[Moment]
) -> Iterator[tuple[Callable[[], Image], int, int]]:
    """Each image, to be made at once; the last call that had returned, the last that had begun.

    There is one by chance after each operation and each return; around a sync and after a return
    there are also those of which all and nothing is left.
    """
    returned = -1
    for number, operation in enumerate(operations, 1):
        if isinstance(operation, Synced | Deleted):
            yield partial(disk.image, every), returned, returned + 1
        disk.carry_out(operation)
        yield disk.halves, returned, returned + 1
        if isinstance(operation, Synced | Deleted):
            yield partial(disk.image, none), returned, returned + 1
        while returned + 1 < len(moments) and moments[returned + 1].operations == number:
            returned += 1
            yield partial(disk.image, none), returned, returned
            yield disk.halves, returned, returned


def _read(transaction: Transaction) -> Content:
    """All rows. Written by hand: a new engine would compile each query anew for each image."""
    _check(transaction)
    run = transaction.connection.exec_driver_sql
    return {
        name: sorted((tuple(row) for row in run(f"SELECT {columns} FROM {name}")), key=repr)
        for name, columns in _TABLES.items()
    }


def _check(transaction: Transaction) -> None:
    found = transaction.connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    if found != ["ok"]:
        raise StoreError(f"integrity_check: {found}")


def _digest(image: Image) -> bytes:
    digest = hashlib.sha256()
    for name, content in sorted(image.items()):
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.digest()
