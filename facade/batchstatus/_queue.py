"""The open batches of one account: the longest overdue goes first, so that lateness is spread evenly."""

from __future__ import annotations

import heapq

from ._meaning import Vendor
from ._polling import Track
from ._reading import Pace


class Queue:
    """The open batches of one account that are not under way."""

    __slots__ = ("_due", "_order", "account", "booked", "pace")

    def __init__(self, account: Vendor, pace: Pace) -> None:
        self.account = account
        self.pace = pace
        self.booked: tuple[float, float, Track] | None = None
        """A slot that lies ahead, when its batch was due, and the batch."""
        self._due: list[tuple[float, int, Track]] = []
        self._order = 0
        """Batches that are due at the same time keep the order in which they came."""

    def add(self, track: Track, due: float) -> None:
        """Note when to read a batch."""
        self._order += 1
        heapq.heappush(self._due, (due, self._order, track))

    def next_due(self) -> float | None:
        """Return when the next batch is due; None without one."""
        return self._due[0][0] if self._due else None

    def book(self, slot: float) -> None:
        """Give a slot to the batch that is longest overdue."""
        due, _, track = heapq.heappop(self._due)
        self.booked = (slot, due, track)

    def take(self) -> Track | None:
        """Return any batch, and forget it; None without one."""
        if self.booked is not None:
            track, self.booked = self.booked[-1], None
            return track
        return heapq.heappop(self._due)[-1] if self._due else None
