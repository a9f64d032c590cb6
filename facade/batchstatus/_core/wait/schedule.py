"""Waiting for one batch or for many: which to poll now, what its response means for the wait, and when all is over.

No I/O, no clock, no thread, no task: a driver asks for the next step, performs it, and brings the result. If more
batches are due than their account's pace allows, the one read longest ago goes first: see `queue`.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

import attrs
from attrs import frozen

from batchstatus._core.account import Account
from batchstatus._core.errors import APIError, BatchStatusError, ReadError, WaitError, WaitStopped, WaitTimeout
from batchstatus._core.events import Event, EventKind
from batchstatus._core.policies import Pace, PollPolicy, RetryPolicy
from batchstatus._core.read.attempts import bounded_retry_after, build_request, failure_events, update_pace
from batchstatus._core.read.messages import SendRequest, Sleep, StepResult
from batchstatus._core.read.response import parse_response
from batchstatus._core.values import TERMINAL, Batch, BatchRef, BatchState

from . import checkpoint
from .interval import next_interval, remaining
from .progress import BatchProgress
from .queue import Queue

MIN_FAILURES = 5
"""Consecutive failed polls before a batch is given up."""
MAX_LAST_POLL = 5.0
"""Seconds: the last poll starts no earlier than this before the deadline, mostly at twice the usual time of a poll."""
MIN_LAST_POLL = 0.1
"""Seconds: the last poll starts no later than this before the deadline."""
ENDING = 0.25
"""Seconds: how often to look again for polls that are still in flight when the wait is over."""
MAX_ENDED_AT_ONCE = 256
"""How many open batches end in one step when the wait is over: 100,000 errors at once take much memory."""


@frozen(eq=False)
class StartPoll:
    """A step: send this, and bring the result back with it."""

    progress: BatchProgress
    queue: Queue
    send: SendRequest
    due: float
    started: float


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
        attempts_before: int = 0,
    ) -> None:
        self.events: deque[Event] = deque()
        """For the driver to pass on, oldest first."""
        self.open = len(queues)
        self.started = started
        self.deadline = started + timeout
        self._queues = list(dict.fromkeys(queues.values()))
        self._single = len(queues) == 1
        self._poll = poll
        self._retry = retry
        self._until = until
        self.in_flight = 1 if self._single else poll.in_flight or in_flight
        """Polls in flight at once, at most."""
        self._room = self.in_flight
        self._attempts_before = attempts_before
        self._durations: deque[float] = deque([0.5], maxlen=15)
        self._stopped = False
        self.wake: Callable[[], None] = lambda: None
        """The driver's: ends its rest, so that it takes the next step now."""
        self._last_poll: float | None = None
        self._last: Batch | None = None
        """The last reading whole, in a wait for one batch."""
        for ref, queue in queues.items():
            queue.add_unread(BatchProgress(ref, started), started)

    def step(self, now: float, utc: datetime) -> StartPoll | Sleep | None:
        """Return what to do next; None when every batch is done."""
        if self._stopped or now >= self.deadline:
            return self._end_some(WaitStopped if self._stopped else WaitTimeout, now, utc)
        if self._is_over():
            return None
        if not self._room:
            return Sleep(self.deadline - now)
        at, queue = self.deadline, None
        for other in self._queues:
            slot = self._slot(other, now)
            if slot < at:
                at, queue = slot, other
        if queue is None or at > now:
            return Sleep(at - now)
        return self._start(queue, now, utc) or Sleep(0.0)

    def _is_over(self) -> bool:
        return not self.open

    def _slot(self, queue: Queue, now: float) -> float:
        """Return when the queue's next poll starts; book its slot once it is due."""
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

    def _start(self, queue: Queue, now: float, utc: datetime) -> StartPoll | None:
        """Return what to send; None if a 429 has closed the account meanwhile, or the caller has no key just now."""
        if queue.slot is not None and not queue.pace.begin(queue.slot, now):
            queue.cancel()
            return None
        due, progress = queue.depart()
        if progress.is_discarded:
            return None
        try:
            request = build_request(queue.account, progress.ref)
        except BatchStatusError as error:
            self._record_failure(progress, queue, error, StepResult(None, now, utc), duration=0.0, queued=now - due)
            return None
        self._room -= 1
        deadline = min(now + self._retry.attempt_timeout, self.deadline)
        return StartPoll(progress, queue, SendRequest(request, deadline, self._retry.max_body), due, now)

    def take_result(self, poll: StartPoll, result: StepResult) -> None:
        """Take the result of a poll in, and add its events."""
        self._room += 1
        now, progress, queue = result.monotonic, poll.progress, poll.queue
        duration, queued = now - poll.started, poll.started - poll.due
        try:
            batch = parse_response(queue.account, progress.ref, poll.send.request, result)
        except ReadError as error:
            self._record_failure(progress, queue, error, result, duration=duration, queued=queued)
            return
        queue.pace.accepted()
        self._durations.append(duration)
        if progress.is_discarded:
            return
        before, changed = progress.state, progress.record_poll(batch, now)
        self._last = batch if self._single else None
        done = batch.state in self._until
        if done:
            pause, reason = None, "this is the state that was waited for"
        else:
            hint = batch.retry_after
            hint = None if hint is None else min(hint, self._retry.max_retry_after)
            pause, reason = self._push(progress, queue, now, None, hint)
        event = Event(
            kind=EventKind.ATTEMPT, ref=progress.ref, batch=batch, previous_state=before, attempts=progress.polls,
            elapsed=now - self.started, duration=duration, queued=queued, pause=pause, reason=reason,
            remaining=remaining(progress, now),
        )  # fmt: skip
        self.events.append(event)
        if changed:
            self.events.append(attrs.evolve(event, kind=EventKind.CHANGE))
        if batch.state is BatchState.REQUIRES_ACTION and before is not BatchState.REQUIRES_ACTION:
            self.events.append(attrs.evolve(event, kind=EventKind.NEEDS_ACTION))
        if done:
            self._done(event)

    def _record_failure(
        self,
        progress: BatchProgress,
        queue: Queue,
        error: BatchStatusError,
        result: StepResult,
        *,
        duration: float,
        queued: float,
    ) -> None:
        now, pause = result.monotonic, None
        closed, asked = update_pace(queue.pace, error, now, self._retry), bounded_retry_after(error, self._retry)
        if progress.is_discarded:
            return
        progress.record_failure(error, now)
        failing_for = now - progress.last_success_at
        given_up = progress.consecutive_failures >= MIN_FAILURES and failing_for >= self._poll.give_up_after
        refused = isinstance(error, APIError) and not error.is_retryable
        too_late = asked is not None and now + asked >= self.deadline
        if refused:
            reason = "a later poll cannot help"
        elif given_up:
            reason = f"none has succeeded for {failing_for:.0f} s"
        elif too_late:
            reason = "the vendor asks for more time than is left"
        else:
            pause, reason = self._push(progress, queue, now, asked)
        event = Event(
            kind=EventKind.ATTEMPT, ref=progress.ref, error=error, previous_state=progress.state,
            attempts=progress.polls, elapsed=now - self.started, duration=duration, queued=queued, pause=pause,
            reason=reason,
        )  # fmt: skip
        self.events.extend(failure_events(event, closed))
        if refused or given_up:
            if isinstance(error, ReadError):
                error.attempts = progress.polls
            self._done(event)
        elif too_late:
            kind = WaitStopped if self._stopped else WaitTimeout
            self._end(progress, kind, now, result.utc, retry_after=asked)

    def _push(
        self, progress: BatchProgress, queue: Queue, now: float, asked: float | None, hint: float | None = None
    ) -> tuple[float | None, str]:
        """Plan the next poll, the last one just before the deadline; return the seconds until then, and the reason.

        Args:
            progress: The batch.
            queue: Its queue.
            now: The time now.
            asked: The Retry-After of a failure, which not even the last poll may undercut.
            hint: The Retry-After of a reading, which the last poll may undercut.
        """
        interval, reason = next_interval(progress, self._poll, now, hint if asked is None else asked)
        pause: float | None = interval
        if now + interval > self.deadline - MAX_LAST_POLL:
            last = self._last_poll_at()
            if now + interval > max(last, now + (asked or 0.0)):
                wait = max(last - now, asked or 0.0)
                pause, reason = (wait, "the time is almost up") if now < last else (None, "the time is up")
        queue.add(progress, self.deadline if pause is None else now + pause)
        return pause, reason

    def _last_poll_at(self) -> float:
        """Return when the last polls start: once known, it stays."""
        if self._last_poll is None:
            twice = 2 * statistics.median(self._durations)
            self._last_poll = self.deadline - min(max(twice, MIN_LAST_POLL), MAX_LAST_POLL)
        return self._last_poll

    def stop(self) -> None:
        """End the wait for every batch that is still open, at the next steps."""
        self._stopped = True

    def _end_some(self, kind: type[WaitError], now: float, utc: datetime) -> Sleep | None:
        ended = 0
        for queue in self._queues:
            while ended < MAX_ENDED_AT_ONCE and (progress := queue.take()) is not None:
                self._end(progress, kind, now, utc)
                ended += 1
        return Sleep(0.0 if ended else ENDING) if self.open else None

    def _end(
        self,
        progress: BatchProgress,
        kind: type[WaitError],
        now: float,
        utc: datetime,
        *,
        retry_after: float | None = None,
    ) -> None:
        elapsed = now - self.started
        stands = f"{progress.state.name} ({progress.vendor_status})" if progress.state else "unread"
        why = f", the vendor asks to wait another {retry_after:.0f} s" if retry_after is not None else ""
        attempts = self._attempts_before + progress.polls
        failed = f"; the last one failed: {progress.error.detail}" if progress.error else ""
        error = kind(
            f"still {stands} after {elapsed:.1f} s and {attempts} attempts{why}{failed}",
            ref=progress.ref,
            last=self._last or progress.batch(now, utc),
            attempts=attempts,
            elapsed=elapsed,
            checkpoint=checkpoint.dump(
                progress.ref,
                attempts=attempts,
                until=self._until,
                deadline=utc + timedelta(seconds=self.deadline - now),
            ),
        )
        if isinstance(error, WaitTimeout):
            error.retry_after = retry_after
        error.__cause__ = progress.error
        self._done(Event(kind=EventKind.DONE, ref=progress.ref, error=error, attempts=progress.polls, elapsed=elapsed))

    def _done(self, event: Event) -> None:
        self.open -= 1
        self.events.append(attrs.evolve(event, kind=EventKind.DONE))


