"""The outbox: every change until it is delivered, by one watcher at a time."""

from __future__ import annotations

import sqlite3
import time

from batchstatus import printable

from .records import MAX_TEXT, Change, change, decoded
from .tracking import FROM_CHANGES, number_of

MAX_PAUSE = 3600.0
"""Seconds: a due time further ahead shows that the clock was set back; such a change is due now."""
DUE = """
    SELECT change FROM outbox
    WHERE sent_at IS NULL AND watcher IS NULL AND (due <= :now OR due > :latest) AND NOT EXISTS (
        SELECT 1 FROM outbox AS other
        WHERE other.ref = outbox.ref AND other.sent_at IS NULL
            AND (other.watcher IS NOT NULL OR (other.change < outbox.change AND other.due < :now))
    )
    ORDER BY due, change LIMIT :limit
"""
"""Of each batch one at a time, oldest first: its changes arrive in order, except for postponed ones."""


def undelivered(connection: sqlite3.Connection, now: float, limit: int) -> list[Change]:
    """Return the changes that are due."""
    query = f"{FROM_CHANGES} WHERE change IN ({DUE}) ORDER BY due, change"
    values = {"now": now, "latest": time.time() + MAX_PAUSE, "limit": limit}
    return [*decoded(connection.execute(query, values), change)]


def take(connection: sqlite3.Connection, now: float, limit: int, owner: str) -> list[Change]:
    """Return the changes that are due, and keep them from other watchers."""
    if not connection.execute("SELECT 1 FROM watchers WHERE name = ?", (owner,)).fetchone():
        return []  # its lease has run out: others deliver for it
    found = undelivered(connection, now, limit)
    for each in found:
        query = "UPDATE outbox SET watcher = ? WHERE change = ?"
        connection.execute(query, (owner, number_of(connection, each.id)))
    return found


def delivered(connection: sqlite3.Connection, name: str) -> None:
    """Record that a change has arrived."""
    number = number_of(connection, name)
    query = "UPDATE outbox SET sent_at = ?, watcher = NULL, reason = NULL WHERE change = ? AND sent_at IS NULL"
    connection.execute(query, (time.time(), number))


def postpone(connection: sqlite3.Connection, name: str, until: float, reason: str) -> None:
    """Record that a delivery has failed, and when it is due again."""
    query = "UPDATE outbox SET due = ?, reason = ?, attempts = attempts + 1, watcher = NULL WHERE change = ?"
    connection.execute(query, (until, printable(reason)[:MAX_TEXT], number_of(connection, name)))
