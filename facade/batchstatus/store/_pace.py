"""The pace of an account, kept in the store: all processes that share the file share its slots.

The rules are those of `batchstatus._core.pacing.Gate`, by the wall clock, as a monotonic one means nothing elsewhere. No
slot is booked more than AHEAD seconds ahead, so one that stands further ahead tells that the clock was put back.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections import deque
from contextlib import suppress

from attrs import frozen

from batchstatus import RateLimit
from batchstatus._core.pacing import LATE, MAX_SLOWNESS, RECOVERY, spacing

from ._link import Link

AHEAD = 60.0
"""Seconds."""
BUSY = 0.5
"""Seconds after which to ask again where the store does not take a booking."""
TOO_LATE = 0.5
"""Of a spacing: a slot that is used later than that would come too close to the one that another process has next."""
COLD = 1.0
"""Seconds by which the first request of a process is late at most."""
MOST_ASKING = 10_000
"""Callers without a slot at once: of more, the first are taken to have given up."""
SAME_TIME = 0.01
"""Seconds by which the two clocks of a machine may drift apart in a pause."""

log = logging.getLogger("batchstatus")


@frozen
class _Slots:
    """What the store knows of a pace."""

    last: float = -math.inf
    """The slot that was booked last."""
    gap: float = 0.0
    """The spacing of the process that booked it."""
    slowness: float = 1.0
    closed_until: float = -math.inf
    """What a 429 asked for: no clock jump undoes it."""
    closed_for: float = 0.0


class StorePace:
    """A `Pace` that several processes share; `Store.pace` makes it."""

    def __init__(self, link: Link, credential: str, limit: RateLimit) -> None:
        self._link = link
        self._credential = credential
        self._gap = spacing(limit)
        self._slowness = 1.0
        self._is_cold = True
        """Whether this process has yet to read: its first request is late, as all has to be loaded for it."""
        self._has_given_way = False
        self._closed_until = -math.inf
        self._not_booked: deque[float] = deque(maxlen=MOST_ASKING)
        """When to ask again, for those who were given no slot; a deque, as threads share it."""

    def reserve(self, now: float, before: float) -> float | None:
        """Book the next slot and return the seconds until it; where that is not before `before`, book none: None."""
        wall = _wall(now)
        try:
            with self._link.transaction() as connection:
                slots = self._slots(connection, wall)
                gap = max(self._gap, slots.gap) * slots.slowness
                wait = max(wall, slots.last + gap, slots.closed_until, wall + self._closed_until - now) - wall
                if now + wait >= before:
                    return None
                if wait <= AHEAD:
                    self._write(connection, last=wall + wait, gap=self._gap)
                    return wait
        except sqlite3.OperationalError as error:
            log.warning("the store's pace is not to be had: %s", error)
            return self._ask_again(now, min(BUSY, (before - now) / 2))
        return self._ask_again(now, wait / 2)

    def _ask_again(self, now: float, wait: float) -> float:
        self._not_booked.append(now + wait)
        return wait

    def begin(self, slot: float, now: float) -> bool:
        """Use a booked slot; return False where it stands no longer.

        A 429 has closed the pace meanwhile; or it is late, and others have booked behind it. Nobody gives way twice in
        a row, so that a process that is always late reads too.
        """
        with suppress(ValueError):
            self._not_booked.remove(slot)
            return False
        if now < self._closed_until:
            return False
        wall = _wall(now)
        try:
            with self._link.turn() as connection:
                slots = self._slots(connection, wall)
            if wall < slots.closed_until - SAME_TIME:
                return False
            late, gap = now - slot, self._gap * slots.slowness
            if late > TOO_LATE * gap and slots.last > wall - late + SAME_TIME and not self._has_given_way:
                self._has_given_way = True
                return False
            self._has_given_way = False
            if self._is_cold or late > LATE * gap:
                with self._link.transaction() as connection:
                    slots = self._slots(connection, wall)
                    self._write(connection, last=max(slots.last, wall + min(self._gap, COLD) * self._is_cold))
                self._is_cold = False
        except sqlite3.OperationalError:
            return False
        return True

    def refused(self, now: float, pause: float) -> None:
        """Close for `pause` seconds after a 429, and slow down: once for all that were under way together."""
        wall = _wall(now)
        self._closed_until = max(self._closed_until, now + pause)
        try:
            with self._link.transaction() as connection:
                slots = self._slots(connection, wall)
                if wall >= slots.closed_until:
                    self._slowness = min(slots.slowness * 2.0, MAX_SLOWNESS)
                    self._write(connection, slowness=self._slowness)
                if wall + pause > slots.closed_until:
                    self._write(connection, closed_until=wall + pause, closed_for=pause)
        except sqlite3.OperationalError as error:
            log.warning("other processes do not learn of a 429: %s", error)

    def accepted(self) -> None:
        """Any other answer: the vendor is content, so speed up again."""
        if self._slowness <= 1.0:
            return
        try:
            with self._link.transaction() as connection:
                slots = self._slots(connection, time.time())
                self._slowness = max(slots.slowness * RECOVERY, 1.0)
                self._write(connection, slowness=self._slowness)
        except sqlite3.OperationalError as error:
            log.warning("the store's pace does not speed up: %s", error)

    def _slots(self, connection: sqlite3.Connection, wall: float) -> _Slots:
        """Return what is known, without what a clock that was put back has made of it."""
        query = "SELECT last, gap, slowness, closed_until, closed_for FROM paces WHERE credential = ?"
        row = connection.execute(query, (self._credential,)).fetchone()
        if row is None:
            return _Slots()
        last, gap, slowness, closed_until, closed_for = row
        self._slowness = slowness
        if last > wall + AHEAD + SAME_TIME:
            last = -math.inf
        if closed_until > wall + closed_for + AHEAD:
            closed_until = wall + closed_for
            if connection.in_transaction:
                self._write(connection, closed_until=closed_until)
        return _Slots(last, gap, slowness, closed_until, closed_for)

    def _write(self, connection: sqlite3.Connection, **columns: float) -> None:
        first = "INSERT OR IGNORE INTO paces VALUES (?, -9e999, 0.0, 1.0, -9e999, 0.0)"
        connection.execute(first, (self._credential,))
        changes = ", ".join(f"{name} = ?" for name in columns)
        connection.execute(f"UPDATE paces SET {changes} WHERE credential = ?", (*columns.values(), self._credential))


def _wall(now: float) -> float:
    """Return what the wall clock says at a monotonic time."""
    return time.time() + (now - time.monotonic())
