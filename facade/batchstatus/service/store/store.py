"""The store: tracked batches, every change of theirs that was seen, and an outbox, in one SQLite file.

    with Store() as store:
        store.track(["shop:1748392"], labels={"campaign": "spring"})

A `Watcher` reads the tracked batches. No key is ever written to the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from batchstatus import Batch, BatchRef, BatchStatusError, ConfigurationError, Durations, RateLimit
from batchstatus.service.folders import default_path

from . import backup, clock, durations, leases, outbox, overview, tracking
from .connection import Connection, Faults
from .durations import Past
from .leases import Claim
from .overview import Overview
from .pace import StorePace
from .records import KINDS, TRACKED, Change, Destination, Pending, Tracked, decoded, tracked, utc
from .records import ref as ref_of
from .schema import check_readable, prepare, version_of

__all__ = [
    "Change",
    "Claim",
    "Destination",
    "Overview",
    "Past",
    "Pending",
    "Store",
    "StorePace",
    "Tracked",
    "default_path",
]

TRACKED_AT_ONCE = 2_000
"""Refs that are added or removed in one transaction, which takes 20 to 40 ms: of 100,000 at once others would wait for
seconds."""
GAP = 0.03
"""Seconds between two such transactions: others that wait look every 25 ms, and would not come in between else."""
PRUNED_AT_ONCE = 500
"""Changes that are deleted in one transaction, so that others need not wait for long."""
MAX_NAME = 200
"""Characters of a destination's name."""
PACE_BUSY_TIMEOUT = 0.25
"""Seconds that the event loop of a watcher waits at most for another process that writes."""

SUMMARY = (
    """
    SELECT count(*) AS tracked, coalesce(sum(NOT ended), 0) AS open,
        coalesce(sum(NOT ended AND NOT resting AND watcher IS NULL), 0) AS unclaimed,
        coalesce(sum(NOT ended AND lost_at IS NOT NULL), 0) AS lost,
        coalesce(sum(NOT ended AND resting), 0) AS resting,
        coalesce(sum(NOT ended AND error IS NOT NULL), 0) AS troubled
    FROM refs WHERE tracked
""",
    """
    SELECT count(*) AS outbox, coalesce(sum(sent_at IS NULL AND set_aside_at IS NULL), 0) AS undelivered,
        coalesce(sum(sent_at IS NULL AND set_aside_at IS NULL AND attempts), 0) AS failed_deliveries,
        coalesce(sum(set_aside_at IS NOT NULL), 0) AS set_aside
    FROM outbox
""",
    """
    SELECT (SELECT count(*) FROM changes) AS changes, (SELECT count(*) FROM destinations) AS destinations,
        (SELECT count(*) FROM watchers) AS watchers
""",
)
"""How much is in the store, each table in one pass."""


