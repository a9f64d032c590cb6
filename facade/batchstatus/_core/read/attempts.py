"""One read: when to send, and whether to try again. No I/O, no clock.

A read is a generator: it yields SendRequest and Sleep and is sent StepResults, so that the sync and the async driver
follow the same decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any, TypeAlias

import attrs

from batchstatus._core.account import Account, Request
from batchstatus._core.errors import (
    APIError,
    BatchStatusError,
    ConfigurationError,
    InvalidResponse,
    PaceUnavailable,
    RateLimited,
    ReadError,
    RequestTimeout,
)
from batchstatus._core.events import NO_CALL, Call, Event, EventKind, Listens, everything
from batchstatus._core.policies import Pace, RetryPolicy
from batchstatus._core.values import Batch, BatchRef, BatchState

from .messages import SendRequest, Sleep, StepResult, status_of
from .response import parse_response

Prepare: TypeAlias = Callable[[Event, Request], Request]
"""Called with the SEND event of each exchange: returns the request with the headers that the caller adds."""


class ReadEvents:
    """The events of one read."""

    __slots__ = ("_call", "_is_over", "_listens", "_notify", "_ref", "reason", "request", "times")

    def __init__(self, ref: BatchRef, call: Call, notify: Callable[[Event], None], listens: Listens) -> None:
        self._ref = ref
        self._call = call
        self._notify = notify
        self._listens = listens
        self.times: dict[str, Any] = {}
        """Of the last exchange."""
        self.request: Request | None = None
        """The last one."""
        self.reason = ""
        """Why the last pause is as long as it is, or none follows."""
        self._is_over = False

    def make(self, kind: EventKind, **fields: Any) -> Event:
        """Return an event."""
        return Event(kind=kind, ref=self._ref, call=self._call, **self.times, **exchange(self.request), **fields)

    def tell(self, kind: EventKind, **fields: Any) -> None:
        """Tell an event to those who listen."""
        if self._listens(kind):
            self._notify(self.make(kind, **fields))

    def tell_reading(self, batch: Batch) -> None:
        """Tell of a reading, which ends the read."""
        self._is_over = True
        for kind in filter(partial(is_told, batch, self._listens), (EventKind.ATTEMPT, EventKind.DONE)):
            self._notify(self.make(kind, batch=batch))

    def tell_failure(self, error: ReadError, pause: float | None, closed: float | None) -> None:
        """Tell of a failed attempt, whoever listens."""
        for event in failure_events(self.make(EventKind.ATTEMPT, error=error, pause=pause, reason=self.reason), closed):
            self._notify(event)

    def tell_error(self, error: BatchStatusError) -> None:
        """Tell of the error that ends the read, whoever listens."""
        self._is_over = True
        self._notify(self.make(EventKind.DONE, error=error, reason=self.reason))

    def tell_end(self) -> None:
        """Tell that the read is left, if nothing has ended it."""
        if not self._is_over:
            self.tell(EventKind.LEFT)


def read_with_retries(
    account: Account,
    ref: BatchRef,
    *,
    pace: Pace,
    policy: RetryPolicy,
    started: float,
    now: float,
    timeout: float,
    random: Callable[[], float],
    notify: Callable[[Event], None],
    listens: Listens = everything,
    prepare: Prepare | None = None,
    call: Call = NO_CALL,
) -> Generator[SendRequest | Sleep, StepResult, Batch]:
    """Read one batch within `timeout` seconds of `started` (monotonic): queueing, attempts and pauses together.

    `now` may be later than `started` if other reads of the same call came first.
    """
    events = ReadEvents(ref, call, notify, listens)
    due, deadline = started, started + timeout
    last_error: ReadError | None = None
    attempt = 0
    events.tell(EventKind.START)
    try:
        while True:
            attempt += 1
            slot = yield from _wait_for_slot(pace, now, deadline)
            if slot is None:
                raise last_error or unavailable(pace, ref) or no_slot(ref, timeout)
            now = slot
            events.request = request = build_request(account, ref)
            if prepare is not None:
                events.times = {"attempts": attempt, "elapsed": now - started, "queued": now - due}
                request = prepare(events.make(EventKind.SEND), request)
            result = yield SendRequest(request, min(now + policy.attempt_timeout, deadline), policy.max_body)
            now = result.monotonic
            events.times = {
                "attempts": attempt, "elapsed": now - started, "duration": now - slot, "queued": slot - due,
                "status_code": status_of(result.outcome),
            }  # fmt: skip
            try:
                batch = parse_response(account, ref, request, result, attempts=attempt, elapsed=now - started)
            except ReadError as error:
                last_error = error
            else:
                pace.accepted()
                events.tell_reading(batch)
                return batch
            last_error.attempts = attempt
            closed = update_pace(pace, last_error, now, policy)
            pause, events.reason = pause_after(last_error, attempt, policy, random)
            if pause is not None and now + pause >= deadline:
                pause, events.reason = None, "the time is up before another attempt"
            events.tell_failure(last_error, pause, closed)
            if pause is None:
                raise last_error
            due = now = (yield Sleep(pause)).monotonic
    except BatchStatusError as error:
        events.tell_error(error)
        raise
    finally:
        events.tell_end()


def _wait_for_slot(pace: Pace, now: float, deadline: float) -> Generator[Sleep, StepResult, float | None]:
    """Wait for a slot; return when it is used, or None if none comes before the deadline."""
    while True:
        wait = pace.reserve(now, deadline)
        if wait is None:
            return None
        slot = now + wait
        if wait:
            try:
                now = (yield Sleep(wait)).monotonic
            except GeneratorExit:
                pace.release(slot)
                raise
            if now >= deadline:  # the sleep took longer than it should
                pace.release(slot)
                return None
        if pace.begin(slot, now):
            return now


def build_request(account: Account, ref: BatchRef) -> Request:
    """Return what to send; raise ReadError if the caller's own function has no key at the moment."""
    try:
        return account.request(ref.id)
    except ConfigurationError:
        raise
    except Exception as error:
        failed = ReadError(f"cannot get the account's key ({type(error).__name__})", ref=ref)
        failed.is_lasting = True
        raise failed from error


