"""The pace of an account, kept in the store: all processes that share the file share its slots.

The rules are those of `PaceState`, on the machine's clock since its start, since a monotonic one means nothing in
another process.

A process that keeps asking, and is alone in that, books its slots in blocks: one transaction for some of them. A block
ends 1 s from now at the latest, so that another process waits no longer for its first slot, and a process that is
killed loses no more; from then on both book slot by slot, in turn. It begins with one slot, and doubles while callers
wait for all of its slots, so that who asks now and then books no more. The slots of a block are used as any others:
each looks at the store, and a 429 that another process has seen voids them.
"""

from __future__ import annotations

import json
import logging
import math
import sqlite3
import time
from collections import deque
from contextlib import suppress
from operator import attrgetter

import attrs

from batchstatus import PaceState, RateLimit
from batchstatus._fork import generation

from . import clock
from .connection import Connection
from .telling import Telling

BUSY = 0.5
"""Seconds after which to ask again if the store does not take a booking."""
COLD = 1.0
"""Seconds by which the first request of a process is late, at most."""
MAX_ASKING = 10_000
"""Callers without a slot at once: of more, the first have given up by now."""
BLOCK_SECONDS = 1.0
"""How far ahead of demand slots are booked: 9 at 9 a second, 10 at 10.8."""
COLUMNS = "spacing, last, slowness, closed_until, closed_for, long_ones, free"
"""The fields of `PaceState`, the last one as JSON."""
VALUES = attrgetter(*COLUMNS.split(", "))
"""Three times as fast as `attrs.astuple`."""

log = logging.getLogger("batchstatus")


