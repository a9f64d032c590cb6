"""Waiting for one batch or for many: which to poll now, what its response means for the wait, and when all is over.

No I/O, no clock, no thread, no task: a driver asks for the next step, performs it, and brings the result. If more
batches are due than their account's pace allows, those go first whose end is likely: see `placement`.
"""

from __future__ import annotations

import copy
import itertools
import math
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs
from attrs import frozen

from batchstatus._core.account import Account, Request
from batchstatus._core.errors import (
    BatchStatusError,
    PaceUnavailable,
    RateLimited,
    ReadError,
    WaitError,
    WaitStopped,
    WaitTimeout,
)
from batchstatus._core.events import NO_CALL, Call, Event, EventKind, Listens, everything
from batchstatus._core.policies import Pace, PollPolicy, RetryPolicy
from batchstatus._core.read.attempts import (
    Prepare,
    bounded_retry_after,
    build_request,
    exchange,
    failure_events,
    is_told,
    unavailable,
    update_pace,
)
from batchstatus._core.read.messages import SendRequest, Sleep, StepResult, status_of
from batchstatus._core.read.response import parse_response
from batchstatus._core.values import TERMINAL, Batch, BatchRef, BatchState

from . import checkpoint
from .agenda import Agenda
from .durations import Durations
from .evidence import Verdict, is_about_account, is_own
from .interval import expected_rest, next_interval
from .placement import Placement
from .progress import BatchProgress
from .queue import Queue

