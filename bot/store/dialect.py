"""What differs between databases, in one place: opening, locking, upserts and error words."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Insert, Table, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from bot.store.port import StoreBusyError, StoreError

Connect = Callable[[str], sqlite3.Connection]

_PATIENCE = 2_000  # ms that a transaction waits for a lock of another program

_FULL = "cannot grow, its disk is full; free some space"

# What an error's result code, or else its primary one, means to the person who must act
# (sqlite.org/rescode.html).
_WORDS = {
    sqlite3.SQLITE_PERM: "may not be opened; let the user that runs this program read and write it",
    sqlite3.SQLITE_BUSY: "is locked by another program; end that program",
    sqlite3.SQLITE_LOCKED: "is locked by another program; end that program",
    sqlite3.SQLITE_READONLY: "cannot be written; let the user that runs this program write the"
    " file and its folder",
    sqlite3.SQLITE_IOERR: "cannot be read or written, its disk fails; look at the system's log",
    sqlite3.SQLITE_CORRUPT: "is damaged; stop this program and put back a copy of the file",
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,  # of the index beside the log
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; let the user that runs this program write the"
    " file and its folder",
    sqlite3.SQLITE_NOTADB: "is no SQLite database, or damaged; move the file away or put back"
    " a copy",
}


Row = Mapping[str, Any]


class Database(Protocol):
    """One database as SQLAlchemy reaches it. All of it is called from the writer thread."""

    name: str  # for people, without a password
    exclusive: bool  # while one program has it, no other can: leases left behind are nobody's

    def acquire(self) -> None:
        """Makes this program the only one on it; raises `StoreBusyError`, `StoreError`."""

    def release(self) -> None: ...

    def engine(self) -> Engine:
        """Connects at the first use; each of its transactions locks for writing at its start."""

    def words(self, error: Exception) -> str:
        """What failed, where, and what to do."""

    def insert_new(self, connection: Connection, table: Table, rows: Sequence[Row]) -> int:
        """Inserts the rows whose keys are not there; returns how many."""

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        """Inserts rows or replaces those with their primary key."""


def open_file(path: str) -> sqlite3.Connection:
    """A connection that leaves transactions to us (`isolation_level` None)."""
    return sqlite3.connect(path, isolation_level=None, cached_statements=256)


class Sqlite:
    """A SQLite file: one connection, WAL, every commit on the disk before it returns.

    `connect` makes the driver's connection. Two connections in one WAL could meet the WAL-reset
    bug of SQLite before 3.51.3; there is only one, and a lock on `<file>.lock` keeps other
    programs away. The kernel frees that lock however the program ends.
    """

    exclusive = True

    def __init__(self, path: str, connect: Connect = open_file) -> None:
        self.path = Path(path).absolute()
        self.name = str(self.path)
        self._connect = connect
        self._lock: int | None = None
        self._patience = _PATIENCE

    def acquire(self) -> None:
        folder = self.path.parent
        if not folder.is_dir():
            raise StoreError(
                f"The database's folder {folder} does not exist; create it, or set DATABASE_URL"
            )
        if self.path.is_dir():
            raise StoreError(f"The database {self.path} is a folder; set DATABASE_URL to a file")
        lock = self.path.with_name(f"{self.path.name}.lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"The database's lock {lock} cannot be written ({error.strerror}); let the user"
                " that runs this program write the folder"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise StoreBusyError(
                f"Another fundingbot runs on the database {self.path}; stop it, or give this one"
                " another DATABASE_URL"
            ) from error
        self._lock = descriptor

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def engine(self) -> Engine:
        engine = create_engine(
            "sqlite://",
            creator=lambda: self._connect(str(self.path)),
            poolclass=StaticPool,
            hide_parameters=True,
        )
        event.listen(engine, "connect", self._configure)
        event.listen(engine, "begin", self._begin)
        return engine

    def _configure(self, connection: sqlite3.Connection, _record: object) -> None:
        self._patience = _PATIENCE
        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE}")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(
                f"The database {self.path} cannot use write-ahead logging; put it on a local disk"
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    def _begin(self, connection: Connection) -> None:
        """Locks for writing at once: what reads first could not be upgraded later.

        Where another program has the lock the first transaction waits for it. Those behind it do
        not, until one has had it: in one thread they would wait in turn, each for as long.
        """
        driver: Any = connection.connection.dbapi_connection
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except DBAPIError:
            self._wait(driver, 0)
            raise
        self._wait(driver, _PATIENCE)

    def _wait(self, connection: sqlite3.Connection, patience: int) -> None:
        if patience != self._patience:
            self._patience = patience
            connection.execute(f"PRAGMA busy_timeout = {patience}")

    def words(self, error: Exception) -> str:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        code = getattr(cause, "sqlite_errorcode", -1)
        words = _WORDS.get(code) or _WORDS.get(code & 0xFF, "failed")
        return f"The database {self.path} {words} ({cause})"

    def insert_new(self, connection: Connection, table: Table, rows: Sequence[Row]) -> int:
        options = {"preserve_rowcount": True}
        return connection.execute(_insert_new(table), rows, execution_options=options).rowcount

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        connection.execute(_upsert(table), rows)


@cache  # to build a statement takes longer than to execute it
def _insert_new(table: Table) -> Insert:
    return sqlite.insert(table).on_conflict_do_nothing()


@cache
def _upsert(table: Table) -> Insert:
    statement = sqlite.insert(table)
    keys = list(table.primary_key)
    values = {c.name: statement.excluded[c.name] for c in table.columns if c not in keys}
    return statement.on_conflict_do_update(keys, set_=values)


def database(url: str) -> Database:
    """The database that a URL names.

    Raises:
        StoreError: no URL of a kind that is known. The URL is not repeated, it may hold a password.
    """
    path = url.removeprefix("sqlite:///")
    if path in (url, "", ":memory:"):
        raise StoreError(
            "DATABASE_URL names no database file; expected sqlite:////absolute/file.db or"
            " sqlite:///relative.db"
        )
    return Sqlite(path)
