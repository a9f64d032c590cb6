"""The outbox of each destination: every change until it is delivered there, by one watcher at a time."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from typing import Any

from batchstatus import BatchRef, ConfigurationError, printable

from . import clock
from .records import CHANGE, KINDS, MAX_TEXT, Change, Destination, Pending, change, decoded, utc
from .schema import FAILING, WAITING

MAX_PAUSE = 3600.0
"""Seconds: a due time further ahead is from before the start of a machine without a boot id: it is due now."""
SERVED = 60.0
"""Seconds after which it is noted anew that a destination is served."""
GIVE_UP_AFTER = 3 * 86_400.0
"""Seconds of wall time since a delivery failed first after which one that fails again is set aside."""
DUE = f"""
    SELECT change FROM outbox
    WHERE destination = :destination AND {WAITING} AND watcher IS NULL AND (due <= :now OR due > :latest)
        AND NOT EXISTS (
            SELECT 1 FROM outbox AS other
            WHERE other.destination = :destination AND other.ref = outbox.ref
                AND other.sent_at IS NULL AND other.set_aside_at IS NULL
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
ALL = f"""
    SELECT name, added_at, served_at, kinds, ifnull(waiting, 0), ifnull(failed, 0), ifnull(aside, 0), changes.at,
        destinations.failed_at, destinations.reason, stopped_at
    FROM destinations
    LEFT JOIN (
        SELECT destination, count(*) AS waiting, min(change) AS oldest FROM outbox WHERE {WAITING} GROUP BY destination
    ) AS of_waiting ON of_waiting.destination = destinations.n
    LEFT JOIN (
        SELECT destination, count(*) AS failed FROM outbox WHERE {FAILING} GROUP BY destination
    ) AS of_failed ON of_failed.destination = destinations.n
    LEFT JOIN (
        SELECT destination, count(*) AS aside FROM outbox WHERE set_aside_at IS NOT NULL GROUP BY destination
    ) AS of_aside ON of_aside.destination = destinations.n
    LEFT JOIN changes ON changes.n = oldest ORDER BY destinations.n
"""
"""Three indexes have all of it: 0.09 s with 200,000 waiting changes of 800,000, on 2 loaded cores."""
PENDING = """
    SELECT refs.ref, changes.id, changes.sequence, kind, at, attempts, failed_at, outbox.reason, set_aside_at
    FROM outbox JOIN changes ON changes.n = outbox.change JOIN refs ON refs.n = changes.ref
    WHERE destination = ? AND sent_at IS NULL ORDER BY outbox.change LIMIT ?
"""


class NoLongerThere(ConfigurationError):
    """The destination or its change was dropped, or there never was one."""


def serve(connection: sqlite3.Connection, name: str, kinds: Iterable[str] | None) -> None:
    """Add a destination, or note that it is served still; one that wants fewer kinds than before loses the others."""
    wanted = None if kinds is None else json.dumps([kind for kind in KINDS if kind in {*kinds}])
    values = {"name": name, "now": time.time(), "served": SERVED, "kinds": wanted}
    before = connection.execute("SELECT kinds FROM destinations WHERE name = ?", (name,)).fetchone()
    query = """
        INSERT INTO destinations (name, added_at, served_at, kinds) VALUES (:name, :now, :now, :kinds)
        ON CONFLICT DO UPDATE SET served_at = :now, kinds = :kinds
            WHERE abs(:now - served_at) > :served OR kinds IS NOT :kinds
    """
    connection.execute(query, values)
    if wanted is not None and before not in {None, (wanted,)}:  # a look at all of it, so not each time
        query = """
            DELETE FROM outbox WHERE destination = (SELECT n FROM destinations WHERE name = :name) AND sent_at IS NULL
                AND (SELECT kind FROM changes WHERE n = change) NOT IN (SELECT value FROM json_each(:kinds))
        """
        connection.execute(query, values)


def add(connection: sqlite3.Connection, row: int | None, ref: int, kind: str) -> None:
    """Put a change into the outbox of each destination that wants its kind."""
    query = """
        INSERT INTO outbox (destination, change, ref) SELECT n, :change, :ref FROM destinations
        WHERE kinds IS NULL OR :kind IN (SELECT value FROM json_each(kinds))
    """
    connection.execute(query, {"change": row, "ref": ref, "kind": kind})


def destinations(connection: sqlite3.Connection) -> list[Destination]:
    """Return all destinations in the order of their adding."""
    return [
        Destination(
            name=name,
            added_at=utc(added_at),
            served_at=utc(served_at),
            kinds=None if kinds is None else tuple(json.loads(kinds)),
            waiting=waiting,
            failed=failed,
            set_aside=set_aside,
            oldest_at=oldest_at and utc(oldest_at),
            failed_at=failed_at and utc(failed_at),
            reason=reason,
            stopped_at=stopped_at and utc(stopped_at),
        )
        for (
            name,
            added_at,
            served_at,
            kinds,
            waiting,
            failed,
            set_aside,
            oldest_at,
            failed_at,
            reason,
            stopped_at,
        ) in connection.execute(ALL)
    ]


def pending(connection: sqlite3.Connection, name: str, limit: int) -> list[Pending]:
    """Return changes that have not arrived at a destination, in the order in which they were stored."""
    return [*decoded(connection.execute(PENDING, (number_of(connection, name), limit)), _pending)]


def _pending(row: tuple[Any, ...]) -> Pending:
    ref, id_, sequence, kind, at, attempts, failed_at, reason, set_aside_at = row
    return Pending(
        id=id_,
        ref=BatchRef.parse(ref),
        sequence=sequence,
        kind=kind,
        at=utc(at),
        attempts=attempts,
        failed_at=failed_at and utc(failed_at),
        reason=reason,
        set_aside_at=set_aside_at and utc(set_aside_at),
    )


def drop(connection: sqlite3.Connection, name: str) -> int:
    """Forget a destination; return how many changes had not arrived there."""
    number = number_of(connection, name)
    query = "SELECT count(*) FROM outbox WHERE destination = ? AND sent_at IS NULL"
    (unsent,) = connection.execute(query, (number,)).fetchone()
    connection.execute("DELETE FROM destinations WHERE n = ?", (number,))
    return int(unsent)


def drop_one(connection: sqlite3.Connection, name: str, id_: str) -> None:
    """Forget that one change is to go to a destination; raise NoLongerThere if it is not."""
    number_of(connection, name)
    names = _names(name, id_)
    if not connection.execute(f"DELETE FROM outbox WHERE {ROW} AND sent_at IS NULL", names).rowcount:
        raise _not_waiting(name, id_)


def retry(connection: sqlite3.Connection, name: str, id_: str | None) -> int:
    """Deliver at once, and again for days; return how many changes that were.

    Without an id: all that have not arrived, those that are set aside included, and also if the destination is stopped.
    """
    number = number_of(connection, name)
    retry = "UPDATE outbox SET due = 0, attempts = 0, failed_at = NULL, set_aside_at = NULL"
    if id_ is not None:
        found = connection.execute(f"{retry} WHERE {ROW} AND sent_at IS NULL", _names(name, id_)).rowcount
        if not found:
            raise _not_waiting(name, id_)
        return found
    connection.execute("UPDATE destinations SET due = 0, stopped_at = NULL WHERE n = ?", (number,))
    return connection.execute(f"{retry} WHERE destination = ? AND sent_at IS NULL", (number,)).rowcount


def retry_now(connection: sqlite3.Connection, name: str) -> None:
    """Make all waiting changes of a destination due, unless the receiver itself has asked to be left alone."""
    query = f"UPDATE outbox SET due = 0 WHERE destination = ? AND {WAITING} AND due != 0"
    connection.execute(query, [number_of(connection, name)])


def undelivered(connection: sqlite3.Connection, destination: str, now: float, limit: int) -> list[Change]:
    """Return the changes that are due."""
    values = _due(connection, destination, now, limit)
    return [*decoded(connection.execute(FROM_OUTBOX, values), change)] if values else []


def take(connection: sqlite3.Connection, destination: str, now: float, limit: int, owner: str) -> list[Change]:
    """Return the changes that are due, and keep them from other watchers."""
    if not connection.execute("SELECT 1 FROM watchers WHERE name = ?", (owner,)).fetchone():
        return []  # its lease has run out: others deliver for it
    values = _due(connection, destination, now, limit)
    taken: list[Change] = []
    for row in connection.execute(FROM_OUTBOX, values).fetchall() if values else ():
        found = [*decoded([row], change)]
        taken += found
        # A damaged one counts as sent, so that it is in the way of no other.
        query = f"UPDATE outbox SET watcher = :owner, sent_at = :sent_at WHERE {ROW}"
        at = {"owner": owner, "sent_at": None} if found else {"owner": None, "sent_at": now}
        connection.execute(query, {**at, "name": destination, "id": row[0]})
    return taken


def delivered(connection: sqlite3.Connection, destination: str, id_: str) -> None:
    """Record that a change has arrived."""
    query = f"""
        UPDATE outbox SET sent_at = :now, watcher = NULL, reason = NULL, set_aside_at = NULL
        WHERE {ROW} AND sent_at IS NULL
    """
    _update(connection, query, {"now": time.time()}, destination, id_)


def postpone(
    connection: sqlite3.Connection, destination: str, id_: str, until: float, reason: str, *, hold_until: float = 0.0
) -> bool:
    """Record that a delivery has failed, and when it is due again; return whether it is set aside instead."""
    now, text = time.time(), printable(reason)[:MAX_TEXT]
    query = f"""
        UPDATE outbox SET due = :due, reason = :reason, attempts = attempts + 1, watcher = NULL,
            failed_at = ifnull(failed_at, :now),
            set_aside_at = CASE WHEN set_aside_at IS NOT NULL OR :now - failed_at >= :most THEN :now END
        WHERE {ROW} AND sent_at IS NULL
    """
    values = {"due": until, "reason": text, "now": now, "most": GIVE_UP_AFTER}
    if not _update(connection, query, values, destination, id_):
        return False  # another watcher has delivered it
    query = """
        UPDATE destinations SET due = max(due, :hold_until), reason = :reason, failed_at = :now WHERE name = :name
    """
    connection.execute(query, {**values, "hold_until": hold_until, "name": destination})
    query = f"SELECT set_aside_at IS NOT NULL FROM outbox WHERE {ROW}"
    return bool(connection.execute(query, _names(destination, id_)).fetchone()[0])


def stop(connection: sqlite3.Connection, destination: str, id_: str, reason: str) -> bool:
    """Record that a receiver wants no more changes; return whether that is news. This one waits with the others."""
    postpone(connection, destination, id_, 0.0, reason)
    query = "UPDATE destinations SET stopped_at = ? WHERE name = ? AND stopped_at IS NULL"
    return bool(connection.execute(query, (time.time(), destination)).rowcount)


def is_held(connection: sqlite3.Connection, destination: str, id_: str, owner: str) -> bool:
    """Return whether a change is still a watcher's to deliver."""
    query = f"SELECT 1 FROM outbox WHERE {ROW} AND watcher = :owner AND sent_at IS NULL"
    return bool(connection.execute(query, {"owner": owner, "name": destination, "id": id_}).fetchone())


def number_of(connection: sqlite3.Connection, name: str) -> int:
    """Return the row number of a destination; raise NoLongerThere if there is none."""
    found = connection.execute("SELECT n FROM destinations WHERE name = ?", (printable(name),)).fetchone()
    if found is None:
        raise NoLongerThere(f"the store has no destination {name!r:.80}: see `batchstatus deliveries list`")
    return int(found[0])


def _due(connection: sqlite3.Connection, destination: str, now: float, limit: int) -> dict[str, Any]:
    """Return the values for FROM_OUTBOX; none if nothing is to go there now, as the receiver has said itself."""
    number = number_of(connection, destination)
    values = {"destination": number, "now": now, "latest": clock.now() + MAX_PAUSE, "limit": limit}
    query = """
        SELECT 1 FROM destinations
        WHERE n = :destination AND stopped_at IS NULL AND (due <= :now OR due > :latest)
    """
    return values if connection.execute(query, values).fetchone() else {}


def _update(connection: sqlite3.Connection, query: str, values: dict[str, Any], destination: str, id_: str) -> bool:
    """Change the row of a change that is not delivered yet; return whether there was one, raise if there is none."""
    names = _names(destination, id_)
    if connection.execute(query, values | names).rowcount:
        return True
    if not connection.execute(f"SELECT 1 FROM outbox WHERE {ROW}", names).fetchone():
        raise _not_waiting(destination, id_)
    return False


def _names(destination: str, id_: str) -> dict[str, Any]:
    return {"name": destination, "id": printable(id_)[:MAX_TEXT]}


def _not_waiting(destination: str, id_: str) -> NoLongerThere:
    return NoLongerThere(f"no change with the id {id_!r:.80} waits for the destination {destination!r:.80}")