class StorePace:
    """A `Pace` that several processes share; `Store.pace` makes it."""

    is_local = True
    """A booking takes less than a millisecond, and what SQLite raises becomes a wait."""

    def __init__(self, link: Connection, credential: str, limit: RateLimit) -> None:
        self._connection = link
        self._credential = credential
        self._new = PaceState.of_limit(limit)
        self._telling = Telling()
        self._slowness = 1.0
        """As last seen in the store: at the normal rate responses need not be recorded."""
        self._is_cold = True
        """Whether this process has yet to send: its first request is late, as everything has to be loaded for it."""
        self._has_yielded = False
        self._closed_until = -math.inf
        """On the monotonic clock: a 429 holds in this process even if the store cannot be written."""
        self._generation = generation()
        self._block: deque[float] = deque()
        """Slots that are booked and not yet handed out; these four are in the machine's time."""
        self._size = 1
        """Slots in the next block, at most."""
        self._end = -math.inf
        """The last slot that this process has booked."""
        self._handed = -math.inf
        """The last slot that a caller has."""
        self._closed = -math.inf
        """Up to when the pace was closed when the block was booked."""
        self._not_booked: deque[float] = deque(maxlen=MAX_ASKING)
        """When callers ask again that were given no slot; a deque, as threads share it."""

    def reserve(self, now: float, before: float) -> float | None:
        """Book the next slot and return the seconds until it; None, and no booking, if it is not before `before`."""
        shared = _shared(now)
        if now >= self._closed_until and (slot := self._of_block(shared, shared + before - now)) is not None:
            return slot - shared
        try:
            with self._connection.transaction() as connection:
                state = self._load(connection, shared)
                state.closed_until = max(state.closed_until, shared + self._closed_until - now)
                slot = state.next_slot(shared)
                wait = slot - shared
                if now + wait >= before:
                    return None
                if wait <= state.MAX_AHEAD:
                    self._book(state, slot, shared)
                    state.spacing = self._new.spacing
                    self._save(connection, state)
                    return wait
        except sqlite3.OperationalError as error:
            log.log(self._telling.level(), "cannot read the shared pace from the store: %s", error)
            return self._ask_again(now, min(BUSY, (before - now) / 2))
        return self._ask_again(now, wait / 2)

    def _of_block(self, shared: float, before: float) -> float | None:
        """Take the first slot of the block that is not over; None if there is none before `before`."""
        if generation() != self._generation:  # it is the parent's
            self._generation, self._size = generation(), 1
            self._block.clear()
        with suppress(IndexError):  # threads share it
            while True:
                slot = self._block.popleft()
                if slot >= before:
                    self._block.appendleft(slot)
                    return None
                if slot >= shared:
                    self._handed = max(self._handed, slot)
                    return slot
                self._size = 0
        return None

    def _book(self, state: PaceState, slot: float, shared: float) -> None:
        """Book a slot for a caller; the ones behind it, too, if there were waits for all slots of the last block."""
        is_steady = slot > shared and state.last <= self._end + state.DRIFT
        slots = state.book_block(slot, shared + BLOCK_SECONDS, max(self._size * 2, 1) if is_steady else 1)
        self._size = len(slots)
        self._block.extend(slots[1:])
        self._handed, self._end, self._closed = max(self._handed, slot), slots[-1], state.closed_until

    def _ask_again(self, now: float, wait: float) -> float:
        self._not_booked.append(now + wait)
        return wait

    def begin(self, slot: float, now: float) -> bool:
        """Use a booked slot; return False if it is void.

        It is if a 429 has closed the pace meanwhile, or if it is late and others have booked behind it. No caller
        yields twice in a row, so that a process that is always late gets its turn, too.
        """
        if self._not_booked:
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
        shared = _shared(now)
        late, slot = now - slot, shared - (now - slot)
        query = "SELECT closed_until, last, slowness FROM paces WHERE credential = ?"
        found = self._connection.peek(query, (self._credential,))
        closed_until, last, slowness = found or (-math.inf, -math.inf, 1.0)
        self._slowness = slowness
        if closed_until != self._closed:  # the slots of the block are as close as before
            self._block.clear()
        if shared < closed_until - PaceState.DRIFT:
            with self._connection.exclusive() as connection:
                closed_until = self._load(connection, shared).closed_until  # unless the clock was set back
            if shared < closed_until - PaceState.DRIFT:
                return False
        if late <= PaceState.LATE * self._new.spacing and not self._is_cold:
            self._has_yielded = False
            return True
        while self._block and self._block[0] < shared + self._new.spacing * slowness:
            self._block.popleft()
        is_overtaken = self._handed > slot + PaceState.DRIFT or (
            not self._block and last > max(self._end, slot) + PaceState.DRIFT
        )
        if late > PaceState.TOO_LATE * self._new.spacing * slowness and is_overtaken and not self._has_yielded:
            self._has_yielded = True
            return False
        self._has_yielded = False
        if not self._is_cold and last >= shared:
            return True
        with self._connection.transaction() as connection:
            state = self._load(connection, shared)
            state.begin(slot, max(shared, state.closed_until))
            if self._is_cold:
                state.last = max(state.last, shared + min(self._new.spacing, COLD))
            self._save(connection, state)
            self._end = max(self._end, state.last)
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
                while self._block:  # there may be no caller left to take them
                    state.release(self._block.popleft())
                self._save(connection, state)
        except sqlite3.OperationalError as error:
            log.log(self._telling.level(), "cannot give a slot of the shared pace back: %s", error)

    def refused(self, now: float, pause: float) -> float:
        """Close for `pause` seconds after a 429, and slow down: once for all that were in flight together."""
        shared = _shared(now)
        self._block.clear()
        try:
            with self._connection.transaction() as connection:
                state = self._load(connection, shared)
                pause = state.refused(shared, pause)
                self._save(connection, state)
        except sqlite3.OperationalError as error:
            log.log(self._telling.level(), "cannot tell other processes of a 429: %s", error)
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
            log.log(self._telling.level(), "cannot speed up the shared pace in the store: %s", error)

    def _load(self, connection: sqlite3.Connection, shared: float) -> PaceState:
        """Return the stored state, at the slower of the two spacings if another process has booked last."""
        query = f"SELECT {COLUMNS} FROM paces WHERE credential = ?"
        row = connection.execute(query, (self._credential,)).fetchone()
        state = attrs.evolve(self._new) if row is None else PaceState(*row)
        if row is not None:
            state.free = tuple(json.loads(row[-1]))
        if state.repair(shared) and connection.in_transaction:
            self._save(connection, state)
        state.spacing = max(state.spacing, self._new.spacing)
        self._slowness = state.slowness
        return state

    def _save(self, connection: sqlite3.Connection, state: PaceState) -> None:
        self._slowness = state.slowness
        *rest, free = VALUES(state)
        query = f"INSERT OR REPLACE INTO paces (credential, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        connection.execute(query, (self._credential, *rest, json.dumps(free)))


def _shared(now: float) -> float:
    """Return the time since the machine's start at a time of this process's monotonic clock."""
    return clock.now() + (now - time.monotonic())
