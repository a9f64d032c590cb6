"""The open batches of one account. Of those that are due, the one read longest ago goes first.

When more are due than the pace allows, that spreads lateness evenly: mean lateness is that of a plain round. Longest
overdue first would be 10 % later with 300 batches, since the young ones, with their short gaps, push in.
"""

from __future__ import annotations

import heapq

from ._meaning import Vendor
from ._polling import Track
from ._reading import Pace

NEVER = 10.0**9
"""Seconds: a batch that was never read counts as read so long ago."""


class Queue:
    """The open batches of one account that are not under way."""

    __slots__ = ("_due", "_later", "account", "booked", "pace")

    def __init__(self, account: Vendor, pace: Pace) -> None:
        self.account = account
        self.pace = pace
        self.booked: tuple[float, float, Track] | None = None
        """A slot that lies ahead, when its batch was due, and the batch."""
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
        _, due, track = heapq.heappop(self._due)
        self.booked = (slot, due, track)

    def take(self) -> Track | None:
        """Return any batch, and forget it; None without one."""
        if self.booked is not None:
            track, self.booked = self.booked[-1], None
            return track
        left = self._due or self._later
        return left.pop()[-1] if left else None
