"""Waiting for one batch or for many: which to read now, what its answer means for the wait, and when all is over.

No I/O, no clock, no thread, no task: a driver asks for the next step, performs it, and brings the answer. When more
batches are due than their account's pace allows, the longest overdue goes first, so lateness is spread evenly.
"""

from __future__ import annotations

import heapq
import statistics
from collections import deque
from datetime import datetime, timedelta

from attrs import frozen

from . import _checkpoint
from ._batch import BatchRef, BatchState, Outcome
from ._errors import (
    APIError,
    BatchStatusError,
    ConfigurationError,
    RateLimited,
    ReadError,
    ServerError,
    WaitError,
    WaitStopped,
    WaitTimeout,
)
from ._exchange import Reply, Send
from ._meaning import interpret
from ._policy import PollPolicy, RetryPolicy
from ._polling import Track, gap_after
from ._queue import Queue
from ._reading import hint, learn

FEWEST_FAILS = 5
"""Reads that have to fail before a batch is given up."""
LAST_READ = 5.0
"""Seconds: the last read starts at most so long before the deadline, and mostly at twice the usual time of a read."""
SOONEST_END = 0.1
"""Seconds: the last read starts at least so long before the deadline."""
ENDING = 0.25
"""Seconds: how often to look again for answers that are still under way when the wait is over."""
TERMINAL = frozenset(state for state in BatchState if state.is_terminal)


@frozen(eq=False)
class Read:
    """A step: send this, and bring the answer back with it."""

    track: Track
    queue: Queue
    send: Send
    started: float


@frozen
class Rest:
    """A step: nothing to send for so many seconds, unless an answer comes first."""

    seconds: float


@frozen
class News:
    """What a reading, or its failure, means for the one who waits."""

    outcome: Outcome
    changed: bool = False
    done: bool = False
    needs_action: bool = False
    """Whether the batch has just come to need somebody's action."""


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
        self.news: deque[News] = deque()
        """For the driver to hand out, oldest first."""
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
        self._order = 0
        self._stopped = False
        for ref, queue in queues.items():
            queue.fresh.append(Track(ref, started))

    def step(self, now: float, utc: datetime) -> Read | Rest | None:
        """Return what to do next; None when every batch is done."""
        if self._stopped or now >= self.deadline:
            self._end_all(WaitStopped if self._stopped else WaitTimeout, now, utc)
            return Rest(ENDING) if self.open else None
        if not self.open:
            return None
        until = self.deadline
        for queue in self._queues if self._room else ():
            at = self._slot(queue, now)
            if at <= now:
                return self._read(queue, now)
            until = min(until, at)
        return Rest(max(until - now, 0.0))

    def _slot(self, queue: Queue, now: float) -> float:
        """Return when the queue's next read starts; book its slot once it is due."""
        if queue.booked is None:
            due = queue.next_due(now)
            if due is None or due > now:
                return self.deadline if due is None else due
            wait = queue.pace.reserve(now, self.deadline)
            if wait is None:
                return self.deadline
            queue.booked = (now + wait, queue.take())
        return queue.booked[0]

    def _read(self, queue: Queue, now: float) -> Read:
        assert queue.booked is not None
        track, queue.booked = queue.booked[1], None
        self._room -= 1
        deadline = min(now + self._retry.attempt_timeout, self.deadline)
        return Read(track, queue, Send(queue.account.request(track.ref.id), deadline, self._retry.max_body), now)

    def answered(self, read: Read, reply: Reply) -> None:
        """Take an answer in, and add what it means to the news."""
        self._room += 1
        now, track, queue = reply.monotonic, read.track, read.queue
        try:
            batch = interpret(queue.account, track.ref, read.send.request, reply)
        except ReadError as error:
            learn(queue.pace, error, now, self._retry)
            self._failed(read, error, reply)
            return
        queue.pace.accepted()
        self._durations.append(now - read.started)
        before, changed = track.state, track.seen(batch, now)
        track.last = batch if self._single else None
        done = batch.state in self._until
        needs_action = batch.state is BatchState.REQUIRES_ACTION is not before
        self._tell(News(Outcome(track.ref, batch), changed, done, needs_action))
        if not done:
            self._push(read, now, None)

    def _failed(self, read: Read, error: ReadError, reply: Reply) -> None:
        track, now = read.track, reply.monotonic
        track.failed(error)
        asked = hint(error, self._retry)
        given_up = track.fails >= FEWEST_FAILS and now - track.good_at >= self._poll.give_up_after
        if is_fatal(error) or given_up:
            error.attempts = track.reads
            self._tell(News(Outcome(track.ref, error=error), done=True))
        elif asked is not None and now + asked >= self.deadline:
            self._end(track, WaitTimeout, now, reply.utc, retry_after=asked)
        else:
            self._push(read, now, asked)

    def _push(self, read: Read, now: float, asked: float | None) -> None:
        """Note when to read next; the last time is just before the deadline."""
        gap, _ = gap_after(read.track, self._poll, now, asked)
        last = self.deadline - min(max(2 * statistics.median(self._durations), SOONEST_END), LAST_READ)
        due = now + gap
        if due > last:
            due = last if now < last else self.deadline
        self._order += 1
        heapq.heappush(read.queue.due, (due, self._order, read.track))

    def stop(self) -> None:
        """End the wait for every batch that is still open, at the next step."""
        self._stopped = True

    def _end_all(self, kind: type[WaitError], now: float, utc: datetime) -> None:
        for queue in self._queues:
            for track in queue.drain():
                self._end(track, kind, now, utc)

    def _end(
        self, track: Track, kind: type[WaitError], now: float, utc: datetime, *, retry_after: float | None = None
    ) -> None:
        elapsed = now - self.started
        stands = f"{track.state.name} ({track.word})" if track.state else "unread"
        why = f", the vendor asks to wait another {retry_after:.0f} s" if retry_after is not None else ""
        reads = self._reads + track.reads
        error = kind(
            f"{track.ref}: still {stands} after {elapsed:.1f} s and {reads} reads{why}; "
            "wait(resume=error.checkpoint) goes on from here",
            ref=track.ref,
            last=track.batch(now, utc),
            reads=reads,
            elapsed=elapsed,
            checkpoint=_checkpoint.dump(
                track.ref, reads=reads, until=self._until, deadline=utc + timedelta(seconds=self.deadline - now)
            ),
        )
        if isinstance(error, WaitTimeout):
            error.retry_after = retry_after
        error.__cause__ = track.error
        self._tell(News(Outcome(track.ref, error=error), done=True))

    def _tell(self, news: News) -> None:
        self.open -= news.done
        self.news.append(news)


def is_fatal(error: BatchStatusError) -> bool:
    """Return whether no later read can fare better: the vendor has said no."""
    return isinstance(error, APIError) and not isinstance(error, (RateLimited, ServerError))


def check_return_when(return_when: str) -> str:
    """Return the word; raise ConfigurationError where it is none."""
    if return_when not in {"all", "any", "first_failed"}:
        raise ConfigurationError(f"return_when is 'all', 'any' or 'first_failed', not {return_when!r:.40}")
    return return_when


def is_enough(outcome: Outcome, return_when: str) -> bool:
    """Return whether this outcome ends a wait for many."""
    if return_when == "first_failed":
        return outcome.batch is None or outcome.batch.state in {BatchState.FAILED, BatchState.CANCELLED}
    return return_when == "any"
