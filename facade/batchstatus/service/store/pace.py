"""The pace of an account, kept in the store: all processes that share the file share its slots.

The rules are those of `PaceState`, on the machine's clock since its start, since a monotonic one means nothing in
another process.
"""

from __future__ import annotations

import json
import logging
import math
import sqlite3
import time
from collections import deque
from contextlib import suppress

import attrs

from batchstatus import PaceState, RateLimit

from . import clock
from .connection import Connection

BUSY = 0.5
"""Seconds after which to ask again if the store does not take a booking."""
TOO_LATE = 0.5
"""Of a spacing: a slot that is used later than that would come too close to the one that another process has next."""
COLD = 1.0
"""Seconds by which the first request of a process is late, at most."""
MAX_ASKING = 10_000
"""Callers without a slot at once: of more, the first have given up by now."""
COLUMNS = "spacing, last, slowness, closed_until, closed_for, long_ones, free"
"""The fields of `PaceState`, the last one as JSON."""

log = logging.getLogger("batchstatus")


class StorePace:
    """A `Pace` that several processes share; `Store.pace` makes it."""

    is_local = True
    """A booking takes less than a millisecond, and what SQLite raises becomes a wait."""

    def __init__(self, link: Connection, credential: str, limit: RateLimit) -> None:
        self._connection = link
        self._credential = credential
        self._new = PaceState.of_limit(limit)
        self._slowness = 1.0
        """As last seen in the store: at the normal rate responses need not be recorded."""
        self._is_cold = True
        """Whether this process has yet to send: its first request is late, as everything has to be loaded for it."""
        self._has_yielded = False
        self._closed_until = -math.inf
        """On the monotonic clock: a 429 holds in this process even if the store cannot be written."""
        self._not_booked: deque[float] = deque(maxlen=MAX_ASKING)
        """When callers ask again that were given no slot; a deque, as threads share it."""

    def reserve(self, now: float, before: float) -> float | None:
        """Book the next slot and return the seconds until it; None, and no booking, if it is not before `before`."""
        shared = _shared(now)
        try:
            with self._connection.transaction() as connection:
                state = self._load(connection, shared)
                state.closed_until = max(state.closed_until, shared + self._closed_until - now)
                wait = state.next_slot(shared) - shared
                if now + wait >= before:
                    return None
                if wait <= state.MAX_AHEAD:
                    state.book(shared + wait)
                    state.spacing = self._new.spacing
                    self._save(connection, state)
                    return wait
        except sqlite3.OperationalError as error:
            log.warning("cannot read the shared pace from the store: %s", error)
            return self._ask_again(now, min(BUSY, (before - now) / 2))
        return self._ask_again(now, wait / 2)

    def _ask_again(self, now: float, wait: float) -> float:
        self._not_booked.append(now + wait)
        return wait

    def begin(self, slot: float, now: float) -> bool:
        """Use a booked slot; return False if it is void.

        It is if a 429 has closed the pace meanwhile, or if it is late and others have booked behind it. No caller
        yields twice in a row, so that a process that is always late gets its turn, too.
        """
        with suppress(ValueError):
            self._not_booked.remove(slot)
            return False
        if now < self._closed_until:
            return False
        try:
            return self._begin(slot, now)
        except sqlite3.OperationalError:
            return False

    def _begin(self, slot: float, now: float) -> bool:
        shared, late = _shared(now), now - slot
        with self._connection.exclusive() as connection:
            state = self._load(connection, shared)
        before = attrs.evolve(state)
        if shared < state.closed_until - state.DRIFT:
            return False
        state.begin(shared - late, max(shared, state.closed_until))
        is_overtaken = before.last > shared - late + state.DRIFT
        if late > TOO_LATE * self._new.spacing * before.slowness and is_overtaken and not self._has_yielded:
            self._has_yielded = True
            return False
        self._has_yielded = False
        if self._is_cold or state != before:
            with self._connection.transaction() as connection:
                state = self._load(connection, shared)
                state.begin(shared - late, max(shared, state.closed_until))
                if self._is_cold:
                    state.last = max(state.last, shared + min(self._new.spacing, COLD))
                self._save(connection, state)
            self._is_cold = False
        return True

    def release(self, slot: float) -> None:
        """Give back a booked slot that will not be used."""
        with suppress(ValueError):
            self._not_booked.remove(slot)
            return
        shared = _shared(slot)
        try:
            with self._connection.transaction() as connection:
                state = self._load(connection, clock.now())
                state.release(shared)
                self._save(connection, state)
        except sqlite3.OperationalError as error:
            log.warning("cannot give a slot of the shared pace back: %s", error)

    def refused(self, now: float, pause: float) -> float:
        """Close for `pause` seconds after a 429, and slow down: once for all that were in flight together."""
        shared = _shared(now)
        try:
            with self._connection.transaction() as connection:
                state = self._load(connection, shared)
                pause = state.refused(shared, pause)
                self._save(connection, state)
        except sqlite3.OperationalError as error:
            log.warning("cannot tell other processes of a 429: %s", error)
        self._closed_until = max(self._closed_until, now + pause)
        return pause

    def accepted(self) -> None:
        """Any response but a 429: recover towards the normal rate."""
        if self._slowness <= 1.0:
            return
        try:
            with self._connection.transaction() as connection:
                state = self._load(connection, clock.now())
                state.accepted()
                self._save(connection, state)
        except sqlite3.OperationalError as error:
            log.warning("cannot speed up the shared pace in the store: %s", error)

    def _load(self, connection: sqlite3.Connection, shared: float) -> PaceState:
        """Return the stored state, at the slower of the two spacings if another process has booked last."""
        query = f"SELECT {COLUMNS} FROM paces WHERE credential = ?"
        row = connection.execute(query, (self._credential,)).fetchone()
        state = attrs.evolve(self._new)
        if row is not None:
            state = PaceState(*row)
            state.free = tuple(json.loads(row[-1]))
        if state.repair(shared) and connection.in_transaction:
            self._save(connection, state)
        state.spacing = max(state.spacing, self._new.spacing)
        self._slowness = state.slowness
        return state

    def _save(self, connection: sqlite3.Connection, state: PaceState) -> None:
        self._slowness = state.slowness
        values = (self._credential, *attrs.astuple(state)[:-1], json.dumps(state.free))
        query = f"INSERT OR REPLACE INTO paces (credential, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        connection.execute(query, values)


def _shared(now: float) -> float:
    """Return the time since the machine's start at a time of this process's monotonic clock."""
    return clock.now() + (now - time.monotonic())
