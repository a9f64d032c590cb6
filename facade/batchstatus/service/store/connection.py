"""One connection to a store's file, for any number of threads in turn."""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from batchstatus import ConfigurationError
from batchstatus._fork import generation

from .schema import BUSY_TIMEOUT, check_version, connect

_OF_PARENT: list[sqlite3.Connection] = []
"""Connections that a forked child has inherited; they are kept, so that nothing closes them."""


class StoreReplaced(ConfigurationError):
    """The store's file is another one than was opened."""


class Faults:
    """The accesses to a store that have failed: it was locked for too long, the disk is full, or a file is damaged."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""
        """The error of the last one."""
        self.last_at = -math.inf
        """When that was, on the monotonic clock."""

    def note(self, error: Exception) -> None:
        """Count an access that has failed."""
        self.count += 1
        self.last, self.last_at = str(error), time.monotonic()


class Connection:
    """A connection, opened when it is first used, and its lock."""

    def __init__(
        self,
        path: Path,
        *,
        synchronous: str = "FULL",
        busy_timeout: float = BUSY_TIMEOUT,
        read_only: bool = False,
        faults: Faults | None = None,
    ) -> None:
        self._path = path
        self._faults = faults or Faults()
        mode = "ro" if read_only else "rw"
        self._connect = partial(connect, path, synchronous=synchronous, busy_timeout=busy_timeout, mode=mode)
        self._generation = generation()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None
        self._id: str | None = None
        self._closed = False

    @contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """Exclusive access without a transaction."""
        if generation() != self._generation:
            self._leave_to_parent()
        with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError("this store is closed")
            self._check_file()
            try:
                if self._connection is None:
                    self._connection = self._connect()
                    self._check_file()
                    self._check_id(self._connection)
                yield self._connection
            except (sqlite3.Error, OSError) as error:
                self._faults.note(error)
                raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a write transaction: all or nothing."""
        with self.exclusive() as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                # A newer program may have changed the tables meanwhile, or a backup may have taken their place.
                check_version(connection, self._path)
                self._check_id(connection)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.exclusive() as connection:
            return connection.execute(query, values).fetchall()

    def peek(self, query: str, values: Sequence[Any]) -> Any:
        """Return the first row of a query; whether the file is still the same is seen at the next other access."""
        if self._connection is None or generation() != self._generation:
            return next(iter(self.rows(query, values)), None)
        with self._lock:
            connection = self._connection
            return None if connection is None else connection.execute(query, values).fetchone()

    def _leave_to_parent(self) -> None:
        """Forget the connection of before a fork, without closing it: SQLite's locks are those of the parent."""
        if self._connection is not None:
            _OF_PARENT.append(self._connection)
        self._generation, self._lock, self._connection = generation(), threading.Lock(), None

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        if generation() != self._generation:
            self._leave_to_parent()
        with self._lock:
            self._closed = True
            self._disconnect()

    def _check_file(self) -> None:
        """Raise StoreReplaced if the path leads to another file than at first: a backup that was laid over it, say.

        If it was deleted, the connection is given up: its changes would be lost.
        """
        try:
            file = self._path.stat()
        except OSError:
            self._disconnect()
            return
        if self._file is None:
            self._file = file
        elif not os.path.samestat(file, self._file):
            self._disconnect()
            raise StoreReplaced(f"{self._path} was replaced by another file while it was in use: start anew")

    def _check_id(self, connection: sqlite3.Connection) -> None:
        """Raise StoreReplaced if the file has another id: the next file may get the inode of a deleted one."""
        (id_,) = connection.execute("SELECT id FROM store").fetchone()
        if self._id not in (None, id_):
            raise StoreReplaced(f"{self._path} was replaced by another file while it was in use: start anew")
        self._id = id_

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
