"""One read: what to send, and whether to try again. No I/O, no clock.

A read is a generator: it yields Send and Pause and is sent Replies, so that the sync and the async driver perform
the same decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import attrs

from ._batch import Batch, BatchRef
from ._errors import (
    APIError,
    BatchStatusError,
    InvalidResponse,
    RateLimited,
    ReadError,
    RequestTimeout,
    ServerError,
    TransportError,
)
from ._events import Event, EventKind
from ._exchange import Pause, Reply, Send
from ._meaning import Vendor, interpret, prepared
from ._policy import Pace, RetryPolicy


def read(
    vendor: Vendor,
    ref: BatchRef,
    *,
    pace: Pace,
    policy: RetryPolicy,
    started: float,
    timeout: float,
    random: Callable[[], float],
    tell: Callable[[Event], None],
) -> Generator[Send | Pause, Reply, Batch]:
    """Read one batch within `timeout` seconds of `started` (monotonic): queueing, attempts and pauses together."""
    now, deadline = started, started + timeout
    seen = Event(kind=EventKind.READ, ref=ref)
    failed: ReadError | None = None
    attempt = 0
    try:
        while True:
            attempt += 1
            due, slot = now, (yield from _turn(pace, now, deadline))
            if slot is None:
                raise failed or no_slot(ref, timeout)
            now = slot
            request = prepared(vendor, ref)
            reply = yield Send(request, min(now + policy.attempt_timeout, deadline), policy.max_body)
            now = reply.monotonic
            seen = Event(
                kind=EventKind.READ,
                ref=ref,
                attempts=attempt,
                elapsed=now - started,
                took=now - slot,
                queued=slot - due,
            )
            try:
                batch = interpret(vendor, ref, request, reply)
            except ReadError as error:
                failed = error
            else:
                pace.accepted()
                batch = attrs.evolve(batch, attempts=attempt, elapsed=now - started)
                seen = attrs.evolve(seen, batch=batch)
                tell(seen)
                tell(attrs.evolve(seen, kind=EventKind.DONE))
                return batch
            failed.attempts = attempt
            closed = learn(pace, failed, now, policy)
            pause, why = pause_after(failed, attempt, policy, random)
            if pause is not None and now + pause >= deadline:
                pause, why = None, "the time is up before another attempt"
            seen = attrs.evolve(seen, error=failed, pause=pause, why=why)
            for event in failures(seen, closed):
                tell(event)
            if pause is None:
                raise failed
            now = (yield Pause(pause)).monotonic
    except BatchStatusError as error:
        tell(attrs.evolve(seen, kind=EventKind.DONE, error=error, pause=None))
        raise


def _turn(pace: Pace, now: float, deadline: float) -> Generator[Pause, Reply, float | None]:
    """Wait for a slot; return when it is used, or None where none comes before the deadline."""
    while True:
        wait = pace.reserve(now, deadline)
        if wait is None:
            return None
        slot = now + wait
        if wait:
            now = (yield Pause(wait)).monotonic
        if pace.begin(slot, now):
            return now


def failures(seen: Event, closed: float | None) -> Iterator[Event]:
    """Yield what there is to tell of an exchange that failed."""
    yield seen
    if closed is not None:
        yield attrs.evolve(seen, kind=EventKind.THROTTLE, pause=closed, why="the vendor answered 429")
    if seen.pause is not None:
        yield attrs.evolve(seen, kind=EventKind.RETRY)


def no_slot(ref: BatchRef, timeout: float) -> RequestTimeout:
    """Return the error for a read that its account's pace leaves no time for."""
    text = f"{ref}: nothing was sent, as the pace of its account has no slot left within {timeout:.3g} s"
    return RequestTimeout(f"{text}; give it a longer timeout, or spread the reads", ref=ref)


def learn(pace: Pace, error: BatchStatusError, now: float, policy: RetryPolicy) -> float | None:
    """Tell the pace what a failed attempt says of it; return for how many seconds that closes it, if it does."""
    if isinstance(error, RateLimited):
        closed = hint(error, policy) or policy.first_delay
        pace.refused(now, closed)
        return closed
    if isinstance(error, (APIError, InvalidResponse)):  # a failed transport, or a lack of a key, says nothing
        pace.accepted()
    return None


def pause_after(
    error: ReadError, attempt: int, policy: RetryPolicy, random: Callable[[], float]
) -> tuple[float | None, str]:
    """Return how many seconds to wait before the next attempt, or None where there is none; and why."""
    if not is_transient(error):
        return None, "no retry helps"
    if attempt >= policy.attempts:
        return None, f"all {policy.attempts} attempts have failed"
    backoff, asked = policy.backoff(attempt, random()), hint(error, policy)
    if asked is not None and asked > backoff:
        return asked, "the vendor asks for it"
    return backoff, f"attempt {attempt} of {policy.attempts} has failed"


def hint(error: BatchStatusError, policy: RetryPolicy) -> float | None:
    """Return the vendor's Retry-After, unless it is absurd."""
    asked = error.retry_after if isinstance(error, APIError) else None
    return None if asked is None or asked > policy.max_retry_after else asked


def is_transient(error: ReadError) -> bool:
    """Return whether another attempt may fare better."""
    if isinstance(error, InvalidResponse):
        return error.cut_short
    return isinstance(error, (TransportError, RateLimited, ServerError))


def is_fatal(error: BatchStatusError) -> bool:
    """Return whether no later read can fare better: the vendor has said no."""
    return isinstance(error, APIError) and not isinstance(error, (RateLimited, ServerError))
