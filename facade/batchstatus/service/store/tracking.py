"""Tracked batches and their changes; each change is stored together with its row in the outbox."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from datetime import datetime

from batchstatus import Batch, BatchRef, ConfigurationError, printable

from .records import CHANGE, MAX_TEXT, Change, change, reading

STALE = 60.0
"""Seconds: a reading older than the stored one by up to this came late; if by more, the clock was set back."""
FROM_CHANGES = f"SELECT {CHANGE} FROM changes JOIN refs ON refs.n = changes.ref JOIN outbox ON change = changes.n"


def track(connection: sqlite3.Connection, refs: Iterable[BatchRef], labels: Mapping[str, str]) -> int:
    """Add the refs, and the labels to all of them; return how many were not tracked before."""
    new, labels_json = 0, json.dumps(dict(labels))
    for ref in dict.fromkeys(map(str, refs)):
        found = connection.execute("SELECT n, tracked, labels FROM refs WHERE ref = ?", (ref,)).fetchone()
        if found is None:
            account_ref = ref.partition(":")[0]
            values = (ref, account_ref, labels_json, time.time())
            connection.execute("INSERT INTO refs (ref, account_ref, labels, added_at) VALUES (?, ?, ?, ?)", values)
            new += 1
            continue
        number, tracked, before = found
        if not tracked:
            # A refused batch is tried again; one with a terminal state has ended for good.
            again = "tracked = 1, ended = ended AND error IS NULL, error = NULL, labels = '{}', added_at = ?"
            connection.execute(f"UPDATE refs SET {again} WHERE n = ?", (time.time(), number))
            new, before = new + 1, "{}"
        if labels:
            merged = json.dumps(json.loads(before) | dict(labels))
            connection.execute("UPDATE refs SET labels = ? WHERE n = ?", (merged, number))
    if new:
        notify_watchers(connection)
    return new


def untrack(connection: sqlite3.Connection, refs: Iterable[BatchRef]) -> int:
    """Stop tracking the refs; return how many were tracked. Their changes stay, and so does the count of them."""
    query = "UPDATE refs SET tracked = 0, watcher = NULL WHERE ref = ? AND tracked"
    gone = sum(connection.execute(query, (str(ref),)).rowcount for ref in refs)
    if gone:
        notify_watchers(connection)
    return gone


def notify_watchers(connection: sqlite3.Connection) -> None:
    """Make every watcher claim again."""
    connection.execute("UPDATE work SET version = version + 1")


def record(connection: sqlite3.Connection, batch: Batch) -> Change | None:
    """Store a reading and its change; None if it changes nothing, comes late, or the batch is not open."""
    query = "SELECT n, reading, read_at FROM refs WHERE ref = ? AND tracked AND NOT ended"
    found = connection.execute(query, (str(batch.ref),)).fetchone()
    if found is None:
        return None
    number, before, read_before = found
    now, read_at = reading(batch), batch.read_at.timestamp()
    if read_before is not None and 0 < read_before - read_at <= STALE and not batch.is_terminal:
        return None
    connection.execute("UPDATE refs SET read_at = ?, error = NULL WHERE n = ?", (read_at, number))
    if now == before:
        return None
    stored = batch.to_dict()
    if not batch.is_terminal:
        stored["results"] = None  # they grow with the batch; storing them in every change would be quadratic
    kind = "ended" if batch.is_terminal else "change"
    return _add(connection, number, kind, reading=now, batch=json.dumps(stored))


def record_refusal(connection: sqlite3.Connection, ref: BatchRef, error: str) -> Change | None:
    """Store that the vendor has refused a batch for good; None if the batch is not open."""
    query = "SELECT n, reading FROM refs WHERE ref = ? AND tracked AND NOT ended"
    found = connection.execute(query, (str(ref),)).fetchone()
    if found is None:
        return None
    number, before = found
    connection.execute("UPDATE refs SET error = ? WHERE n = ?", (printable(error)[:MAX_TEXT], number))
    return _add(connection, number, "ended", reading=before, error=printable(error)[:MAX_TEXT])


def record_error(connection: sqlite3.Connection, ref: BatchRef, error: str) -> None:
    """Store why a batch cannot be read."""
    query = "UPDATE refs SET error = ? WHERE ref = ? AND tracked AND NOT ended"
    connection.execute(query, (printable(error)[:MAX_TEXT], str(ref)))


def _add(
    connection: sqlite3.Connection,
    number: int,
    kind: str,
    *,
    reading: str | None,
    batch: str | None = None,
    error: str | None = None,
) -> Change:
    at, ended = time.time(), kind == "ended"
    update = """
        UPDATE refs SET reading = ?, sequence = sequence + 1, changed_at = ?, ended = ?,
            watcher = CASE WHEN ? THEN NULL ELSE watcher END
        WHERE n = ? RETURNING ref, sequence
    """
    ref, sequence = connection.execute(update, (reading, at, ended, ended, number)).fetchone()
    insert = "INSERT INTO changes (ref, sequence, kind, at, batch, error) VALUES (?, ?, ?, ?, ?, ?)"
    row = connection.execute(insert, (number, sequence, kind, at, batch, error)).lastrowid
    connection.execute("INSERT INTO outbox (change, ref) VALUES (?, ?)", (row, number))
    return change((ref, sequence, kind, at, batch, error, 0))


def is_change(connection: sqlite3.Connection, batch: Batch) -> bool:
    """Return whether a reading may be a change; if it is not, store its time."""
    query = "UPDATE refs SET read_at = ?, error = NULL WHERE ref = ? AND reading = ? AND tracked AND NOT ended"
    values = (batch.read_at.timestamp(), str(batch.ref), reading(batch))
    return not connection.execute(query, values).rowcount


def history(connection: sqlite3.Connection, ref: BatchRef) -> list[Change]:
    """Return all changes of a ref, oldest first."""
    query = f"{FROM_CHANGES} WHERE refs.ref = ? ORDER BY changes.sequence"
    return [*map(change, connection.execute(query, (str(ref),)))]


def changes(connection: sqlite3.Connection, since: datetime | None, after: str | None, limit: int) -> list[Change]:
    """Return changes in the order in which they were stored."""
    start = 0 if after is None else number_of(connection, after)
    moment = float("-inf") if since is None else since.timestamp()
    query = f"{FROM_CHANGES} WHERE changes.n > ? AND at >= ? ORDER BY changes.n LIMIT ?"
    return [*map(change, connection.execute(query, (start, moment, limit)))]


def number_of(connection: sqlite3.Connection, name: str) -> int:
    """Return the row number of the change with an id; raise ConfigurationError if there is none."""
    ref, _, sequence = printable(name)[:MAX_TEXT].rpartition("#")
    query = "SELECT n FROM changes WHERE ref = (SELECT n FROM refs WHERE refs.ref = ?) AND sequence = ?"
    found = connection.execute(query, (ref, sequence)).fetchone()
    if found is None:
        raise ConfigurationError(f"the store has no change {name!r:.300}; ids are written vendor:id#sequence")
    number: int = found[0]
    return number
