"""The tables of the store's file; how it is created and recognized."""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from batchstatus import ConfigurationError

from . import clock

APPLICATION_ID = 0x62737473
"""Stands in the file's header, so that no other program's database is taken for a store."""
OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables."""
BUSY_TIMEOUT = 10.0
"""Seconds to wait for another process that writes."""

VERSION = 4
"""The file's `user_version`."""
WAITING = "sent_at IS NULL AND set_aside_at IS NULL"
"""The changes in an outbox that are to be delivered; the partial indexes need it in these words."""
FAILING = f"{WAITING} AND attempts > 0"

TABLES = (
    """
    CREATE TABLE store (
        id TEXT NOT NULL,
        salt TEXT NOT NULL,
        boot TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE watchers (
        name TEXT PRIMARY KEY,
        until REAL NOT NULL,
        seconds REAL NOT NULL,
        account_refs TEXT NOT NULL,
        seen INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE refs (
        n INTEGER PRIMARY KEY,
        ref TEXT NOT NULL UNIQUE,
        account_ref TEXT NOT NULL,
        labels TEXT NOT NULL,
        tracked INTEGER NOT NULL DEFAULT 1,
        ended INTEGER NOT NULL DEFAULT 0,
        reading TEXT,
        error TEXT,
        refusals INTEGER NOT NULL DEFAULT 0,
        refused_at REAL,
        refused_for REAL NOT NULL DEFAULT 0,
        lost_at REAL,
        resting INTEGER NOT NULL DEFAULT 0,
        sequence INTEGER NOT NULL DEFAULT 0,
        added_at REAL NOT NULL,
        changed_at REAL,
        read_at REAL,
        asked_boot TEXT,
        asked_at REAL,
        watcher TEXT REFERENCES watchers ON DELETE SET NULL,
        moved INTEGER
    ) STRICT
    """,
    "CREATE INDEX open_refs ON refs (watcher, account_ref) WHERE tracked AND NOT ended AND NOT resting",
    "CREATE INDEX watched_refs ON refs (watcher) WHERE watcher IS NOT NULL",
    "CREATE INDEX moved_refs ON refs (moved) WHERE moved IS NOT NULL",
    # How many open refs each watcher has ('': none), so that no claim counts 100,000 of them.
    """
    CREATE TABLE shares (
        watcher TEXT NOT NULL,
        account_ref TEXT NOT NULL,
        open INTEGER NOT NULL,
        PRIMARY KEY (watcher, account_ref)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TRIGGER share_of_new_ref AFTER INSERT ON refs BEGIN
        INSERT INTO shares (watcher, account_ref, open) VALUES ('', NEW.account_ref, 1)
        ON CONFLICT DO UPDATE SET open = open + 1;
    END
    """,
    """
    CREATE TRIGGER share_of_moved_ref AFTER UPDATE OF tracked, ended, resting, watcher ON refs
    WHEN (OLD.tracked, OLD.ended, OLD.resting, OLD.watcher) IS NOT (NEW.tracked, NEW.ended, NEW.resting, NEW.watcher)
    BEGIN
        UPDATE shares SET open = open - 1
        WHERE watcher = ifnull(OLD.watcher, '') AND account_ref = OLD.account_ref
            AND OLD.tracked AND NOT OLD.ended AND NOT OLD.resting;
        INSERT INTO shares (watcher, account_ref, open) SELECT ifnull(NEW.watcher, ''), NEW.account_ref, 1
        WHERE NEW.tracked AND NOT NEW.ended AND NOT NEW.resting
        ON CONFLICT DO UPDATE SET open = open + 1;
    END
    """,
    """
    CREATE TABLE changes (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        ref INTEGER NOT NULL REFERENCES refs,
        sequence INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('change', 'ended', 'lost', 'found')),
        at REAL NOT NULL,
        labels TEXT NOT NULL,
        batch TEXT,
        error TEXT,
        UNIQUE (ref, sequence)
    ) STRICT
    """,
    "CREATE INDEX changes_by_time ON changes (at)",
    """
    CREATE TABLE destinations (
        n INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        added_at REAL NOT NULL,
        served_at REAL NOT NULL,
        kinds TEXT,
        due REAL NOT NULL DEFAULT 0,
        failed_at REAL,
        reason TEXT,
        stopped_at REAL
    ) STRICT
    """,
    """
    CREATE TABLE outbox (
        destination INTEGER NOT NULL REFERENCES destinations ON DELETE CASCADE,
        change INTEGER NOT NULL REFERENCES changes,
        ref INTEGER NOT NULL REFERENCES refs,
        due REAL NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        reason TEXT,
        failed_at REAL,
        set_aside_at REAL,
        watcher TEXT REFERENCES watchers ON DELETE SET NULL,
        sent_at REAL,
        PRIMARY KEY (destination, change)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX outbox_by_change ON outbox (change)",
    f"CREATE INDEX waiting ON outbox (destination, due) WHERE {WAITING}",
    f"CREATE INDEX failing ON outbox (destination) WHERE {FAILING}",
    "CREATE INDEX set_aside ON outbox (destination) WHERE set_aside_at IS NOT NULL",
    "CREATE INDEX unsent_of_ref ON outbox (ref) WHERE sent_at IS NULL",
    "CREATE INDEX unsent_of_watcher ON outbox (watcher) WHERE watcher IS NOT NULL",
    """
    CREATE TABLE paces (
        credential TEXT PRIMARY KEY,
        spacing REAL NOT NULL,
        last REAL NOT NULL,
        slowness REAL NOT NULL,
        closed_until REAL NOT NULL,
        closed_for REAL NOT NULL,
        long_ones INTEGER NOT NULL,
        free TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE durations (
        account_ref TEXT NOT NULL,
        kind TEXT NOT NULL,
        learned TEXT NOT NULL,
        PRIMARY KEY (account_ref, kind)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TABLE work (version INTEGER NOT NULL, moves INTEGER NOT NULL) STRICT",
    "INSERT INTO work (version, moves) VALUES (1, 0)",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

FREE = (
    "UPDATE refs SET watcher = NULL",
    "UPDATE outbox SET watcher = NULL, due = 0 WHERE sent_at IS NULL",
    "UPDATE destinations SET due = 0",
    "DELETE FROM watchers",
    "DELETE FROM paces",
)
"""Claims end, and planned deliveries are due."""


def connect(
    path: Path, *, synchronous: str = "FULL", busy_timeout: float = BUSY_TIMEOUT, mode: str = "rw"
) -> sqlite3.Connection:
    """Return a connection to a file that is there, without implicit transactions, for threads that take turns."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    if mode == "ro" and not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists():
        uri += "&immutable=1"  # else SQLite would make files beside it, even to read
    with ExitStack() as stack:
        connection = sqlite3.connect(uri, timeout=busy_timeout, isolation_level=None, check_same_thread=False, uri=True)
        stack.callback(connection.close)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        stack.pop_all()
        return connection


def prepare(path: Path) -> None:
    """Make the store if there is none, readable by its owner alone.

    Raises:
        ConfigurationError: The file cannot be opened, is something else, or was written by another version.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigurationError(f"a store needs SQLite 3.37 or newer, and this Python has {sqlite3.sqlite_version}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Only a new file, which is not locked: closing one drops all locks that this process has on it.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        if not (path.is_file() and os.access(path, os.R_OK | os.W_OK)):
            raise ConfigurationError(f"the store {path} cannot be opened: it is not a readable and writable file")
        with closing(connect(path)) as connection:
            _check(connection, path)
            _use_wal(connection, path)
            _create(connection, path)
            _check_rights(path)
            _note_boot(connection)
    except OSError as error:
        raise ConfigurationError(f"the store {path} cannot be opened: {error.strerror or error}") from error
    except sqlite3.DatabaseError as error:
        if is_system_error(error):
            raise
        raise ConfigurationError(f"{path} cannot be used as a store: {error}") from error


def _check_rights(path: Path) -> None:
    """Raise ConfigurationError if others may read or replace the store: payloads of batches are in it."""
    if not hasattr(os, "geteuid"):
        return
    for place, closed in ((path, 0o077), (path.parent, 0o022)):
        found = place.stat()
        if found.st_uid not in {os.geteuid(), 0}:
            raise ConfigurationError(f"{place} belongs to another user: name a store of your own")
        if stat.S_IMODE(found.st_mode) & closed and not (place is path.parent and found.st_mode & stat.S_ISVTX):
            rights = "go-w" if closed == 0o022 else "600"
            raise ConfigurationError(f"others may open or replace the store {path}: chmod {rights} {place}")


def check_file(path: Path) -> None:
    """Raise ConfigurationError unless a file is a whole store of this version."""
    try:
        with closing(connect(path, mode="ro")) as connection:
            _check(connection, path)
            ((fault,),) = connection.execute("PRAGMA integrity_check(1)").fetchall()
            version = version_of(connection)
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"{path} is not a backup of a store: {error}") from None
    if version != VERSION or fault != "ok":
        raise ConfigurationError(f"{path} is not a whole backup of a store ({fault})")


def check_readable(path: Path) -> None:
    """Raise ConfigurationError unless a file is a store of this version that can be read."""
    try:
        with closing(connect(path, mode="ro")) as connection:
            _check(connection, path)
            version = version_of(connection)
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"the store {path} cannot be read: {error}") from error
    if version != VERSION:
        raise ConfigurationError(f"{path} is not a store")


def is_system_error(error: sqlite3.Error) -> bool:
    """Return whether the system refuses for now, whatever the file is: it is locked, the disk is full, or I/O fails."""
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of the code says more about it
    return primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the file's tables; 0 if it has none yet."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _check(connection: sqlite3.Connection, path: Path) -> None:
    # The id last: another process may make the store in between, and writes all three at once.
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    version = version_of(connection)
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID and (application or tables or version):
        raise ConfigurationError(f"{path} is another program's database, not a store: name another file")
    check_version(connection, path)


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ConfigurationError if another version of this package made the file."""
    version = version_of(connection)
    if version > VERSION:
        raise ConfigurationError(
            f"{path} was written by a newer batchstatus (its version is {version}, this one knows {VERSION}): "
            "upgrade batchstatus, or name another file"
        )
    if 0 < version < VERSION:
        raise ConfigurationError(
            f"{path} was written by a batchstatus from before the first release (its version is {version}, now it is "
            f"{VERSION}): name another file, and track the batches there"
        )


def _use_wal(connection: sqlite3.Connection, path: Path) -> None:
    """Switch the file to WAL, once; SQLite does not wait for other processes there by itself."""
    end = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
            continue
        if mode != "wal":
            raise ConfigurationError(f"{path} is on a file system without shared memory: name a file on a local disk")
        return


def _create(connection: sqlite3.Connection, path: Path) -> None:
    if version_of(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    _check(connection, path)
    if not version_of(connection):  # else another process was faster
        for statement in TABLES:
            connection.execute(statement)
        values = (new_id(), new_id(), clock.boot())
        connection.execute("INSERT INTO store (id, salt, boot) VALUES (?, ?, ?)", values)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _note_boot(connection: sqlite3.Connection) -> None:
    """Free and make due whatever is from before the machine was started: its times mean nothing any more."""
    boot = clock.boot()
    if connection.execute("SELECT boot FROM store").fetchone() == (boot,):
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in FREE:
        connection.execute(statement)
    connection.execute("UPDATE store SET boot = ?", (boot,))
    connection.execute("COMMIT")


def new_id() -> str:
    """Return an id that no store and no change has had, or will have."""
    return secrets.token_hex(16)
