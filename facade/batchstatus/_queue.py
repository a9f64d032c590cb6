"""The open batches of one account: the longest overdue goes first, so that lateness is spread evenly."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable

from ._meaning import Vendor
from ._polling import Track
from ._reading import Pace


class Queue:
    """The open batches of one account."""

    __slots__ = ("account", "booked", "due", "fresh", "pace")

    def __init__(self, account: Vendor, pace: Pace) -> None:
        self.account = account
        self.pace = pace
        self.fresh: deque[Track] = deque()
        """Never read: due since the wait began, so longest overdue."""
        self.due: list[tuple[float, int, Track]] = []
        self.booked: tuple[float, Track] | None = None
        """A slot that lies ahead, and the batch that goes then."""

    def next_due(self, now: float) -> float | None:
        """Return when the next batch is due; None without one."""
        if self.fresh:
            return now
        return self.due[0][0] if self.due else None

    def take(self) -> Track:
        """Return the batch that is longest overdue."""
        return self.fresh.popleft() if self.fresh else heapq.heappop(self.due)[-1]

    def drain(self) -> Iterable[Track]:
        """Return every batch that is not under way, and forget them."""
        booked = [self.booked[1]] if self.booked else []
        tracks = [*booked, *self.fresh, *(entry[-1] for entry in self.due)]
        self.fresh.clear()
        self.due.clear()
        self.booked = None
        return tracks