class Store:
    """A store, for any number of threads; a forked child opens one of its own.

    A change is on the disk when the call that stores it returns; it survives a power failure.

    Args:
        path: The file, created if it does not exist; default: `default_path()`. It has to be on a local disk.
        read_only: Only read: the file may be another user's, or on a disk that cannot be written.

    Raises:
        ConfigurationError: The file cannot be opened, is not a store, or was written by a newer version.
        sqlite3.OperationalError: By any call, if the disk is full or another process keeps the file locked.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, read_only: bool = False) -> None:
        self.path = default_path() if path is None else Path(path).absolute()
        (check_readable if read_only else prepare)(self.path)
        self.faults = Faults()
        """The accesses that have failed, but for those of paces: a `run` tells of them in its metrics."""
        connection = partial(Connection, self.path, read_only=read_only)
        self._changes = connection(synchronous="FULL", faults=self.faults)
        self._work = connection(synchronous="NORMAL", faults=self.faults)
        # A connection of its own: a long read is then in the way of no other.
        self._overview = Connection(self.path, read_only=True, faults=self.faults)
        self._paces = connection(synchronous="NORMAL", busy_timeout=PACE_BUSY_TIMEOUT)
        self._locks = leases.Locks(self.path)

    @property
    def id(self) -> str:
        """Its id, which every change names: it is made with the file."""
        ((found,),) = self._work.rows("SELECT id FROM store")
        return str(found)

    def track(self, refs: Iterable[str | BatchRef], labels: Mapping[str, str] | None = None) -> int:
        """Follow the batches from now on; return how many were not followed before.

        Labels are added to those that a ref has.
        """
        return self._in_turns(partial(tracking.track, labels=_checked(labels)), refs)

    def untrack(self, refs: Iterable[str | BatchRef]) -> int:
        """Stop following the batches; return how many were followed. Their history stays.

        Changes of theirs that have not arrived at a destination are not delivered any more.
        """
        return self._in_turns(tracking.untrack, refs)

    def _in_turns(
        self, call: Callable[[sqlite3.Connection, list[BatchRef]], int], refs: Iterable[str | BatchRef]
    ) -> int:
        """Call a function with some refs at a time, each time in a transaction; return the sum of its numbers."""
        parsed, number = [*map(BatchRef.parse, refs)], 0
        for start in range(0, len(parsed), TRACKED_AT_ONCE):
            if start:
                time.sleep(GAP)
            with self._changes.transaction() as connection:
                number += call(connection, parsed[start : start + TRACKED_AT_ONCE])
        return number

    def tracked(self, *, labels: Mapping[str, str] | None = None, open_only: bool = False) -> list[Tracked]:
        """Return the tracked batches in the order of their adding: those with these labels, or the open ones."""
        only = " AND NOT ended" if open_only else ""
        rows = self._work.rows(f"SELECT {TRACKED} FROM refs WHERE tracked{only} ORDER BY added_at, n")
        wanted = _checked(labels).items()
        return [found for found in decoded(rows, tracked) if wanted <= found.labels.items()]

    def record(self, batch: Batch, *, owner: str | None = None) -> Change | None:
        """Store a reading; return the change, which is in the outbox now, or None if nothing has changed."""
        return next(iter(self.record_all([batch], owner=owner)), None)

    def record_all(self, batches: Iterable[Batch], *, owner: str | None = None) -> list[Change]:
        """Store readings, all or none; return the changes among them.

        One that was asked for before the stored one changes nothing.

        Args:
            batches: The readings.
            owner: The watcher that has read them: only those of refs that it still has are stored.
        """
        with self._work.exclusive() as connection:
            new, same = tracking.compared(connection, batches)
        if same:
            with self._work.transaction() as connection:
                new += [batch for batch in same if tracking.is_change(connection, batch, owner)]
        if not new:
            return []
        with self._changes.transaction() as connection:
            found = [tracking.record(connection, batch, owner) for batch in new]
        return [change for change in found if change is not None]

    def record_refusal(
        self, ref: str | BatchRef, error: BaseException | str, *, owner: str | None = None
    ) -> Change | None:
        """Store that the vendor denies a batch, which ends nothing.

        Three times in a row over 10 minutes it counts as lost: the change of the kind "lost" is returned, once. A
        reading makes it found. One that has been lost for a day is given to no watcher any more: see `retry`.
        """
        with self._changes.transaction() as connection:
            return tracking.record_refusal(connection, BatchRef.parse(ref), _detail(error), owner)

    def record_error(self, ref: str | BatchRef, error: BaseException | str, *, owner: str | None = None) -> None:
        """Store why a batch cannot be read, for `Tracked.error`; the next reading clears it."""
        with self._work.transaction() as connection:
            tracking.record_error(connection, BatchRef.parse(ref), _detail(error), owner)

    def lost(self, refs: Iterable[BatchRef]) -> set[BatchRef]:
        """Return which of the refs are lost."""
        query = "SELECT ref FROM refs WHERE lost_at IS NOT NULL AND ref IN (SELECT value FROM json_each(?))"
        rows = self._work.rows(query, [json.dumps([str(ref) for ref in refs])])
        return {*decoded(rows, ref_of)}

    def retry(self, refs: Iterable[str | BatchRef]) -> int:
        """Read lost batches at once, and then for another day ever more seldom; return how many were lost."""
        return self._in_turns(tracking.retry, refs)

    def history(self, ref: str | BatchRef) -> list[Change]:
        """Return all changes of a batch, oldest first; of one that is no longer followed, too."""
        with self._work.exclusive() as connection:
            return tracking.history(connection, BatchRef.parse(ref))

    def changes(self, *, since: datetime | None = None, after: str | None = None, limit: int = 1_000) -> list[Change]:
        """Return changes in the order in which they were stored.

        Args:
            since: Only those that were stored then or later.
            after: Only those that came after the change with this id: how to go on.
            limit: The first so many.
        """
        with self._work.exclusive() as connection:
            return tracking.changes(connection, since, after, limit)

    def durations(self) -> dict[tuple[str, str], Durations]:
        """Return how long ended batches took, by account ref and kind (the label `kind`; "" without one)."""
        with self._work.exclusive() as connection:
            return durations.learned(connection)

    def past(self) -> Past:
        """Return the same by ref, for a wait: `client.wait_all(refs, timeout=600, history=store.past())`."""
        return Past(self.durations(), self._kinds)

    def _kinds(self) -> dict[str, str]:
        with self._work.exclusive() as connection:
            return durations.kinds(connection)

    def serve(self, destination: str, kinds: Iterable[str] | None = None) -> None:
        """Keep the changes that are stored from now on for a destination, until each has arrived there.

        A service says so again and again while it runs, which `Destination.served_at` shows.

        Args:
            destination: A name of the caller's choice: 1 to 200 printable characters; see `destination_name` for a URL.
            kinds: The kinds of changes that it wants, such as ["ended", "lost"]; others that wait there are dropped.
                Default: all.

        Raises:
            ConfigurationError: There is no such kind, or the name cannot be one.
        """
        wanted = checked_kinds(kinds)
        if not 1 <= len(destination) <= MAX_NAME or not destination.isprintable():
            raise ConfigurationError(
                f"the name of a destination is 1 to {MAX_NAME} printable characters, not {destination!r:.80}"
            )
        with self._work.transaction() as connection:
            outbox.serve(connection, destination, wanted)

    @property
    def salt(self) -> str:
        """Some random text, made with the file, for hashes that only this store's processes can compare."""
        ((found,),) = self._work.rows("SELECT salt FROM store")
        return str(found)

    def destination_name(self, url: str) -> str:
        """Return the name of the destination at a URL, which tells nothing about it: a keyed hash."""
        return hashlib.blake2b(url.encode(), key=self.salt.encode(), digest_size=6).hexdigest()

    def destinations(self) -> list[Destination]:
        """Return the destinations for which changes are kept."""
        with self._work.exclusive() as connection:
            return outbox.destinations(connection)

    def pending(self, destination: str, limit: int = 1_000) -> list[Pending]:
        """Return the changes that have not arrived at a destination, oldest first: those that wait, or are set aside.

        Raises:
            ConfigurationError: There is no such destination.
        """
        with self._work.exclusive() as connection:
            return outbox.pending(connection, destination, limit)

    def undelivered_of(self, refs: Iterable[str | BatchRef]) -> int:
        """Return how many deliveries of changes of these batches have not arrived."""
        query = """
            SELECT count(*) FROM outbox JOIN refs ON refs.n = outbox.ref
            WHERE sent_at IS NULL AND refs.ref IN (SELECT value FROM json_each(?))
        """
        ((found,),) = self._work.rows(query, [json.dumps([str(BatchRef.parse(ref)) for ref in refs])])
        return int(found)

    def retry_deliveries(self, destination: str, id: str | None = None) -> int:  # noqa: A002 (the field's name)
        """Deliver at once what has not arrived, and try it again for days; a stopped destination goes on.

        Args:
            destination: Its name.
            id: One change alone, which starts no destination; default: all of them.

        Returns:
            How many changes.

        Raises:
            ConfigurationError: There is no such destination, or that change does not wait for it.
        """
        with self._changes.transaction() as connection:
            return outbox.retry(connection, destination, id)

    def drop_destination(self, destination: str) -> int:
        """Keep nothing for a destination any more; return how many changes had not arrived there."""
        with self._changes.transaction() as connection:
            return outbox.drop(connection, destination)

    def drop_delivery(self, destination: str, id: str) -> None:  # noqa: A002 (the field's name)
        """Do not deliver one change to a destination.

        Raises:
            ConfigurationError: There is no such destination, or that change does not wait for it.
        """
        with self._changes.transaction() as connection:
            outbox.drop_one(connection, destination, id)

    def undelivered(
        self, destination: str, now: float | None = None, limit: int = 100, *, owner: str | None = None
    ) -> list[Change]:
        """Return the changes that are due for delivery by now, of each batch the oldest.

        Args:
            destination: Where they are to go.
            now: Seconds since the machine was started; default: the present.
            limit: The first so many.
            owner: A watcher that has a claim; the changes are then its own until `delivered` or `postpone`.
        """
        now = clock.now() if now is None else now
        with self._work.exclusive() as connection:
            found = outbox.undelivered(connection, destination, now, limit)
        if owner is None or not found:
            return found
        with self._work.transaction() as connection:
            return outbox.take(connection, destination, now, limit, owner)

    def holds(self, owner: str, destination: str, id: str) -> bool:  # noqa: A002 (the field's name)
        """Return whether a change is still a watcher's to deliver."""
        with self._work.exclusive() as connection:
            return outbox.is_held(connection, destination, id, owner)

    def delivered(self, destination: str, id: str) -> None:  # noqa: A002 (the field's name)
        """Record that a change has arrived."""
        with self._work.transaction() as connection:
            outbox.delivered(connection, destination, id)

    def postpone(
        self,
        destination: str,
        id: str,  # noqa: A002 (the field's name)
        until: float,
        reason: str,
        *,
        hold_until: float = 0.0,
    ) -> bool:
        """Record that a delivery has failed, and why; one that has failed for 3 days is set aside.

        Args:
            destination: Where the change was to go.
            id: The change's.
            until: When it is due again, in seconds since the machine was started, an hour ahead at most: a later time
                counts as due, since the machine may have no boot id.
            reason: Why it has failed; it is shown, so it must hold no secret.
            hold_until: Until when nothing is due there, as the receiver has said; likewise.

        Returns:
            Whether it is set aside, and tried no more.
        """
        with self._work.transaction() as connection:
            return outbox.postpone(connection, destination, id, until, reason, hold_until=hold_until)

    def stop(self, destination: str, id: str, reason: str) -> bool:  # noqa: A002 (the field's name)
        """Record that a receiver wants no more changes: they wait for `retry_deliveries`; return whether that is news.

        Args:
            destination: Where the change was to go.
            id: The change's to which it said so; that one waits, too.
            reason: What it said.
        """
        with self._work.transaction() as connection:
            return outbox.stop(connection, destination, id, reason)

    def retry_now(self, destination: str) -> None:
        """Make all waiting changes of a destination due now, unless the receiver has asked to be left alone."""
        with self._work.transaction() as connection:
            outbox.retry_now(connection, destination)

    def claim(
        self, owner: str, seconds: float = 30.0, account_refs: Iterable[str] | None = None, *, since: int = 0
    ) -> Claim:
        """Take a fair share of the open refs for a watcher; return those that are new to it, longest unread first.

        Args:
            owner: The watcher's name, which no other living one may have.
            seconds: For how long, unless it renews its lease.
            account_refs: The accounts that it has: "shop", "shop/acme"; default: any.
            since: The `move` of its last claim: only what has changed since is looked at; default: all of its refs.
        """
        step = partial(leases.claim, locks=self._locks, name=owner, account_refs=account_refs, seconds=seconds)
        self._until_done(step)
        with self._work.exclusive() as connection:
            return leases.claimed(connection, owner, since)

    def held(self, owner: str, refs: Iterable[BatchRef]) -> set[BatchRef]:
        """Return which of the refs are a watcher's own, and open."""
        query = f"""
            SELECT ref FROM refs WHERE watcher = ? AND {leases.OPEN} AND ref IN (SELECT value FROM json_each(?))
        """
        rows = self._work.rows(query, [owner, json.dumps([str(ref) for ref in refs])])
        return {*decoded(rows, ref_of)}

    def renew(self, owner: str, seconds: float = 30.0) -> bool:
        """Renew a lease; return whether to `claim` again, since refs or watchers have come or gone."""
        with self._work.transaction() as connection:
            return leases.renew(connection, self._locks, owner, seconds)

    def release(self, owner: str) -> None:
        """Release all refs of a watcher, for others to take."""
        self._locks.release(owner)  # first: even if the store cannot be written just now, the others see it
        self._until_done(partial(leases.release, name=owner))

    def _until_done(self, step: Callable[[sqlite3.Connection], bool]) -> None:
        """Call a function, each time in a transaction, for as long as it returns True."""
        while True:
            with self._work.transaction() as connection:
                if not step(connection):
                    return
            time.sleep(GAP)

    def account_refs(self) -> set[str]:
        """Return the accounts of the open refs: "shop", "shop/acme"."""
        return {account_ref for (account_ref,) in self._work.rows("SELECT account_ref FROM shares WHERE open > 0")}

    def pace(self, credential: str, limit: RateLimit) -> StorePace:
        """Return a pace that all processes share which ask this store for it, for `rate_limit=` of an account.

        Args:
            credential: A name for the account that tells nothing about its keys; it is stored.
            limit: The vendor's limit for it.
        """
        return StorePace(self._paces, credential, limit)

    def summary(self) -> dict[str, int]:
        """Return how much is in the store: batches by kind, changes, and what is to be delivered."""
        found: dict[str, int] = {}
        with self._work.exclusive() as connection:
            for query in SUMMARY:
                rows = connection.execute(query)
                found |= zip((column[0] for column in rows.description), rows.fetchone(), strict=True)
        return found

    def unread_since(self) -> datetime | None:
        """Return since when the open batches have gone unread; None if there are none, or a watcher runs just now.

        A watcher that has died counts as running until its lease ends, for half a minute.
        """
        now, most = clock.now(), leases.CLOCK
        ((running, idle),) = self._work.rows(leases.IDLE, {"now": now, "most": most})
        return None if running or idle is None else utc(idle)

    def overview(self) -> Overview:
        """Return how everything stands, for people on call and for metrics; of 100,000 batches in 0.2 s."""
        with self._overview.exclusive() as connection:
            return overview.overview(connection)

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Write all of the store to a new file, which only its owner can read; services go on meanwhile.

        Raises:
            ConfigurationError: The file exists, or cannot be made.
        """
        with self._work.exclusive() as connection:
            backup.backup(connection, Path(target))

    @staticmethod
    def restore(source: str | os.PathLike[str], path: str | os.PathLike[str] | None = None) -> None:
        """Put a backup in the place of a store, which gets another id; services that run on it end.

        Args:
            source: A file that `backup` has made.
            path: The store, which need not exist; default: `default_path()`.

        Raises:
            ConfigurationError: The source is not such a file.
        """
        backup.restore(Path(source), default_path() if path is None else Path(path).absolute())

    def prune(self, keep: timedelta) -> int:
        """Delete changes older than `keep` that have arrived everywhere, but for the last one of each open batch.

        Batches that have ended, or are not tracked any more, go with their last change.

        Returns:
            How many changes are gone.
        """
        before, gone = time.time() - keep.total_seconds(), 0
        while True:
            with self._changes.transaction() as connection:
                some = tracking.prune(connection, before, PRUNED_AT_ONCE)
            gone += some
            if some < PRUNED_AT_ONCE:
                return gone
            time.sleep(GAP)

    def check(self) -> dict[str, Any]:
        """Return whether the file is sound ("ok"), its version, and how much is in it; it reads the whole file."""
        with self._work.exclusive() as connection:
            faults = [fault for (fault,) in connection.execute("PRAGMA integrity_check") if fault != "ok"]
            for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
                faults.append(f"{table}: row {row} has no {parent}")
            version = version_of(connection)
        sound = "; ".join(faults) or "ok"
        return {"path": str(self.path), "integrity_check": sound, "version": version, "id": self.id, **self.summary()}

    def close(self) -> None:
        """Close the file and release the claims of this process; a second time does nothing."""
        self._locks.close()
        for link in (self._changes, self._work, self._paces, self._overview):
            link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _detail(error: BaseException | str) -> str:
    """Return the text of an error without its ref, which stands beside it."""
    return error.detail if isinstance(error, BatchStatusError) else str(error)


def checked_kinds(kinds: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the kinds of changes; raise ConfigurationError if there is no such kind, or none at all."""
    if kinds is None:
        return None
    wanted = (kinds,) if isinstance(kinds, str) else tuple(dict.fromkeys(kinds))
    if not wanted or not {*wanted} <= {*KINDS}:
        raise ConfigurationError(f"the kinds of changes are {', '.join(KINDS)}, not {', '.join(wanted)!r:.80}")
    return wanted


def _checked(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Return the labels; raise ConfigurationError if they are not text."""
    labels = {} if labels is None else labels
    if not isinstance(labels, Mapping) or not all(isinstance(text, str) for pair in labels.items() for text in pair):
        raise ConfigurationError(f"labels map text to text, such as {{'campaign': 'spring'}}, not {labels!r:.80}")
    return dict(labels)
