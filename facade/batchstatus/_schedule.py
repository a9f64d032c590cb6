"""Waiting for one batch or for many: which to read now, what its answer means for the wait, and when all is over.

No I/O, no clock, no thread, no task: a driver asks for the next step, performs it, and brings the answer. When more
batches are due than their account's pace allows, the one read longest ago goes first: see `_queue`.
"""

from __future__ import annotations

import statistics
from collections import deque
from datetime import datetime, timedelta

import attrs
from attrs import frozen

from batchstatus import _checkpoint

from ._batch import Batch, BatchRef, BatchState
from ._errors import BatchStatusError, ReadError, WaitError, WaitStopped, WaitTimeout
from ._events import Event, EventKind
from ._exchange import Reply, Send
from ._meaning import interpret, prepared
from ._policy import PollPolicy, RetryPolicy
from ._polling import Track, gap_after, remaining
from ._queue import Queue
from ._reading import failures, hint, is_fatal, learn

FEWEST_FAILS = 5
"""Reads that have to fail before a batch is given up."""
LAST_READ = 5.0
"""Seconds: the last read starts at most so long before the deadline, and mostly at twice the usual time of a read."""
SOONEST_END = 0.1
"""Seconds: the last read starts at least so long before the deadline."""
ENDING = 0.25
"""Seconds: how often to look again for answers that are still under way when the wait is over."""
ENDED_AT_ONCE = 256
"""How many open batches end in one step when the wait is over: a hundred thousand errors at once take much room."""
TERMINAL = frozenset(state for state in BatchState if state.is_terminal)


@frozen(eq=False)
class Read:
    """A step: send this, and bring the answer back with it."""

    track: Track
    queue: Queue
    send: Send
    due: float
    started: float


@frozen
class Rest:
    """A step: nothing to send for so many seconds, unless an answer comes first."""

    seconds: float


