"""Faults in the files of the driver that ships: its SQLite with another VFS beside its own.

The library that `_sqlite3` is linked with is reached through ctypes. The VFS is the system's but
for `xOpen`, which gives files whose `xWrite`, `xTruncate`, `xSync` and `xShmMap` may fail.
Structures: sqlite.org/c3ref/vfs.html, sqlite.org/c3ref/io_methods.html.
"""

import _sqlite3
import ctypes
import sqlite3
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from itertools import count
from pathlib import Path
from typing import Any

OK = 0
FSYNC, WRITE, SHMSIZE = 1034, 778, 4874  # SQLITE_IOERR_...

Fault = Callable[[str, str, int], int]

_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SHM_MAP = CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int, c_void_p)
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)


class _Methods(ctypes.Structure):
    _fields_ = (
        ("version", c_int), ("close", c_void_p), ("read", c_void_p), ("write", _WRITE),
        ("truncate", _TRUNCATE), ("sync", _SYNC), ("file_size", c_void_p), ("lock", c_void_p),
        ("unlock", c_void_p), ("check_reserved", c_void_p), ("control", c_void_p),
        ("sector_size", c_void_p), ("characteristics", c_void_p), ("shm_map", _SHM_MAP),
        ("shm_lock", c_void_p), ("shm_barrier", c_void_p), ("shm_unmap", c_void_p),
        ("fetch", c_void_p), ("unfetch", c_void_p),
    )  # fmt: skip


class _File(ctypes.Structure):
    _fields_ = (("methods", POINTER(_Methods)),)


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", c_int), ("file_size", c_int), ("longest_path", c_int), ("next", c_void_p),
        ("name", c_char_p), ("data", c_void_p), ("open", _OPEN),
        *((f"method_{number}", c_void_p) for number in range(15)),
    )  # fmt: skip


def library() -> ctypes.CDLL | None:
    """The SQLite that the driver uses; None where its symbols cannot be reached."""
    try:
        found = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
        found.sqlite3_libversion.restype = c_char_p
        found.sqlite3_vfs_find.restype = POINTER(_Vfs)
        same = found.sqlite3_libversion().decode() == sqlite3.sqlite_version
    except (OSError, AttributeError):
        return None
    return found if same else None


_numbers = count(1)
_registered: list["FaultyFiles"] = []  # SQLite calls them for as long as the process lives


class FaultyFiles:
    """A VFS of its own; it lasts as long as the process.

    `fault` is asked before each call: its name (write, truncate, sync, shm_map), the file's
    suffix ("" for the database itself, "-wal", "-journal") and its number among the calls of that
    name. It answers with SQLite's result code, OK to let it pass.
    """

    def __init__(self, fault: Fault = lambda *_: OK) -> None:
        self.fault = fault
        self.calls: dict[str, list[str]] = {"write": [], "truncate": [], "sync": [], "shm_map": []}
        found = library()
        assert found is not None
        self._system = found.sqlite3_vfs_find(None)
        self._name = f"faulty-{next(_numbers)}"
        self._vfs = _Vfs.from_buffer_copy(self._system.contents)
        self._vfs.name = self._name.encode()
        self._vfs.open = _OPEN(self._open)
        self._suffixes: dict[int, str] = {}  # by the file's address
        self._methods: dict[int, _Methods] = {}  # ours, by the address of the system's
        _registered.append(self)
        found.sqlite3_vfs_register(ctypes.byref(self._vfs), 0)

    def connect(self, path: str) -> sqlite3.Connection:
        """A connection factory of a store; the log is copied into the database often."""
        uri = f"{Path(path).as_uri()}?vfs={self._name}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        connection.execute("PRAGMA wal_autocheckpoint = 40")
        return connection

    def _open(self, _: int, name: int, file: int, flags: int, flags_out: int) -> int:
        code = self._system.contents.open(
            ctypes.cast(self._system, c_void_p), name, file, flags, flags_out
        )
        if code == OK and name:
            path = ctypes.string_at(name).decode()
            self._suffixes[file] = path[path.rindex(".db") + 3 :]
            opened = _File.from_address(file)
            system = opened.methods
            address = ctypes.addressof(system.contents)
            if address not in self._methods:
                self._methods[address] = self._wrapped(system.contents)
            opened.methods = ctypes.pointer(self._methods[address])
        return int(code)

    def _wrapped(self, system: _Methods) -> _Methods:
        made = _Methods.from_buffer_copy(system)
        made.write = _WRITE(self._faulty("write", system.write))
        made.truncate = _TRUNCATE(self._faulty("truncate", system.truncate))
        made.sync = _SYNC(self._faulty("sync", system.sync))
        made.shm_map = _SHM_MAP(self._faulty("shm_map", system.shm_map))
        return made

    def _faulty(self, call: str, system: Any) -> Callable[..., int]:
        def ask(file: int, *arguments: int) -> int:
            suffix = self._suffixes[file]
            self.calls[call].append(suffix)
            code = self.fault(call, suffix, len(self.calls[call]))
            return code or int(system(file, *arguments))

        return ask
