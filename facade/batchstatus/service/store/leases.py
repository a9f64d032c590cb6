"""Leases: each open ref has one watcher at a time, and the refs of a dead watcher go to the others at once.

A watcher holds a lock on a file of its own next to the store; the kernel lets go of it however the process ends. Its
lease is for a process that hangs, and for systems that have no such locks.
"""

from __future__ import annotations

import json
import math
import os
import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from weakref import WeakSet

from attrs import frozen

from batchstatus import BatchRef, ConfigurationError

from . import clock
from .records import decoded
from .tracking import next_move, notify_watchers

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
CLOCK = 60.0
"""Seconds: a lease that ends later than it can is from before the start of a machine without a boot id."""
SLACK = 4
"""A watcher gives refs up once it has a quarter more than its share, since each that moves is read once more."""
OPEN = "tracked AND NOT ended AND NOT resting"
CLAIMED = f"SELECT ref, 1 FROM refs WHERE watcher = :name AND {OPEN} ORDER BY coalesce(read_at, 0), n"
MOVED = f"""
    SELECT ref, watcher IS :name AND {OPEN} FROM refs WHERE moved > :since ORDER BY coalesce(read_at, 0), n
"""
NEW_WATCHER = "(name, until, seconds, account_refs, seen) VALUES (:name, :until, :seconds, :account_refs, 0)"
IDLE = f"""
    SELECT (SELECT count(*) FROM watchers WHERE until > :now AND until < :now + seconds + :most),
        max((SELECT ifnull(max(read_at), 0) FROM refs), (SELECT min(added_at) FROM refs WHERE {OPEN}))
"""
"""How many watchers have a lease, and since when no open batch was read; NULL if there are none."""
MOVED_AT_ONCE = 2_000
"""Refs that change hands in one transaction: of 100,000 at once others would wait for a second."""
OF_ACCOUNTS = "(:account_refs = 'null' OR account_ref IN (SELECT value FROM json_each(:account_refs)))"


_LOCKS: WeakSet[Locks] = WeakSet()


class Locks:
    """The lock files of living watchers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: dict[str, int] = {}
        _LOCKS.add(self)

    def acquire(self, name: str) -> None:
        """Acquire the lock for a name, until `release` or the end of the process."""
        if fcntl is None or (name in self._held and self._file(name).exists()):
            return
        self.release(name)
        file = os.open(self._file(name), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise ConfigurationError(f"another watcher of this store is named {name}") from None
        self._held[name] = file

    def release(self, name: str) -> None:
        """Release the lock for a name."""
        if (file := self._held.pop(name, None)) is not None:
            os.close(file)
            self._file(name).unlink(missing_ok=True)

    def is_free(self, name: str) -> bool:
        """Return whether the process with this name has ended; if so, remove its file."""
        if fcntl is None or name in self._held:
            return False
        try:
            file = os.open(self._file(name), os.O_RDWR)
        except OSError as error:
            return isinstance(error, FileNotFoundError)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file(name).unlink(missing_ok=True)
        except OSError:
            return False
        finally:
            os.close(file)
        return True

    def close(self) -> None:
        """Release all locks."""
        for name in [*self._held]:
            self.release(name)

    def leave_to_parent(self) -> None:
        """Close the files that a forked child has inherited: else the locks would outlive the parent."""
        for file in self._held.values():
            os.close(file)
        self._held.clear()

    def _file(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise ConfigurationError(f"a watcher's name is 1 to 100 of A-Z, a-z, 0-9, '_', '.', '-': {name!r:.80}")
        return self._path.with_name(f"{self._path.name}.{name}.lock")


def _leave_to_parent() -> None:
    for locks in [*_LOCKS]:
        locks.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


@frozen(kw_only=True)
class Claim:
    """What has changed in a watcher's refs since its last claim."""

    new: list[BatchRef]
    """Refs that it got, or that were retried; longest unread first."""
    gone: list[BatchRef]
    """Refs that it has lost; some of them it may never have had."""
    move: int
    """For the next claim: what has changed up to now."""


def renew(connection: sqlite3.Connection, locks: Locks, name: str, seconds: float) -> bool:
    """Renew a lease and evict expired watchers; return whether to call `claim` again."""
    now = clock.now()
    update = "UPDATE watchers SET until = ?, seconds = ? WHERE name = ? RETURNING account_refs, seen"
    found = connection.execute(update, (now + seconds, seconds, name)).fetchone()
    evict_expired(connection, locks, name, now)
    if found is None:
        return True
    account_refs, seen = found
    free = f"SELECT EXISTS (SELECT 1 FROM shares WHERE watcher = '' AND open > 0 AND {OF_ACCOUNTS})"
    return bool(seen != _version(connection) or connection.execute(free, {"account_refs": account_refs}).fetchone()[0])