class OpenSchedule(Schedule):
    """A wait without a deadline, to which refs are added and from which they are discarded while it runs.

    `add` and `discard` may be called from any thread; they take effect at the next step.
    """

    def __init__(
        self,
        pace_of: Callable[[Account], Pace],
        *,
        poll: PollPolicy,
        retry: RetryPolicy,
        in_flight: int,
        started: float,
    ) -> None:
        super().__init__({}, poll=poll, retry=retry, in_flight=in_flight, started=started, timeout=math.inf)
        self._pace_of = pace_of
        self._queue_of: dict[Account, Queue] = {}
        self._by_ref: dict[BatchRef, BatchProgress] = {}
        self._inbox: deque[tuple[BatchRef, Account | None]] = deque()
        """Refs to add, with their accounts, and refs to discard, with None; a deque, since threads share it."""

    def add(self, refs: Mapping[BatchRef, Account]) -> None:
        """Add refs, to be read at once in their order; those that are open already stay as they are."""
        self._inbox.extend(refs.items())

    def discard(self, refs: Iterable[BatchRef]) -> None:
        """Discard refs; the responses of polls in flight are dropped."""
        self._inbox.extend((ref, None) for ref in refs)

    def step(self, now: float, utc: datetime) -> StartPoll | Sleep | None:
        """Return what to do next; None once it is stopped."""
        while self._inbox:
            ref, account = self._inbox.popleft()
            if account is None:
                self._discard(ref)
            elif ref not in self._by_ref:
                self._add(ref, account, now)
        return super().step(now, utc)

    def _add(self, ref: BatchRef, account: Account, now: float) -> None:
        if account not in self._queue_of:
            self._queue_of[account] = Queue(account, self._pace_of(account))
            self._queues.append(self._queue_of[account])
        self._by_ref[ref] = progress = BatchProgress(ref, now)
        self._queue_of[account].add_unread(progress, now)
        self.open += 1

    def _discard(self, ref: BatchRef) -> None:
        if (progress := self._by_ref.pop(ref, None)) is not None:
            progress.is_discarded = True
            self.open -= 1

    def _is_over(self) -> bool:
        return False

    def _end_some(self, kind: type[WaitError], now: float, utc: datetime) -> None:
        """End the wait; open batches are left as they are."""

    def _done(self, event: Event) -> None:
        self._by_ref.pop(event.ref, None)
        super()._done(event)
