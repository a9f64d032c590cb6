"""Tracked batches and their changes; each change is stored together with its row in the outbox."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from batchstatus import Batch, BatchRef, ConfigurationError, Moment, printable

from . import durations, outbox
from .records import CHANGE, MAX_TEXT, Change, change, decoded, reading, utc
from .schema import new_id

LEAST_REFUSALS = 3
LOST_AFTER = 600.0
"""Seconds over which the vendor must have denied a batch so many times in a row before it counts as lost."""
LONGEST_GAP = 300.0
"""Seconds between two refusals that count at most: in between it may have been visible, or no service was running."""
REST_AFTER = 86_400.0
"""Seconds for which a lost batch is read, ever more seldom."""
SETTLE = 10.0
"""Seconds after which two equal readings stand, although the counts contradict that the batch has succeeded."""
FROM_CHANGES = f"SELECT {CHANGE}, 0 FROM changes JOIN refs ON refs.n = changes.ref, store"


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
            again = f"tracked = 1, {NOT_LOST}, labels = '{{}}', added_at = ?"
            connection.execute(f"UPDATE refs SET {again} WHERE n = ?", (time.time(), number))
            new, before = new + 1, "{}"
        if labels:
            merged = labels_json  # damaged ones are replaced
            with suppress(ValueError, TypeError):
                merged = json.dumps(json.loads(before) | dict(labels))
            connection.execute("UPDATE refs SET labels = ? WHERE n = ?", (merged, number))
    if new:
        notify_watchers(connection)
    return new


def untrack(connection: sqlite3.Connection, refs: Iterable[BatchRef]) -> int:
    """Stop tracking the refs; return how many were tracked.

    Their changes stay, and so does the count of them; those that have not arrived somewhere are not delivered any more.
    """
    move, gone = next_move(connection), 0
    query = "UPDATE refs SET tracked = 0, watcher = NULL, moved = ? WHERE ref = ? AND tracked RETURNING n"
    for ref in refs:
        for row in connection.execute(query, (move, str(ref))).fetchall():
            connection.execute("DELETE FROM outbox WHERE ref = ? AND sent_at IS NULL", row)
            gone += 1
    if gone:
        notify_watchers(connection)
    return gone


def notify_watchers(connection: sqlite3.Connection) -> None:
    """Make every watcher claim again."""
    connection.execute("UPDATE work SET version = version + 1")


def next_move(connection: sqlite3.Connection) -> int:
    """Return the number for refs that come to a watcher, or leave it, in this transaction: `claim` asks for later ones.

    An end needs none if the watcher itself has stored it.
    """
    move: int = connection.execute("UPDATE work SET moves = moves + 1 RETURNING moves").fetchone()[0]
    return move


def retry(connection: sqlite3.Connection, refs: Iterable[BatchRef]) -> int:
    """Read lost batches at once, and then for another day ever more seldom; return how many were lost."""
    query = """
        UPDATE refs SET lost_at = ?, resting = 0, refusals = 0, refused_at = NULL, refused_for = 0, moved = ?
        WHERE ref = ? AND tracked AND lost_at IS NOT NULL
    """
    move = next_move(connection)
    found = sum(connection.execute(query, (time.time(), move, str(ref))).rowcount for ref in refs)
    if found:
        notify_watchers(connection)
    return found


OWNED = "(:owner IS NULL OR watcher = :owner)"
"""A watcher that stood still for longer than its lease has lost its batches: it stores no answer for them."""


def record(connection: sqlite3.Connection, batch: Batch, owner: str | None) -> Change | None:
    """Store a reading and its change.

    None if it changes nothing, was asked for before the stored one, or the batch is not open, or not the owner's.
    """
    query = f"""
        SELECT n, reading, changed_at, lost_at, asked_boot, asked_at, watcher, read_at FROM refs
        WHERE ref = :ref AND tracked AND NOT ended AND {OWNED}
    """
    found = connection.execute(query, {"ref": str(batch.ref), "owner": owner}).fetchone()
    if found is None:
        return None
    number, before, changed_at, lost_at, boot, asked_at, watcher, read_before = found
    asked = batch.asked_at
    if asked is not None and asked_at is not None and asked.is_before(Moment(boot, asked_at)):
        return None
    now, read_at = reading(batch), batch.read_at.timestamp()
    values = (read_at, *_asked(batch), number)
    connection.execute(f"UPDATE refs SET read_at = ?, asked_boot = ?, asked_at = ?, {NOT_LOST} WHERE n = ?", values)
    stands = batch.is_terminal and now == before and time.time() - changed_at >= SETTLE
    has_ended = batch.has_ended or stands
    if now == before and not has_ended and lost_at is None:
        return None
    if has_ended:
        durations.learn(connection, number, batch, read_before)
    stored = batch.to_dict() | {"has_ended": has_ended}
    if not has_ended:
        # They grow with the batch, and storing them in every change would be quadratic.
        stored["results"] = stored["failures"] = None
    kind = "ended" if has_ended else "change" if lost_at is None else "found"
    if has_ended and watcher not in {None, owner}:
        connection.execute("UPDATE refs SET moved = ? WHERE n = ?", (next_move(connection), number))
        notify_watchers(connection)
    return _add(connection, number, kind, reading=now, batch=stored)


NOT_LOST = "error = NULL, refusals = 0, refused_at = NULL, refused_for = 0, lost_at = NULL, resting = 0"
"""What a reading undoes."""


def _asked(batch: Batch) -> tuple[str | None, float | None]:
    return (None, None) if batch.asked_at is None else (batch.asked_at.boot, batch.asked_at.seconds)


def record_refusal(connection: sqlite3.Connection, ref: BatchRef, error: str, owner: str | None) -> Change | None:
    """Store that the vendor denies a batch; return the change if it counts as lost from now on.

    One that has been lost for a day rests.
    """
    now, text = time.time(), printable(error)[:MAX_TEXT]
    query = f"""
        UPDATE refs SET error = :error, refusals = refusals + 1, refused_at = :now,
            refused_for = refused_for + coalesce(max(0, min(:now - refused_at, :longest)), 0)
        WHERE ref = :ref AND tracked AND NOT ended AND {OWNED} RETURNING n, reading, refusals, refused_for, lost_at
    """
    values = {"error": text, "now": now, "longest": LONGEST_GAP, "ref": str(ref), "owner": owner}
    found = connection.execute(query, values).fetchone()
    if found is None:
        return None
    number, before, refusals, refused_for, lost_at = found
    if lost_at is not None:
        if now - lost_at >= REST_AFTER:
            update = "UPDATE refs SET resting = 1, watcher = NULL, moved = ? WHERE n = ?"
            connection.execute(update, (next_move(connection), number))
            notify_watchers(connection)
        return None
    if refusals < LEAST_REFUSALS or refused_for < LOST_AFTER:
        return None
    connection.execute("UPDATE refs SET lost_at = ? WHERE n = ?", (now, number))
    return _add(connection, number, "lost", reading=before, error=text)


def record_error(connection: sqlite3.Connection, ref: BatchRef, error: str, owner: str | None) -> None:
    """Store why a batch cannot be read; the time of an outage proves nothing about the batch."""
    query = f"UPDATE refs SET error = :error, refused_at = NULL WHERE ref = :ref AND tracked AND NOT ended AND {OWNED}"
    connection.execute(query, {"error": printable(error)[:MAX_TEXT], "ref": str(ref), "owner": owner})


def _add(
    connection: sqlite3.Connection,
    number: int,
    kind: str,
    *,
    reading: str | None,
    batch: dict[str, Any] | None = None,
    error: str | None = None,
) -> Change:
    at, ended = time.time(), kind == "ended"
    update = """
        UPDATE refs SET reading = ?, sequence = sequence + 1, changed_at = ?, ended = ?,
            watcher = CASE WHEN ? THEN NULL ELSE watcher END
        WHERE n = ? RETURNING ref, sequence, labels
    """
    ref, sequence, stored = connection.execute(update, (reading, at, ended, ended, number)).fetchone()
    labels: dict[str, str] = {}
    with suppress(ValueError, TypeError):  # damaged ones cost no change
        labels = {**json.loads(stored)}
    insert = "INSERT INTO changes (id, ref, sequence, kind, at, labels, batch, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    id_ = new_id()
    text = None if batch is None else json.dumps(batch)
    values = (id_, number, sequence, kind, at, json.dumps(labels), text, error)
    outbox.add(connection, connection.execute(insert, values).lastrowid, number, kind)
    (store,) = connection.execute("SELECT id FROM store").fetchone()
    return Change(
        id=id_,
        store=store,
        ref=BatchRef.parse(ref),
        sequence=sequence,
        kind=kind,
        at=utc(at),
        labels=labels,
        batch=batch,
        error=error,
    )


def compared(connection: sqlite3.Connection, batches: Iterable[Batch]) -> tuple[list[Batch], list[Batch]]:
    """Return the readings that differ from those that are stored, or that may be ends, and the equal ones."""
    new: list[Batch] = []
    same: list[Batch] = []
    for batch in batches:
        stored = connection.execute("SELECT reading FROM refs WHERE ref = ?", (str(batch.ref),)).fetchone()
        (same if stored == (reading(batch),) and not batch.is_terminal else new).append(batch)
    return new, same


def is_change(connection: sqlite3.Connection, batch: Batch, owner: str | None) -> bool:
    """Return whether a reading may be a change; if it is not, store its time."""
    if batch.is_terminal:
        return True
    query = f"""
        UPDATE refs SET read_at = :read_at, asked_boot = :boot, asked_at = :asked_at,
            error = NULL, refusals = 0, refused_at = NULL, refused_for = 0
        WHERE ref = :ref AND reading = :reading AND tracked AND NOT ended AND lost_at IS NULL AND {OWNED}
            AND NOT (asked_boot IS NOT NULL AND asked_boot != '' AND asked_boot = :boot AND asked_at > :asked_at)
    """
    boot, asked_at = _asked(batch)
    values = {
        "read_at": batch.read_at.timestamp(),
        "boot": boot,
        "asked_at": asked_at,
        "ref": str(batch.ref),
        "reading": reading(batch),
        "owner": owner,
    }
    return not connection.execute(query, values).rowcount


OLD = """
    SELECT changes.n FROM changes JOIN refs ON refs.n = changes.ref
    WHERE at < :before AND NOT EXISTS (SELECT 1 FROM outbox WHERE change = changes.n AND sent_at IS NULL)
        AND (ended OR NOT tracked OR changes.sequence < refs.sequence)
    LIMIT :limit
