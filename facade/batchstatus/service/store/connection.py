"""One connection to a store's file, for any number of threads in turn."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .schema import BUSY_TIMEOUT, connect


class Connection:
    """A connection, opened when it is first used, and its lock."""

    def __init__(self, path: Path, *, synchronous: str, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self._path = path
        self._synchronous = synchronous
        self._busy_timeout = busy_timeout
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result
        self._closed = False

    @contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """Exclusive access without a transaction."""
        with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError("this store is closed")
            if self._connection is not None and not self._is_there():
                self._disconnect()
            if self._connection is None:
                connection = connect(self._path, synchronous=self._synchronous, busy_timeout=self._busy_timeout)
                try:
                    self._file, self._connection = self._path.stat(), connection
                except OSError:  # it was deleted just now
                    connection.close()
                    raise
            yield self._connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a write transaction: all or nothing."""
        with self.exclusive() as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.exclusive() as connection:
            return connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def _is_there(self) -> bool:
        """Return whether the path leads to the file that is open still: it may be deleted, or come from a backup."""
        try:
            return os.path.samestat(self._path.stat(), self._file)
        except OSError:
            return False

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