def exchange(request: Request | None) -> dict[str, Any]:
    """Return what events tell of a request."""
    return {} if request is None else {"method": request.method, "url": request.url.partition("?")[0]}


def is_told(batch: Batch, listens: Listens, kind: EventKind) -> bool:
    """Return whether the event of a reading is made; whoever listens, an unknown word is warned of."""
    return (kind is EventKind.ATTEMPT and batch.state is BatchState.UNKNOWN) or listens(kind)


def failure_events(event: Event, closed: float | None) -> Iterator[Event]:
    """Yield the events for a failed attempt."""
    yield event
    if closed is not None:
        yield attrs.evolve(event, kind=EventKind.THROTTLE, pause=closed, reason="the vendor answered 429")
    if event.pause is not None:
        yield attrs.evolve(event, kind=EventKind.RETRY)


def unavailable(pace: Pace, ref: BatchRef) -> PaceUnavailable | None:
    """Return the error for a read whose pace cannot be asked; None if it can."""
    trouble = getattr(pace, "trouble", None)
    reason = None if trouble is None else trouble()
    return (
        None if reason is None else PaceUnavailable(f"nothing was sent: its pace cannot be asked ({reason})", ref=ref)
    )


def no_slot(ref: BatchRef, timeout: float) -> RequestTimeout:
    """Return the error for a read that its account's pace leaves no time for."""
    text = f"nothing was sent: the pace of its account has no slot left within {timeout:.3g} s"
    return RequestTimeout(f"{text}; give it a longer timeout, or spread the reads", ref=ref)


def update_pace(pace: Pace, error: BatchStatusError, now: float, policy: RetryPolicy) -> float | None:
    """Update the pace after a failed attempt; return the pause in seconds if a 429 closed it."""
    if isinstance(error, RateLimited):
        return pace.refused(now, bounded_retry_after(error, policy) or policy.first_delay)
    if isinstance(error, (APIError, InvalidResponse)):  # a failed transport or a missing key says nothing about it
        pace.accepted()
    return None


def pause_after(
    error: ReadError, attempt: int, policy: RetryPolicy, random: Callable[[], float]
) -> tuple[float | None, str]:
    """Return the seconds until the next attempt, or None if there is none; and the reason."""
    if not error.is_retryable:
        return None, "a retry cannot help"
    if attempt >= policy.attempts:
        return None, f"all {policy.attempts} attempts have failed"
    backoff, asked = policy.backoff(attempt, random()), bounded_retry_after(error, policy)
    if asked is not None and asked > backoff:
        return asked, "the vendor asks for it"
    return backoff, f"attempt {attempt} of {policy.attempts} has failed"


def bounded_retry_after(error: BatchStatusError, policy: RetryPolicy) -> float | None:
    """Return Retry-After, or `max_retry_after` if that is less."""
    asked = error.retry_after if isinstance(error, ReadError) else None
    return None if asked is None else min(asked, policy.max_retry_after)
