"""The open batches of one account. Of those that are due, the one read longest ago goes first.

When more are due than the pace allows, that spreads lateness evenly: mean lateness is that of a plain round. Longest
overdue first would be 10 % later with 300 batches, since the young ones, with their short gaps, push in.
"""

from __future__ import annotations

import heapq

from ._meaning import Vendor
from ._policy import Pace
from ._polling import Track

NEVER = 10.0**9
"""Seconds: a batch that was never read counts as read so long ago."""


class Queue:
    """The open batches of one account that are not under way."""

    __slots__ = ("_booked", "_due", "_later", "account", "pace", "slot")

    def __init__(self, account: Vendor, pace: Pace) -> None:
        self.account = account
        self.pace = pace
        self.slot: float | None = None
        """When the batch goes for which a slot is booked."""
        self._booked: tuple[float, float, Track] | None = None
        self._due: list[tuple[float, float, Track]] = []
        """When each was last read, when it was due, and the batch; a heap."""
        self._later: list[tuple[float, Track]] = []
        """When each is due, and the batch; a heap."""

    def begin(self, track: Track, now: float) -> None:
        """Note a batch that was never read: due at once, before all others, in the order in which they come."""
        self._due.append((len(self._due) - NEVER, now, track))

    def add(self, track: Track, due: float) -> None:
        """Note when to read a batch."""
        heapq.heappush(self._later, (due, track))

    def next_due(self, now: float) -> float | None:
        """Return when the next batch is due; None without one."""
        while self._later and self._later[0][0] <= now:
            due, track = heapq.heappop(self._later)
            heapq.heappush(self._due, (track.read_at, due, track))
        if self._due:
            return self._due[0][1]
        return self._later[0][0] if self._later else None

    def book(self, slot: float) -> None:
        """Give a slot to the batch that is due and was read longest ago."""
        self.slot, self._booked = slot, heapq.heappop(self._due)

    def cancel(self) -> None:
        """Take the slot back: its batch is due as before."""
        assert self._booked is not None
        heapq.heappush(self._due, self._booked)
        self.slot = self._booked = None

    def depart(self) -> tuple[float, Track]:
        """Return the batch whose slot has come, and when it was due, and forget it."""
        assert self._booked is not None
        _, due, track = self._booked
        self.slot = self._booked = None
        return due, track

    def take(self) -> Track | None:
        """Return any batch, and forget it; None without one."""
        if self._booked is not None:
            return self.depart()[1]
        left = self._due or self._later
        return left.pop()[-1] if left else None
