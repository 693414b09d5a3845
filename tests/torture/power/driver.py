"""SQLite through apsw, for the store to run on while everything that it writes is noted.

apsw is no DBAPI: `Connection` and `Cursor` are what SQLAlchemy's dialect asks of sqlite3's.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import apsw

from tests.torture.power.disk import (
    Deleted,
    Opened,
    Operation,
    Synced,
    SyncFailed,
    Truncated,
    Wrote,
)

_numbers = count(1)
_KINDS = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
_SYNCS_NAMES = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL  # os_unix.c, UNIXFILE_DIRSYNC


class Recorder(apsw.VFS):
    """The system's VFS; notes what goes to the database's files, its journal and its log.

    `fails` is asked for each sync of the log that ends a transaction, by its number.
    """

    def __init__(self, fails: Callable[[int], bool] = lambda _: False) -> None:
        self.name = f"recorder-{next(_numbers)}"
        super().__init__(self.name, base="")
        self.operations: list[Operation] = []
        self.fails = fails
        self.log_syncs = 0

    def xOpen(  # noqa: N802 - SQLite's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or not flags[0] & _KINDS:
            return apsw.VFSFile("", name, flags)
        if flags[0] & apsw.SQLITE_OPEN_CREATE:
            self.operations.append(Opened(Path(path).name, bool(flags[0] & _SYNCS_NAMES)))
        return _RecordedFile(self, Path(path).name, name, flags)

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        super().xDelete(name, syncdir)
        self.operations.append(Deleted(Path(name).name, bool(syncdir)))


class _RecordedFile(apsw.VFSFile):
    def __init__(
        self, recorder: Recorder, name: str, path: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        super().__init__("", path, flags)
        self._recorder = recorder
        self._name = name

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        super().xWrite(data, offset)
        self._recorder.operations.append(Wrote(self._name, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802 - SQLite's name
        super().xTruncate(size)
        self._recorder.operations.append(Truncated(self._name, size))

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        operations = self._recorder.operations
        if operations and isinstance(operations[-1], Wrote) and self._name.endswith("-wal"):
            self._recorder.log_syncs += 1
            if self._recorder.fails(self._recorder.log_syncs):
                operations.append(SyncFailed(self._name))
                error = apsw.IOError("the sync fails")
                vars(error).update(result=apsw.SQLITE_IOERR, extendedresult=apsw.SQLITE_IOERR_FSYNC)
                raise error
        super().xSync(flags)
        operations.append(Synced(self._name))


def connector(
    recorder: Recorder, *pragmas: str, instead: dict[str, str] | None = None
) -> Callable[[str], sqlite3.Connection]:
    """A connection factory of a store. `instead` exchanges statements for others."""

    def connect(path: str) -> sqlite3.Connection:
        connection = Connection(path, recorder.name, instead or {})
        for pragma in pragmas:
            connection.execute(pragma)
        return cast(sqlite3.Connection, connection)

    return connect


class _AsDriverError:
    """Errors of apsw leave as sqlite3's."""

    def __enter__(self) -> None: ...

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        if isinstance(error, apsw.Error):
            raised = sqlite3.OperationalError(str(error))
            raised.sqlite_errorcode = getattr(error, "extendedresult", apsw.SQLITE_ERROR)
            raise raised from error


class Cursor:
    """Reads all rows at once: a statement that is not read to its end keeps others waiting."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.description: tuple[tuple[Any, ...], ...] | None = None
        self.rowcount = -1
        self._rows: list[Any] = []
        self._cursor = connection.inner.cursor()
        self._cursor.exec_trace = self._describe

    @property
    def lastrowid(self) -> int:
        return self.connection.inner.last_insert_rowid()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Self:
        return self._run(self._cursor.execute, statement, values)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> Self:
        return self._run(self._cursor.executemany, statement, rows)

    def _run(self, execute: Callable[..., Any], statement: str, values: Any) -> Self:
        inner = self.connection.inner
        before = inner.total_changes()
        with _AsDriverError():
            execute(self.connection.instead.get(statement, statement), values)
            self._rows = self._cursor.fetchall()
        changes = statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE")
        self.rowcount = inner.total_changes() - before if changes else -1
        return self

    def _describe(self, cursor: apsw.Cursor, _: str, __: Any) -> bool:
        columns = cursor.get_description()
        self.description = tuple((c[0], *[None] * 6) for c in columns) or None
        return True

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[Any]:
        found, self._rows = self._rows[:size], self._rows[size:]
        return found

    def fetchall(self) -> list[Any]:
        found, self._rows = self._rows, []
        return found

    def close(self) -> None:
        self._cursor.close()


class Connection:
    def __init__(self, path: str, vfs: str, instead: dict[str, str]) -> None:
        with _AsDriverError():
            self.inner = apsw.Connection(path, vfs=vfs)
        self.instead = instead

    def cursor(self, factory: type[Cursor] = Cursor) -> Cursor:
        return factory(self)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Cursor:
        return self.cursor().execute(statement, values)

    def commit(self) -> None:
        if self.inner.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        if self.inner.in_transaction:
            self.execute("ROLLBACK")

    def create_function(self, name: str, arguments: int, work: Any, **_: Any) -> None:
        self.inner.create_scalar_function(name, work, arguments)

    def close(self) -> None:
        with _AsDriverError():
            self.inner.close()
