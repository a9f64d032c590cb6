"""Which account wants a look next: two heaps, so that a step costs the same with one account and with 10,000.

A queue without a slot is asleep until the time for which it asks; whatever may make that earlier wakes it. A queue with
a slot waits for that.
"""

from __future__ import annotations

import heapq
import math

from .queue import Queue


class Agenda:
    """The queues of a wait, by the times at which they want a look."""

    __slots__ = ("_asleep", "_booked")

    def __init__(self) -> None:
        self._asleep: list[tuple[float, int, Queue]] = []
        """Entries that are not of their queue's `wake_at` any more are void."""
        self._booked: list[tuple[float, int, Queue]] = []
        """Entries that are not of their queue's slot any more are void."""

    def wake(self, queue: Queue, at: float) -> None:
        """Look at a queue at a time, if not before; it comes back then, or with its slot."""
        if at < queue.wake_at and queue.slot is None:
            queue.wake_at = at
            heapq.heappush(self._asleep, (at, queue.number, queue))

    def book(self, queue: Queue) -> None:
        """Look at a queue at its slot."""
        assert queue.slot is not None
        heapq.heappush(self._booked, (queue.slot, queue.number, queue))

    def awake(self, now: float) -> list[Queue]:
        """Return the queues that want a look now, in the order in which they came to the wait, and forget them."""
        found: list[Queue] = []
        while self._asleep and self._asleep[0][0] <= now:
            at, _, queue = heapq.heappop(self._asleep)
            if queue.wake_at == at:
                queue.wake_at = math.inf
                if queue.slot is None:
                    found.append(queue)
        if len(found) > 1:
            found.sort(key=lambda queue: queue.number)
        return found

    def next_at(self) -> float:
        """Return the time of the next look; infinity without one."""
        while self._asleep and self._asleep[0][2].wake_at != self._asleep[0][0]:
            heapq.heappop(self._asleep)
        self.next_booked()
        return min(self._asleep[0][0] if self._asleep else math.inf, self._booked[0][0] if self._booked else math.inf)

    def next_booked(self) -> Queue | None:
        """Return the queue with the earliest slot."""
        while self._booked and self._booked[0][2].slot != self._booked[0][0]:
            heapq.heappop(self._booked)
        return self._booked[0][2] if self._booked else None