MAX_LAST_POLL = 5.0
"""Seconds: the last poll starts no earlier than this before the deadline, mostly at twice the usual time of a poll."""
MIN_LAST_POLL = 0.1
"""Seconds: the last poll starts no later than this before the deadline."""
FROZEN = 0.25
"""Seconds: a driver that is later than this by a deadline was not running: stopped, or its event loop was blocked."""
LAST_LOOK = 5.0
"""Seconds that all polls together have after the deadline if the process was frozen across the last ones."""
ENDING = 0.25
"""Seconds: how often to look again for polls that are still in flight when the wait is over."""
TAKEN_AT_ONCE = 32
"""How many refs of `more` are taken between two polls."""
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
        queues: Mapping[BatchRef, Queue],
        *,
        more: Iterator[tuple[BatchRef, Queue]] | None = None,
        history: Callable[[BatchRef], Durations | None] | None = None,
        poll: PollPolicy,
        retry: RetryPolicy,
        in_flight: int,
        until: frozenset[BatchState] = TERMINAL,
        started: float,
        timeout: float,
        resume: checkpoint.Checkpoint | None = None,
        goes_on: bool = False,
        utc: datetime | None = None,
        listens: Listens = everything,
        prepare: Prepare | None = None,
        call: Call = NO_CALL,
    ) -> None:
        self.events: deque[Event] = deque()
        """For the driver to pass on, oldest first."""
        self.open = 0
        self.started = started
        self.deadline = started + max(timeout, 0.0)
        self._end = self.deadline
        """When polling ends: the deadline, or a little later if the process was frozen across it."""
        self._queues: list[Queue] = []
        self._agenda = Agenda()
        self._more, self._history = more, history
        """Refs that are taken in while the wait runs, None if there are none left; and what is known of their past."""
        self._refused: list[Queue] = []
        """Accounts whose batches all end by the same error."""
        self._left: deque[Queue] | None = None
        """Queues with batches that are to end, once the wait is over."""
        self._single = len(queues) == 1 and more is None
        self._only: tuple[BatchProgress, Queue] | None = None
        """Of a wait for one batch."""
        self._poll = poll
        self._retry = retry
        self._until = until
        self.in_flight = 1 if self._single else poll.in_flight or in_flight
        """Polls in flight at once, at most."""
        self._room = self.in_flight
        self._attempts_before = 0 if resume is None else resume.attempts
        self._durations: deque[float] = deque([0.5], maxlen=15)
        self._stopped = False
        self._given_up_at = math.inf
        """When a wait that was stopped does not wait for polls in flight any more."""
        self._flying: dict[BatchProgress, Queue] = {}
        """The polls in flight."""
        self.wake: Callable[[], None] = lambda: None
        """The driver's: ends its rest, so that it takes the next step now."""
        self.listens, self._prepare, self._call = listens, prepare, call
        self._last_poll: float | None = None
        self._last: Batch | None = None
        """The last reading whole, in a wait for one batch."""
        self._expected = -math.inf if timeout <= 0 else started
        """By when the driver is to take the next step, at the latest."""
        self._is_waiting = False
        """Whether a poll was in flight at the last step."""
        self._is_last_look = False
        self._overslept: set[BatchRef] = set()
        """Batches whose last poll ended after the deadline, and failed or may be old."""
        for ref, queue in queues.items():
            progress = self._begin(ref, queue, started)
            if resume is not None and utc is not None:
                checkpoint.take_up(resume, progress, queue.evidence, started, utc, goes_on=goes_on)
                self._last = resume.last
            self._only = (progress, queue) if self._single else None

    def _begin(self, ref: BatchRef, queue: Queue, now: float) -> BatchProgress:
        """Add a batch, and tell of it."""
        if self.listens(EventKind.START):
            self.events.append(Event(kind=EventKind.START, ref=ref, call=self._call, elapsed=now - self.started))
        return self._add_unread(ref, queue, now)

    def _add_unread(self, ref: BatchRef, queue: Queue, now: float) -> BatchProgress:
        """Add a batch, to be polled at once."""
        if queue.number < 0:
            queue.number = len(self._queues)
            self._queues.append(queue)
            queue.placement = Placement() if self._poll.placement else None
        progress = BatchProgress(ref, now)
        if queue.placement is not None:
            progress.durations = queue.placement.table(None if self._history is None else self._history(ref))
        queue.add_unread(progress, now)
        self.open += 1
        self._wake(queue, now)
        return progress

    def _wake(self, queue: Queue, now: float) -> None:
        """Recompute when a queue is next due, at the next step: something may have made it earlier."""
        self._agenda.wake(queue, now)
        if self._left is not None:
            self._left.append(queue)

    def _take_more(self, now: float) -> None:
        """Take some of the refs that are not in the wait yet."""
        for _ in range(TAKEN_AT_ONCE):
            assert self._more is not None
            found = next(self._more, None)
            if found is None:
                self._more = None
                return
            self._begin(*found, now)

    def step(self, now: float, utc: datetime) -> StartPoll | Sleep | None:
        """Return what to do next; None when every batch is done.

        Raises:
            ConfigurationError: One of the refs that are taken in meanwhile cannot be one.
        """
        has_begun = False
        if self._more is not None:
            self._take_more(now)
            has_begun = bool(self.events)  # which is told before the first exchange
        if now >= self._end and not self._stopped and not self._is_last_look and self._was_frozen(now):
            self._look_again(now)
        found = Sleep(0.0) if has_begun else self._next(now, utc)
        if self._more is not None and not isinstance(found, StartPoll):
            found = Sleep(0.0)
        self._is_waiting = self._room < self.in_flight
        if isinstance(found, StartPoll):
            self._expected = found.send.deadline
        elif found is not None:
            self._expected = now + found.seconds
        return found

    def _next(self, now: float, utc: datetime) -> StartPoll | Sleep | None:
        if self._stopped or now >= self._end:
            return self._end_some(WaitStopped if self._stopped else WaitTimeout, now, utc)
        if self._is_over():
            return None
        for queue in self._refused:
            assert queue.ended_by is not None
            self._end_account(queue, queue.ended_by, now, utc)
            if self.events:
                return Sleep(0.0)
        if self._refused:
            self._refused = [queue for queue in self._refused if queue.open]
        at = self._book_slots(now) if self._room else self._end
        if at >= self._end and self._is_last_look and self._room == self.in_flight:
            self._end = now
            return Sleep(0.0)
        if at > now:
            return Sleep(at - now)
        chosen = self._agenda.next_booked()
        assert chosen is not None, "what is asleep at its time has been looked at"
        return self._start(chosen, now, utc) or Sleep(0.0)

    def _book_slots(self, now: float) -> float:
        """Book a slot for each queue with a batch that is due; return when the earliest one is, or the next look."""
        for queue in self._agenda.awake(now):
            slot = self._slot(queue, now)
            if queue.slot is not None:
                self._agenda.book(queue)
            elif slot < self._end:
                self._agenda.wake(queue, slot)
        return min(self._agenda.next_at(), self._end)

    def _is_over(self) -> bool:
        return not self.open and self._more is None

    def _was_frozen(self, now: float) -> bool:
        """Return whether the process was not running when it was to take the next step, before the deadline."""
        return now - self._expected > FROZEN and (self._expected < self._end or self._is_waiting)

    def _look_again(self, now: float) -> None:
        """Poll those once more whose last poll was not made, or is old, those read longest ago first."""
        self._is_last_look, self._end = True, now + LAST_LOOK
        last_poll = self._last_poll_at()
        for queue in self._queues:
            for progress in queue.take_all():
                is_due = progress.read_at < last_poll or not progress.polls or progress.ref in self._overslept
                queue.add(progress, now if is_due else math.inf)
            self._wake(queue, now)
        self._overslept.clear()

    def _slot(self, queue: Queue, now: float) -> float:
        """Return when the queue's next poll starts; book its slot once it is due."""
        if queue.slot is None:
            due = queue.next_due(now)
            if due is None:
                return self._end
            due = max(due, self._opens_at(queue))
            if due > now:
                return due
            wait = queue.pace.reserve(now, self._end)
            if wait is None:
                return self._end
            queue.book(now + wait)
        assert queue.slot is not None
        return queue.slot

    def _opens_at(self, queue: Queue) -> float:
        """Return when an account may be polled; a hint that leads past the last poll does not put that off."""
        if queue.health.held_until <= self._end - MAX_LAST_POLL:
            return queue.health.opens_at()
        return queue.health.opens_at(self._last_poll_at())

    def _start(self, queue: Queue, now: float, utc: datetime) -> StartPoll | None:
        """Return what to send; None if a 429 has closed the account meanwhile, or the caller has no key just now."""
        if (queue.slot is not None and not queue.pace.begin(queue.slot, now)) or self._opens_at(queue) > now:
            queue.cancel()
            self._wake(queue, now)
            return None
        due, progress = queue.depart()
        self._wake(queue, now)
        if queue.placement is not None:
            queue.placement.take_start(due, now)
        if progress.is_discarded:
            return None
        if queue.health.is_closed:
            queue.health.probe = progress
        try:
            request = build_request(queue.account, progress.ref)
        except BatchStatusError as error:
            self._record_failure(
                progress, queue, error, None, StepResult(None, now, utc), duration=0.0, queued=now - due
            )
            return None
        if self._prepare is not None:
            send = Event(
                kind=EventKind.SEND, ref=progress.ref, call=self._call, previous_state=progress.state,
                attempts=progress.polls + 1, elapsed=now - self.started, queued=now - due, **exchange(request),
            )  # fmt: skip
            request = self._prepare(send, request)
        self._room -= 1
        self._flying[progress] = queue
        deadline = min(now + self._retry.attempt_timeout, self._end)
        return StartPoll(progress, queue, SendRequest(request, deadline, self._retry.max_body), due, now)

    def take_result(self, poll: StartPoll, result: StepResult) -> None:
        """Take the result of a poll in, and add its events."""
        self._room += 1
        self._flying.pop(poll.progress, None)
        now, progress, queue = result.monotonic, poll.progress, poll.queue
        duration, queued = now - poll.started, poll.started - poll.due
        self._wake(queue, now)
        try:
            batch = parse_response(queue.account, progress.ref, poll.send.request, result)
        except ReadError as error:
            self._notice_sleep(poll, now, has_failed=True)
            self._record_failure(progress, queue, error, poll.send.request, result, duration=duration, queued=queued)
            return
        self._notice_sleep(poll, now, has_failed=False)
        queue.pace.accepted()
        queue.evidence.take_reading()
        was_closed = queue.health.take_answer()
        self._durations.append(duration)
        if progress.is_discarded:
            return
        before, changed = progress.state, self._record_poll(progress, queue, batch, now)
        look = None if batch.is_settled else progress.doubt().settle(batch, not changed, now, self._poll)
        if look is None and not batch.is_settled:  # it stands
            batch, changed = attrs.evolve(batch, is_settled=True), True
        done = batch.is_settled and batch.state in self._until
        pause, reason = None, "this is the state that was waited for"
        if not done:
            pause, reason = self._push(progress, queue, now, self._planned(progress, batch, look, now))
        self._last = batch if self._single else None
        if done:
            self._forget(progress, queue)
        for kind in self._kinds(batch, before, changed=changed, was_closed=was_closed, done=done):
            event = Event(
                kind=kind, ref=progress.ref, call=self._call, batch=batch, previous_state=before,
                attempts=progress.polls, elapsed=now - self.started, duration=duration, queued=queued, pause=pause,
                reason=reason, remaining=expected_rest(progress, now), status_code=status_of(result.outcome),
                **exchange(poll.send.request),
            )  # fmt: skip
            if kind is EventKind.DONE:
                self._done(event, queue)
            else:
                self.events.append(event)

    def _kinds(
        self, batch: Batch, before: BatchState | None, *, changed: bool, was_closed: bool, done: bool
    ) -> Iterator[EventKind]:
        """Yield the events of a reading in their order; of those that many polls bring, the ones that are heard."""
        if is_told(batch, self.listens, EventKind.ATTEMPT):
            yield EventKind.ATTEMPT
        if was_closed:
            yield EventKind.REOPENED
        if changed and self.listens(EventKind.CHANGE):
            yield EventKind.CHANGE
        if batch.state is BatchState.REQUIRES_ACTION and before is not BatchState.REQUIRES_ACTION:
            yield EventKind.NEEDS_ACTION
        if done:
            yield EventKind.DONE

    def _record_poll(self, progress: BatchProgress, queue: Queue, batch: Batch, now: float) -> bool:
        """Record a reading, learn from it, and place the next poll; return whether state or counts have changed."""
        placement, is_wanted = queue.placement, batch.state in self._until
        if placement is None:
            return progress.record_poll(batch, now)
        placement.learn(progress, now, has_ended=is_wanted and batch.is_settled)
        changed = progress.record_poll(batch, now)
        if not is_wanted:
            placement.spread(progress, now, queue.open)
        return changed

    def _notice_sleep(self, poll: StartPoll, now: float, *, has_failed: bool) -> None:
        """Note a poll during which the process was frozen across the deadline, if it has to be made again."""
        if now - self.deadline > FROZEN and poll.started < (self.deadline if has_failed else self._last_poll_at()):
            self._overslept.add(poll.progress.ref)

    def _bring_probe_forward(self, queue: Queue, now: float) -> None:
        """Let an account that is closed when the time is almost up have a probe early enough for its other batches."""
        health = queue.health
        if health.probe_at > self._end - MAX_LAST_POLL:
            chances = self._end - MAX_LAST_POLL, self._last_poll_at()
            health.probe_at = min((at for at in chances if now < at < health.probe_at), default=health.probe_at)

    def _planned(self, progress: BatchProgress, batch: Batch, look: float | None, now: float) -> tuple[float, str]:
        """Return the seconds from a reading to the next poll, and the reason; `look` if the reading has to settle."""
        hint = None if batch.retry_after is None else min(batch.retry_after, self._retry.max_retry_after)
        if look is not None and (hint is None or hint < look):
            return look, "the vendor says that it has ended, and its counts do not yet"
        return next_interval(progress, self._poll, now, hint)

    def _record_failure(
        self,
        progress: BatchProgress,
        queue: Queue,
        error: BatchStatusError,
        request: Request | None,
        result: StepResult,
        *,
        duration: float,
        queued: float,
    ) -> None:
        now, pause, health = result.monotonic, None, queue.health
        throttled = update_pace(queue.pace, error, now, self._retry)
        is_probe, has_closed, was_closed = health.probe is progress, False, False
        if is_own(error) and not is_about_account(error):
            was_closed = health.take_answer()
        else:
            if not isinstance(error, RateLimited):
                has_closed = health.take_failure(progress.ref, error, now, self._retry, duration=duration)
            if is_probe:
                health.probe = None
                health.plan_probe(now)
            if is_probe or has_closed:
                self._bring_probe_forward(queue, now)
        if progress.is_discarded:
            return
        progress.record_failure(error, now, counts=not is_probe)
        verdict, reason = queue.evidence.judge(
            progress.ref, error, progress.doubt(), self._poll, now, is_only=queue.open == 1
        )
        if verdict is not Verdict.NOTHING:
            error.args = (f"{error.detail}; {reason}",)
        else:
            asked = bounded_retry_after(error, self._retry)
            pause, reason = self._push(progress, queue, now, next_interval(progress, self._poll, now, asked))
        event = Event(
            kind=EventKind.ATTEMPT, ref=progress.ref, call=self._call, error=error, previous_state=progress.state,
            attempts=progress.polls, elapsed=now - self.started, duration=duration, queued=queued, pause=pause,
            reason=reason, remaining=expected_rest(progress, now), status_code=status_of(result.outcome),
            **exchange(request),
        )  # fmt: skip
        self.events.extend(failure_events(event, throttled))
        if verdict is not Verdict.ACCOUNT:
            is_trouble = verdict is Verdict.NOTHING
            self._tell(event, queue, now, has_closed=has_closed, was_closed=was_closed, is_trouble=is_trouble)
        if verdict is Verdict.NOTHING:
            return
        self._end_by(progress, queue, error, now, result.utc)
        if verdict is Verdict.ACCOUNT:
            self._refuse(queue, error)

    def _refuse(self, queue: Queue, error: BatchStatusError) -> None:
        """Let all batches of an account end by an error."""
        if queue.ended_by is None:
            self._refused.append(queue)
        queue.ended_by = error

    def _tell(
        self, event: Event, queue: Queue, now: float, *, has_closed: bool, was_closed: bool, is_trouble: bool
    ) -> None:
        """Add the messages about the health of an account."""
        if was_closed:
            self.events.append(attrs.evolve(event, kind=EventKind.REOPENED))
        is_worth_telling = is_trouble and queue.health.is_worth_telling(now)
        if has_closed:
            self.events.append(attrs.evolve(event, kind=EventKind.CLOSED, pause=queue.health.probe_at - now))
        elif is_worth_telling:
            self.events.append(attrs.evolve(event, kind=EventKind.TROUBLE))

    def _push(
        self,
        progress: BatchProgress,
        queue: Queue,
        now: float,
        planned: tuple[float, str],
    ) -> tuple[float | None, str]:
        """Plan the next poll, the last one just before the deadline; return the seconds until then, and the reason.

        Args:
            progress: The batch.
            queue: Its queue.
            now: The time now.
            planned: The seconds until the next poll, and the reason, without a view to the deadline.
        """
        interval, reason = planned
        pause: float | None = interval
        if now + interval > self._end - MAX_LAST_POLL:
            last = self._last_poll_at()
            if self._is_last_look and progress.ref in self._overslept:
                self._overslept.discard(progress.ref)
                pause, reason = 0.0, "the process stood still when it was made"
            elif now + interval > last:
                pause, reason = (last - now, "the time is almost up") if now < last else (None, "the time is up")
        queue.add(progress, math.inf if pause is None else now + pause)
        self._wake(queue, now)
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

    def close(self) -> None:
        """Give back the slots that are booked, and tell which batches are left open: no step follows."""
        for queue in self._queues:
            queue.release()
        if self.open and self.listens(EventKind.LEFT):
            self._leave()

    def _leave(self) -> None:
        """Tell that the call ends before it is done with its open batches."""
        for progress in itertools.chain(*(queue.take_all() for queue in self._queues), self._flying):
            if not progress.is_discarded:
                self._tell_left(progress)

    def _tell_left(self, progress: BatchProgress) -> None:
        elapsed = progress.read_at - self.started
        self.events.append(
            Event(
                kind=EventKind.LEFT, ref=progress.ref, call=self._call, attempts=progress.polls, elapsed=elapsed
            )
        )  # fmt: skip

    def _end_some(self, kind: type[WaitError], now: float, utc: datetime) -> Sleep | None:
        ended = 0
        if self._left is None:
            self._left = deque(self._queues)
        while self._left and ended < MAX_ENDED_AT_ONCE:
            queue = self._left[0]
            if (progress := queue.take()) is None:
                self._left.popleft()
                continue
            self._end_late(progress, queue, kind, now, utc)
            ended += 1
        if self._stopped and not ended:
            self._give_up_flying(kind, now, utc)
            return Sleep(max(0.0, min(ENDING, self._given_up_at - now))) if self.open else None
        return Sleep(0.0 if ended else ENDING) if self.open else None

    def _give_up_flying(self, kind: type[WaitError], now: float, utc: datetime) -> None:
        """End the wait for batches whose polls are in flight, a moment after the wait was stopped."""
        self._given_up_at = min(self._given_up_at, now + ENDING)
        if now >= self._given_up_at:
            for progress, queue in self._flying.items():
                if not progress.is_discarded:
                    progress.is_discarded = True
                    self._end_late(progress, queue, kind, now, utc)

    def _end_late(
        self, progress: BatchProgress, queue: Queue, kind: type[WaitError], now: float, utc: datetime
    ) -> None:
        """End the wait for a batch that is still open."""
        elapsed = now - self.started
        stands = f"{progress.state.name} ({progress.vendor_status})" if progress.state else "unread"
        no_pace = unavailable(queue.pace, progress.ref)
        cause = no_pace or progress.error or (None if progress.polls else queue.health.error)
        failed = f"; the last one failed: {getattr(cause, 'detail', cause)}" if cause else ""
        attempts = self._attempts_before + progress.polls
        error = kind(
            f"still {stands} after {elapsed:.1f} s and {attempts} attempts{failed}",
            ref=progress.ref,
            last=self._last or progress.batch(now, utc),
            attempts=attempts,
            elapsed=elapsed,
            checkpoint=self._checkpoint(progress, queue, now, utc),
        )
        error.__cause__ = cause
        self._end_with(progress, queue, error, now)

    def _end_account(self, queue: Queue, error: BatchStatusError, now: float, utc: datetime) -> None:
        """End the wait for the batches of an account, some at a time; those in flight end when their polls do."""
        for _ in range(MAX_ENDED_AT_ONCE):
            progress = queue.take()
            if progress is None:
                return
            if not progress.is_discarded:
                self._end_by(progress, queue, error, now, utc)

    def _end_by(
        self, progress: BatchProgress, queue: Queue, error: BatchStatusError, now: float, utc: datetime
    ) -> None:
        """End the wait for a batch by a failure, which may be that of another batch of its account."""
        if error.ref != progress.ref:
            error = copy.copy(error)
            error.ref = progress.ref
        if isinstance(error, ReadError):
            error.attempts = progress.polls
        error.last = self._last or progress.batch(now, utc)
        error.checkpoint = None if queue.evidence.is_endless else self._checkpoint(progress, queue, now, utc)
        self._end_with(progress, queue, error, now)

    def _end_with(self, progress: BatchProgress, queue: Queue, error: BatchStatusError, now: float) -> None:
        """End the wait for a batch by an error; a terminal reading that has not settled is the better answer."""
        batch = None if progress.doubts is None or queue.evidence.is_endless else progress.doubts.unsettled
        event = Event(
            kind=EventKind.DONE,
            ref=progress.ref,
            call=self._call,
            batch=batch,
            error=None if batch is not None else error,
            attempts=progress.polls,
            elapsed=now - self.started,
        )
        self._forget(progress, queue)
        self._done(event, queue)

    def checkpoint(self, now: float, utc: datetime) -> dict[str, Any]:
        """Return the checkpoint of a wait for one batch, as it stands."""
        assert self._only is not None
        return self._checkpoint(*self._only, now, utc)

    def no_pace(self) -> PaceUnavailable | None:
        """Return why the pace of a wait for one batch cannot be asked, if it cannot."""
        assert self._only is not None
        progress, queue = self._only
        return unavailable(queue.pace, progress.ref)

    @staticmethod
    def _forget(progress: BatchProgress, queue: Queue) -> None:
        """Let a batch that leaves the wait ask for no polls any more."""
        if queue.placement is not None:
            queue.placement.forget(progress)

    def _checkpoint(self, progress: BatchProgress, queue: Queue, now: float, utc: datetime) -> dict[str, Any]:
        return checkpoint.dump(
            progress,
            queue.evidence,
            attempts=self._attempts_before + progress.polls,
            until=self._until,
            deadline=utc + timedelta(seconds=self.deadline - now) if math.isfinite(self.deadline) else None,
            now=now,
            utc=utc,
        )

    def _done(self, event: Event, queue: Queue) -> None:
        self.open -= 1
        queue.open -= 1
        self.events.append(event)


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
        history: Callable[[BatchRef], Durations | None] | None = None,
        listens: Listens = everything,
        prepare: Prepare | None = None,
        call: Call = NO_CALL,
    ) -> None:
        super().__init__(
            {}, history=history, poll=poll, retry=retry, in_flight=in_flight, started=started, timeout=math.inf,
            listens=listens, prepare=prepare, call=call,
        )  # fmt: skip
        self._pace_of = pace_of
        self._queue_of: dict[Account, Queue] = {}
        self._by_ref: dict[BatchRef, tuple[BatchProgress, Queue]] = {}
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
            self._queue_of[account] = Queue(account, self._pace_of(account), is_endless=True)
        queue = self._queue_of[account]
        self._by_ref[ref] = self._add_unread(ref, queue, now), queue

    def _discard(self, ref: BatchRef) -> None:
        if (found := self._by_ref.pop(ref, None)) is not None:
            progress, queue = found
            if progress in self._flying and self.listens(EventKind.LEFT):
                self._tell_left(progress)
            progress.is_discarded = True
            self._forget(progress, queue)
            self.open -= 1
            queue.open -= 1

    def _is_over(self) -> bool:
        return False

    def _end_some(self, kind: type[WaitError], now: float, utc: datetime) -> None:
        """End the wait; open batches are left as they are."""

    def _leave(self) -> None:
        """Tell of the batches whose exchanges are in flight; of the others none was told that it began."""
        for progress in self._flying:
            if not progress.is_discarded:
                self._tell_left(progress)

    def _done(self, event: Event, queue: Queue) -> None:
        self._by_ref.pop(event.ref, None)
        super()._done(event, queue)
