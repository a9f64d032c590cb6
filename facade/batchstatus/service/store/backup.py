"""Backup and restore, by SQLite's backup API: both are whole or not at all, while services go on."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from batchstatus import ConfigurationError

from .schema import FREE, check_file, connect, new_id, prepare


def backup(connection: sqlite3.Connection, target: Path) -> None:
    """Write all of the store to a new file, which only its owner can read.

    Raises:
        ConfigurationError: The file exists, or cannot be made.
    """
    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise ConfigurationError(f"the backup {target} cannot be made: {error.strerror}; name a new file") from None
    try:
        with closing(sqlite3.connect(target)) as copy:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without those of a store in use
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def restore(source: Path, path: Path) -> None:
    """Put a backup in the place of a store; running services end, and say that their file was replaced.

    The store gets another id, and nothing of it is anybody's any more. Changes that were delivered after the backup
    are delivered again, with the ids that their receivers know.

    Raises:
        ConfigurationError: The source is not a backup of a store that this version can read.
    """
    check_file(source)
    prepare(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        # Renamed and freed before it gets there: else a service might go on with it as if nothing had happened.
        ready = Path(folder) / path.name
        with (
            closing(connect(source, mode="ro")) as old,
            closing(sqlite3.connect(ready, isolation_level=None)) as copy,
            closing(connect(path)) as live,
        ):
            old.backup(copy)
            for statement in FREE:
                copy.execute(statement)
            copy.execute("UPDATE store SET id = ?", (new_id(),))
            copy.backup(live)
    with suppress(OSError):
        path.chmod(0o600)
