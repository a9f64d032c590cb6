"""One read: when to send, and whether to try again. No I/O, no clock.

A read is a generator: it yields SendRequest and Sleep and is sent StepResults, so that the sync and the async driver
follow the same decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

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
from batchstatus._core.events import Event, EventKind, Listens, everything
from batchstatus._core.policies import Pace, RetryPolicy
from batchstatus._core.values import Batch, BatchRef, BatchState

from .messages import SendRequest, Sleep, StepResult
from .response import parse_response


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
) -> Generator[SendRequest | Sleep, StepResult, Batch]:
    """Read one batch within `timeout` seconds of `started` (monotonic): queueing, attempts and pauses together.

    `now` may be later than `started` if other reads of the same call came first.
    """
    due, deadline = started, started + timeout
    times: dict[str, Any] = {}
    reason = ""
    last_error: ReadError | None = None
    attempt = 0
    try:
        while True:
            attempt += 1
            slot = yield from _wait_for_slot(pace, now, deadline)
            if slot is None:
                raise last_error or unavailable(pace, ref) or no_slot(ref, timeout)
            now = slot
            request = build_request(account, ref)
            result = yield SendRequest(request, min(now + policy.attempt_timeout, deadline), policy.max_body)
            now = result.monotonic
            times = {"attempts": attempt, "elapsed": now - started, "duration": now - slot, "queued": slot - due}
            try:
                batch = parse_response(account, ref, request, result, attempts=attempt, elapsed=now - started)
            except ReadError as error:
                last_error = error
            else:
                pace.accepted()
                for kind in filter(partial(is_told, batch, listens), (EventKind.ATTEMPT, EventKind.DONE)):
                    notify(Event(kind=kind, ref=ref, batch=batch, **times))
                return batch
            last_error.attempts = attempt
            closed = update_pace(pace, last_error, now, policy)
            pause, reason = pause_after(last_error, attempt, policy, random)
            if pause is not None and now + pause >= deadline:
                pause, reason = None, "the time is up before another attempt"
            event = Event(kind=EventKind.ATTEMPT, ref=ref, error=last_error, pause=pause, reason=reason, **times)
            for each in failure_events(event, closed):
                notify(each)
            if pause is None:
                raise last_error
            due = now = (yield Sleep(pause)).monotonic
    except BatchStatusError as error:
        notify(Event(kind=EventKind.DONE, ref=ref, error=error, reason=reason, **times))
        raise


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
