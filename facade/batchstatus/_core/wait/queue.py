"""The open batches of one account. Of those that are due, that with the earliest last reading plus spread goes first.

Without placement the spread is 0, so the one read longest ago goes first, and mean lateness is that of a plain round.
Longest overdue first would be 10 % later with 300 batches, since the young ones, with their short intervals, push in.
"""

from __future__ import annotations

import heapq
import math

from batchstatus._core.account import Account
from batchstatus._core.errors import BatchStatusError
from batchstatus._core.policies import Pace

from .evidence import AccountEvidence
from .health import Health
from .placement import Placement
from .progress import BatchProgress

NEVER = 10.0**9
"""Seconds: a batch that was never read sorts as if it had been read this long ago."""


class Queue:
    """The open batches of one account that are not in flight."""

    __slots__ = ("_added", "_booked", "_due", "_later", "account", "ended_by", "evidence", "health", "number",
                 "open", "pace", "placement", "slot", "wake_at")  # fmt: skip

    def __init__(self, account: Account, pace: Pace, *, is_endless: bool = False) -> None:
        self.account = account
        self.pace = pace
        self.health = Health()
        self.evidence = AccountEvidence(is_endless=is_endless)
        self.open = 0
        """Batches that have not ended, those in flight included."""
        self.ended_by: BatchStatusError | None = None
        """What ends all of them, if anything does."""
        self.slot: float | None = None
        """When the batch goes for which a slot is booked."""
        self.placement: Placement | None = None
        """Where its polls go if too many batches are due; None: to the batch read longest ago."""
        self.number = -1
        """Its place among the queues of its wait; -1: it has none yet."""
        self.wake_at = math.inf
        """When the wait looks at it next, unless a slot is booked."""
        self._booked: tuple[float, float, BatchProgress] | None = None
        self._added = 0
        self._due: list[tuple[float, float, BatchProgress]] = []
        """A heap: the last reading plus spread of each, when it was due, and the batch."""
        self._later: list[tuple[float, BatchProgress]] = []
        """A heap: when each is due, and the batch."""

    def add_unread(self, progress: BatchProgress, now: float) -> None:
        """Add a batch that was never read: due at once, before all that were, in the order in which they come."""
        self.open += 1
        heapq.heappush(self._due, (self._unread_key(), now, progress))

    def _unread_key(self) -> float:
        """Return a heap key that sorts before every time of a reading, and after the unread batches before it."""
        self._added += 1
        return self._added - NEVER

    def add(self, progress: BatchProgress, due: float) -> None:
        """Add a batch that is due at a time."""
        heapq.heappush(self._later, (due, progress))

    def next_due(self, now: float) -> float | None:
        """Return when the next batch is due; None without one."""
        while self._later and (self._later[0][0] <= now or self._later[0][1].is_discarded):
            due, progress = heapq.heappop(self._later)
            if not progress.is_discarded:
                heapq.heappush(self._due, (progress.read_at + progress.spread, due, progress))
        while self._due and self._due[0][2].is_discarded:
            heapq.heappop(self._due)
        if self._due:
            return self._due[0][1]
        return self._later[0][0] if self._later else None

    def book(self, slot: float) -> None:
        """Give a slot to the batch that is due and goes first."""
        self.slot, self._booked = slot, heapq.heappop(self._due)

    def cancel(self) -> None:
        """Take the slot back: its batch is due as before."""
        assert self._booked is not None
        heapq.heappush(self._due, self._booked)
        self.slot = self._booked = None

    def release(self) -> None:
        """Give the booked slot back to the pace."""
        if self.slot is not None:
            self.pace.release(self.slot)
            self.cancel()

    def depart(self) -> tuple[float, BatchProgress]:
        """Return the batch whose slot has come, and when it was due, and forget it."""
        assert self._booked is not None
        _, due, progress = self._booked
        self.slot = self._booked = None
        return due, progress

    def take_all(self) -> list[BatchProgress]:
        """Return all batches that are not in flight, and forget them."""
        found = []
        while (progress := self.take()) is not None:
            found.append(progress)
        return found

    def take(self) -> BatchProgress | None:
        """Return any batch, and forget it; None without one."""
        if self._booked is not None:
            return self.depart()[1]
        left = self._due or self._later
        return left.pop()[-1] if left else None