class Schedule:
    """The state of one wait."""

    def __init__(
        self,
        queues: dict[BatchRef, Queue],
        *,
        poll: PollPolicy,
        retry: RetryPolicy,
        in_flight: int,
        until: frozenset[BatchState] = TERMINAL,
        started: float,
        timeout: float,
        reads_before: int = 0,
    ) -> None:
        self.events: deque[Event] = deque()
        """For the driver to tell, oldest first."""
        self.open = len(queues)
        self.started = started
        self.deadline = started + timeout
        self._queues = list(dict.fromkeys(queues.values()))
        self._single = len(queues) == 1
        self._poll = poll
        self._retry = retry
        self._until = until
        self.in_flight = 1 if self._single else poll.in_flight or in_flight
        """Reads under way at once, at most."""
        self._room = self.in_flight
        self._reads = reads_before
        self._durations: deque[float] = deque([0.5], maxlen=15)
        self._stopped = False
        self._last_read: float | None = None
        self._last: Batch | None = None
        """The last reading whole, in a wait for one batch."""
        for ref, queue in queues.items():
            queue.begin(Track(ref, started), started)

    def step(self, now: float, utc: datetime) -> Read | Rest | None:
        """Return what to do next; None when every batch is done."""
        if self._stopped or now >= self.deadline:
            return self._end_some(WaitStopped if self._stopped else WaitTimeout, now, utc)
        if not self.open:
            return None
        if not self._room:
            return Rest(self.deadline - now)
        at, queue = self.deadline, self._queues[0]
        for other in self._queues:
            slot = self._slot(other, now)
            if slot < at:
                at, queue = slot, other
        return Rest(at - now) if at > now else self._read(queue, now, utc) or Rest(0.0)

    def _slot(self, queue: Queue, now: float) -> float:
        """Return when the queue's next read starts; book its slot once it is due."""
        if queue.slot is None:
            due = queue.next_due(now)
            if due is None or due > now:
                return self.deadline if due is None else due
            wait = queue.pace.reserve(now, self.deadline)
            if wait is None:
                return self.deadline
            queue.book(now + wait)
        assert queue.slot is not None
        return queue.slot

    def _read(self, queue: Queue, now: float, utc: datetime) -> Read | None:
        """Return what to send; None where a 429 has closed the account meanwhile, or the caller has no key just now."""
        if queue.slot is not None and not queue.pace.begin(queue.slot, now):
            queue.cancel()
            return None
        due, track = queue.depart()
        try:
            request = prepared(queue.account, track.ref)
        except BatchStatusError as error:
            self._failed(track, queue, error, Reply(None, now, utc), took=0.0, queued=now - due)
            return None
        self._room -= 1
        deadline = min(now + self._retry.attempt_timeout, self.deadline)
        return Read(track, queue, Send(request, deadline, self._retry.max_body), due, now)

    def answered(self, read: Read, reply: Reply) -> None:
        """Take an answer in, and add what it means to the events."""
        self._room += 1
        now, track, queue = reply.monotonic, read.track, read.queue
        took, queued = now - read.started, read.started - read.due
        try:
            batch = interpret(queue.account, track.ref, read.send.request, reply)
        except ReadError as error:
            self._failed(track, queue, error, reply, took=took, queued=queued)
            return
        queue.pace.accepted()
        self._durations.append(took)
        before, changed = track.state, track.seen(batch, now)
        self._last = batch if self._single else None
        done = batch.state in self._until
        pause, why = (None, "this is what was waited for") if done else self._push(track, queue, now, None)
        seen = Event(
            kind=EventKind.READ, ref=track.ref, batch=batch, before=before, attempts=track.reads,
            elapsed=now - self.started, took=took, queued=queued, pause=pause, why=why, remaining=remaining(track, now),
        )  # fmt: skip
        self.events.append(seen)
        if changed:
            self.events.append(attrs.evolve(seen, kind=EventKind.CHANGE))
        if batch.state is BatchState.REQUIRES_ACTION is not before:
            self.events.append(attrs.evolve(seen, kind=EventKind.NEEDS_ACTION))
        if done:
            self._done(seen)

    def _failed(
        self, track: Track, queue: Queue, error: BatchStatusError, reply: Reply, *, took: float, queued: float
    ) -> None:
        now, pause = reply.monotonic, None
        track.missed(error, now)
        closed, asked = learn(queue.pace, error, now, self._retry), hint(error, self._retry)
        given_up = track.fails >= FEWEST_FAILS and now - track.good_at >= self._poll.give_up_after
        ended = is_fatal(error) or given_up
        too_late = asked is not None and now + asked >= self.deadline and not self._stopped
        if ended:
            lost = f"none has succeeded for {now - track.good_at:.0f} s"
            why = "no later read can fare better" if is_fatal(error) else lost
        elif too_late:
            why = "the vendor asks for more time than is left"
        else:
            pause, why = self._push(track, queue, now, asked)
        seen = Event(
            kind=EventKind.READ, ref=track.ref, error=error, before=track.state, attempts=track.reads,
            elapsed=now - self.started, took=took, queued=queued, pause=pause, why=why,
        )  # fmt: skip
        self.events.extend(failures(seen, closed))
        if ended:
            if isinstance(error, ReadError):
                error.attempts = track.reads
            self._done(seen)
        elif too_late:
            self._end(track, WaitTimeout, now, reply.utc, retry_after=asked)

    def _push(self, track: Track, queue: Queue, now: float, asked: float | None) -> tuple[float | None, str]:
        """Note when to read next, the last time just before the deadline; return the seconds until then, and why."""
        gap, why = gap_after(track, self._poll, now, asked)
        pause: float | None = gap
        if now + gap > self.deadline - LAST_READ:
            last = self._last_read_at()
            if now + gap > max(last, now + (asked or 0.0)):
                wait = max(last - now, asked or 0.0)
                pause, why = (wait, "the time is almost up") if now < last else (None, "the time is up")
        queue.add(track, self.deadline if pause is None else now + pause)
        return pause, why

    def _last_read_at(self) -> float:
        """Return when the last reads start: once known, it stays."""
        if self._last_read is None:
            long = 2 * statistics.median(self._durations)
            self._last_read = self.deadline - min(max(long, SOONEST_END), LAST_READ)
        return self._last_read

    def stop(self) -> None:
        """End the wait for every batch that is still open, at the next steps."""
        self._stopped = True

    def _end_some(self, kind: type[WaitError], now: float, utc: datetime) -> Rest | None:
        ended = 0
        for queue in self._queues:
            while ended < ENDED_AT_ONCE and (track := queue.take()) is not None:
                self._end(track, kind, now, utc)
                ended += 1
        return Rest(0.0 if ended else ENDING) if self.open else None

    def _end(
        self, track: Track, kind: type[WaitError], now: float, utc: datetime, *, retry_after: float | None = None
    ) -> None:
        elapsed = now - self.started
        stands = f"{track.state.name} ({track.word})" if track.state else "unread"
        why = f", the vendor asks to wait another {retry_after:.0f} s" if retry_after is not None else ""
        reads = self._reads + track.reads
        failed = f"; the last one failed: {track.error}".replace(f"{track.ref}: ", "", 1) if track.error else ""
        error = kind(
            f"{track.ref}: still {stands} after {elapsed:.1f} s and {reads} reads{why}{failed}",
            ref=track.ref,
            last=self._last or track.batch(now, utc),
            reads=reads,
            elapsed=elapsed,
            checkpoint=_checkpoint.dump(
                track.ref, reads=reads, until=self._until, deadline=utc + timedelta(seconds=self.deadline - now)
            ),
        )
        if isinstance(error, WaitTimeout):
            error.retry_after = retry_after
        error.__cause__ = track.error
        self._done(Event(kind=EventKind.DONE, ref=track.ref, error=error, attempts=track.reads, elapsed=elapsed))

    def _done(self, seen: Event) -> None:
        self.open -= 1
        self.events.append(attrs.evolve(seen, kind=EventKind.DONE))