def claim(
    connection: sqlite3.Connection, locks: Locks, name: str, *, account_refs: Iterable[str] | None, seconds: float
) -> bool:
    """Take, or give up, some refs towards a fair share of the open refs of some accounts; return whether to go on."""
    now = clock.now()
    values = {
        "name": name,
        "until": now + seconds,
        "seconds": seconds,
        "account_refs": json.dumps(None if account_refs is None else sorted(set(account_refs))),
    }
    locks.acquire(name)
    renewal = "UPDATE watchers SET until = :until, seconds = :seconds, account_refs = :account_refs WHERE name = :name"
    if not connection.execute(renewal, values).rowcount:
        connection.execute(f"INSERT INTO watchers {NEW_WATCHER}", values)
        notify_watchers(connection)
    is_more = evict_expired(connection, locks, name, now)
    (sharing,) = connection.execute(
        "SELECT count(*) FROM watchers WHERE account_refs = :account_refs", values
    ).fetchone()
    found = _count(connection, OF_ACCOUNTS, values)
    held = _count(connection, "watcher = :name", values)
    share = math.ceil(found / sharing)
    if held > share + share // SLACK:
        mine = f"watcher = :name AND {OPEN} ORDER BY account_ref DESC, n DESC"
        is_more |= _move(connection, mine, held - share, None, values)
        notify_watchers(connection)
    elif held < share:
        # The refs of an account without waiting batches are not looked at.
        accounts = f"SELECT account_ref FROM shares WHERE watcher = '' AND open > 0 AND {OF_ACCOUNTS}"
        free = f"watcher IS NULL AND {OPEN} AND account_ref IN ({accounts})"
        is_more |= _move(connection, free, share - held, name, values)
    values["version"] = _version(connection)
    connection.execute("UPDATE watchers SET seen = :version WHERE name = :name", values)
    return is_more


def claimed(connection: sqlite3.Connection, name: str, since: int) -> Claim:
    """Return what has come to a watcher, and what has left any, after a move; of move 0 all that it has."""
    # First: what moves in between is told again next time.
    (move,) = connection.execute("SELECT moves FROM work").fetchone()
    rows = connection.execute(MOVED if since else CLAIMED, {"name": name, "since": since}).fetchall()
    found = [*decoded(rows, _parse)]
    return Claim(new=[ref for ref, mine in found if mine], gone=[ref for ref, mine in found if not mine], move=move)


def _parse(row: tuple[str, int]) -> tuple[BatchRef, int]:
    return BatchRef.parse(row[0]), row[1]


def release(connection: sqlite3.Connection, name: str) -> bool:
    """Release some refs of a watcher, and with the last ones its lease; return whether to go on."""
    if _move(connection, "watcher = :name", MOVED_AT_ONCE, None, {"name": name}):
        notify_watchers(connection)
        return True
    if connection.execute("DELETE FROM watchers WHERE name = ?", (name,)).rowcount:
        connection.execute("DELETE FROM shares WHERE watcher = ?", (name,))
        notify_watchers(connection)
    return False


def evict_expired(connection: sqlite3.Connection, locks: Locks, name: str, now: float) -> bool:
    """Release some refs of the watchers whose lease has run out; return whether to go on."""
    others = connection.execute("SELECT name, until, seconds FROM watchers WHERE name != ?", (name,)).fetchall()
    is_more = False
    for other, until, seconds in others:
        if not now < until < now + seconds + CLOCK or locks.is_free(other):
            is_more |= release(connection, other)
    return is_more


def _move(
    connection: sqlite3.Connection, where: str, number: int, watcher: str | None, values: dict[str, object]
) -> bool:
    """Give some refs to a watcher, or release them; return whether there are more of them."""
    most = min(number, MOVED_AT_ONCE)
    chosen = f"SELECT n FROM refs WHERE {where} LIMIT :most"
    update = f"UPDATE refs SET watcher = :watcher, moved = :move WHERE n IN ({chosen})"
    values = {**values, "most": most, "watcher": watcher, "move": next_move(connection)}
    return connection.execute(update, values).rowcount == MOVED_AT_ONCE


def _count(connection: sqlite3.Connection, where: str, values: dict[str, object]) -> int:
    query = f"SELECT coalesce(sum(open), 0) FROM shares WHERE {where}"
    return int(connection.execute(query, values).fetchone()[0])


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("SELECT version FROM work").fetchone()[0]
    return version
