"""Reads of many batches, each with its retries, under the pace of their accounts. No I/O, no clock.

A driver asks for the next step, performs it, and brings the result, as for a wait.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import datetime

from attrs import define, frozen

from batchstatus._core.account import Account
from batchstatus._core.errors import BatchStatusError
from batchstatus._core.events import Event, Listens, everything
from batchstatus._core.values import Batch, BatchRef

from .messages import SendRequest, Sleep, StepResult

Read = Generator[SendRequest | Sleep, StepResult, Batch]
MAX_EVENTS = 512
"""Events after which a step ends: 100,000 errors at once, when the time is up, take much memory."""


@define(eq=False)
class Line:
    """The refs of one account whose reads have not begun."""

    account: Account
    refs: deque[BatchRef]


@define(eq=False)
class ActiveRead:
    """A read that has begun."""

    read: Read
    line: Line | None
    """Its line, until it has its first slot."""


@frozen(eq=False)
class StartRead:
    """A step: send this, and bring the result back with it."""

    active: ActiveRead
    send: SendRequest


class ManyReads:
    """The state of the reads that one call has asked for.

    Of each account one read at a time waits for its first slot, since slots come one after the other anyway: of
    100,000 refs few reads exist at once.

    Args:
        refs: The batches to read, by account.
        begin: Makes the read of a ref from its account, the ref, and the time now.
        events: The events of the reads, oldest first; the driver passes them on.
        in_flight: Exchanges in flight at once, at most.
    """

    def __init__(
        self,
        refs: Mapping[Account, Iterable[BatchRef]],
        begin: Callable[[Account, BatchRef, float], Read],
        *,
        events: deque[Event],
        in_flight: int,
    ) -> None:
        self.events = events
        self._ready = deque(Line(account, deque(those)) for account, those in refs.items())
        """The lines whose first read may begin."""
        self._begin = begin
        self.in_flight = max(1, min(in_flight, sum(len(line.refs) for line in self._ready)))
        self._room = self.in_flight
        self._flying: set[ActiveRead] = set()
        """Reads whose exchanges are in flight."""
        self._sleeping: list[tuple[float, int, ActiveRead]] = []
        """A heap: when each read goes on, a number that keeps the order, and the read."""
        self._numbers = itertools.count()
        self.wake: Callable[[], None] = lambda: None
        self.listens: Listens = everything

    def step(self, now: float, utc: datetime) -> StartRead | Sleep | None:
        """Return what to do next; None when every read is done."""
        start: StartRead | None = None
        while start is None and self._room and self._sleeping and self._sleeping[0][0] <= now:
            start = self._advance(heapq.heappop(self._sleeping)[-1], StepResult(None, now, utc), now)
        while start is None and self._room and self._ready and len(self.events) < MAX_EVENTS:
            line = self._ready.popleft()
            start = self._advance(ActiveRead(self._begin(line.account, line.refs.popleft(), now), line), None, now)
        if start is not None:
            return start
        if self._room and self._ready:
            return Sleep(0.0)
        if self._room and self._sleeping:
            return Sleep(self._sleeping[0][0] - now)
        return Sleep(math.inf) if self._room < self.in_flight else None

    def stop(self) -> None:
        """Begin no more reads; those in flight end by themselves."""
        self._ready.clear()

    def close(self) -> None:
        """Give back the slots that are booked, and let each read tell that it is left: no step follows."""
        for active in [*(active for *_, active in self._sleeping), *self._flying]:
            active.read.close()

    def take_result(self, step: StartRead, result: StepResult) -> None:
        """Take the result of an exchange in, and add its events."""
        self._room += 1
        self._flying.discard(step.active)
        self._advance(step.active, result, result.monotonic)

    def _advance(self, active: ActiveRead, result: StepResult | None, now: float) -> StartRead | None:
        """Let a read go on; return its next request, if it has one now."""
        try:
            step = next(active.read) if result is None else active.read.send(result)
        except (StopIteration, BatchStatusError):  # its last event says how it ended
            self._leave_line(active)
            return None
        if isinstance(step, Sleep):
            heapq.heappush(self._sleeping, (now + step.seconds, next(self._numbers), active))
            return None
        self._leave_line(active)
        self._room -= 1
        self._flying.add(active)
        return StartRead(active, step)

    def _leave_line(self, active: ActiveRead) -> None:
        line, active.line = active.line, None
        if line is not None and line.refs:
            self._ready.append(line)