"""
"""Old changes that have arrived everywhere, but for the last one of each open batch."""


def prune(connection: sqlite3.Connection, before: float, limit: int) -> int:
    """Delete so many old changes, and the batches that are done with and have none left; return how many changes."""
    numbers = json.dumps([number for (number,) in connection.execute(OLD, {"before": before, "limit": limit})])
    connection.execute("DELETE FROM outbox WHERE change IN (SELECT value FROM json_each(?))", (numbers,))
    query = "DELETE FROM changes WHERE n IN (SELECT value FROM json_each(?))"
    gone = connection.execute(query, (numbers,)).rowcount
    query = """
        DELETE FROM refs WHERE (ended OR NOT tracked) AND coalesce(changed_at, added_at) < ?
            AND NOT EXISTS (SELECT 1 FROM changes WHERE changes.ref = refs.n)
    """
    connection.execute(query, (before,))
    return gone


def history(connection: sqlite3.Connection, ref: BatchRef) -> list[Change]:
    """Return all changes of a ref, oldest first."""
    query = f"{FROM_CHANGES} WHERE refs.ref = ? ORDER BY changes.sequence"
    return [*decoded(connection.execute(query, (str(ref),)), change)]


def changes(connection: sqlite3.Connection, since: datetime | None, after: str | None, limit: int) -> list[Change]:
    """Return changes in the order in which they were stored."""
    start = 0 if after is None else number_of(connection, after)
    moment = float("-inf") if since is None else since.timestamp()
    query = f"{FROM_CHANGES} WHERE changes.n > ? AND at >= ? ORDER BY changes.n LIMIT ?"
    return [*decoded(connection.execute(query, (start, moment, limit)), change)]


def number_of(connection: sqlite3.Connection, id_: str) -> int:
    """Return the row number of the change with an id; raise ConfigurationError if there is none."""
    found = connection.execute("SELECT n FROM changes WHERE id = ?", (printable(id_)[:MAX_TEXT],)).fetchone()
    if found is None:
        raise ConfigurationError(
            f"the store has no change with the id {id_!r:.80}: it may be another store's, or pruned"
        )
    number: int = found[0]
    return number
