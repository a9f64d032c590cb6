"""The outbox of each destination: every change until it is delivered there, by one watcher at a time."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from batchstatus import ConfigurationError, printable

from . import clock
from .records import CHANGE, MAX_TEXT, Change, Destination, change, decoded, utc

MAX_PAUSE = 3600.0
"""Seconds: a due time further ahead is from before the start of a machine without a boot id: it is due now."""
SERVED = 60.0
"""Seconds after which it is noted anew that a destination is served."""
DUE = """
    SELECT change FROM outbox
    WHERE destination = :destination AND sent_at IS NULL AND watcher IS NULL AND (due <= :now OR due > :latest)
        AND NOT EXISTS (
            SELECT 1 FROM outbox AS other
            WHERE other.destination = :destination AND other.ref = outbox.ref AND other.sent_at IS NULL
                AND (other.watcher IS NOT NULL OR (other.change < outbox.change AND other.due < :now))
        )
    ORDER BY due, change LIMIT :limit
"""
"""Of each batch one at a time, oldest first: its changes arrive in order, except for postponed ones."""
FROM_OUTBOX = f"""
    SELECT {CHANGE}, attempts FROM outbox
    JOIN changes ON changes.n = outbox.change JOIN refs ON refs.n = changes.ref, store
    WHERE destination = :destination AND change IN ({DUE}) ORDER BY due, change
"""
ROW = (
    "destination = (SELECT n FROM destinations WHERE name = :name) AND change = (SELECT n FROM changes WHERE id = :id)"
)


def serve(connection: sqlite3.Connection, name: str) -> None:
    """Add a destination, or note that it is served still."""
    query = """
        INSERT INTO destinations (name, added_at, served_at) VALUES (:name, :now, :now)
        ON CONFLICT DO UPDATE SET served_at = :now WHERE abs(:now - served_at) > :served
    """
    connection.execute(query, {"name": name, "now": time.time(), "served": SERVED})


def destinations(connection: sqlite3.Connection) -> list[Destination]:
    """Return all destinations in the order of their adding."""
    query = """
        SELECT name, added_at, served_at, count(change), coalesce(sum(attempts > 0), 0)
        FROM destinations LEFT JOIN outbox ON destination = n AND sent_at IS NULL GROUP BY n ORDER BY n
    """
    return [
        Destination(name=name, added_at=utc(added_at), served_at=utc(served_at), waiting=waiting, failed=failed)
        for name, added_at, served_at, waiting, failed in connection.execute(query)
    ]


def drop(connection: sqlite3.Connection, name: str) -> int:
    """Forget a destination; return how many changes had not arrived there."""
    number = number_of(connection, name)
    query = "SELECT count(*) FROM outbox WHERE destination = ? AND sent_at IS NULL"
    (waiting,) = connection.execute(query, (number,)).fetchone()
    connection.execute("DELETE FROM destinations WHERE n = ?", (number,))
    return int(waiting)


def undelivered(connection: sqlite3.Connection, destination: str, now: float, limit: int) -> list[Change]:
    """Return the changes that are due."""
    values = _due(connection, destination, now, limit)
    return [*decoded(connection.execute(FROM_OUTBOX, values), change)]


def take(connection: sqlite3.Connection, destination: str, now: float, limit: int, owner: str) -> list[Change]:
    """Return the changes that are due, and keep them from other watchers."""
    if not connection.execute("SELECT 1 FROM watchers WHERE name = ?", (owner,)).fetchone():
        return []  # its lease has run out: others deliver for it
    values = _due(connection, destination, now, limit)
    taken: list[Change] = []
    for row in connection.execute(FROM_OUTBOX, values).fetchall():
        found = [*decoded([row], change)]
        taken += found
        # A damaged one counts as sent, so that it is in the way of no other.
        query = f"UPDATE outbox SET watcher = :owner, sent_at = :sent_at WHERE {ROW}"
        at = {"owner": owner, "sent_at": None} if found else {"owner": None, "sent_at": now}
        connection.execute(query, {**at, "name": destination, "id": row[0]})
    return taken


def delivered(connection: sqlite3.Connection, destination: str, id_: str) -> None:
    """Record that a change has arrived."""
    query = f"UPDATE outbox SET sent_at = :now, watcher = NULL, reason = NULL WHERE {ROW} AND sent_at IS NULL"
    _update(connection, query, {"now": time.time()}, destination, id_)


def postpone(connection: sqlite3.Connection, destination: str, id_: str, until: float, reason: str) -> None:
    """Record that a delivery has failed, and when it is due again."""
    query = f"UPDATE outbox SET due = :due, reason = :reason, attempts = attempts + 1, watcher = NULL WHERE {ROW}"
    _update(connection, query, {"due": until, "reason": printable(reason)[:MAX_TEXT]}, destination, id_)


def is_held(connection: sqlite3.Connection, destination: str, id_: str, owner: str) -> bool:
    """Return whether a change is still a watcher's to deliver."""
    query = f"SELECT 1 FROM outbox WHERE {ROW} AND watcher = :owner AND sent_at IS NULL"
    return bool(connection.execute(query, {"owner": owner, "name": destination, "id": id_}).fetchone())


def number_of(connection: sqlite3.Connection, name: str) -> int:
    """Return the row number of a destination; raise ConfigurationError if there is none."""
    found = connection.execute("SELECT n FROM destinations WHERE name = ?", (printable(name),)).fetchone()
    if found is None:
        raise ConfigurationError(f"the store has no destination {name!r:.80}: see `batchstatus deliveries list`")
    return int(found[0])


def _due(connection: sqlite3.Connection, destination: str, now: float, limit: int) -> dict[str, Any]:
    number = number_of(connection, destination)
    return {"destination": number, "now": now, "latest": clock.now() + MAX_PAUSE, "limit": limit}


def _update(connection: sqlite3.Connection, query: str, values: dict[str, Any], destination: str, id_: str) -> None:
    names = {"name": destination, "id": printable(id_)[:MAX_TEXT]}
    if not connection.execute(query, values | names).rowcount:
        exists = f"SELECT 1 FROM outbox WHERE {ROW}"
        if not connection.execute(exists, names).fetchone():
            raise ConfigurationError(f"no change with the id {id_!r:.80} waits for the destination {destination!r:.80}")
