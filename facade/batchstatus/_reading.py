"""One read: what to send, and whether to try again. No I/O, no clock.

A read is a generator: it yields Send and Pause and is sent Replies, so that the sync and the async driver perform
the same decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

import attrs

from ._batch import Batch, BatchRef
from ._errors import APIError, InvalidResponse, RateLimited, ReadError, RequestTimeout, ServerError, TransportError
from ._exchange import Pause, Reply, Send
from ._meaning import Vendor, interpret
from ._policy import RetryPolicy


class Pace(Protocol):
    """The gate of an account, or of none: see `_pacing`."""

    def reserve(self, now: float, before: float) -> float | None:
        """Book the next slot and return the seconds until it; where none comes in time, book none: None."""

    def refused(self, now: float, pause: float) -> None:
        """Learn of a 429."""

    def accepted(self) -> None:
        """Learn of any other answer."""


def read(
    vendor: Vendor,
    ref: BatchRef,
    *,
    pace: Pace,
    policy: RetryPolicy,
    started: float,
    timeout: float,
    random: Callable[[], float],
) -> Generator[Send | Pause, Reply, Batch]:
    """Read one batch within `timeout` seconds of `started` (monotonic): queueing, attempts and pauses together."""
    now, deadline = started, started + timeout
    failed: ReadError | None = None
    attempt = 0
    while True:
        attempt += 1
        queue = pace.reserve(now, deadline)
        if queue is None:
            raise failed or no_slot(ref, timeout)
        if queue:
            now = (yield Pause(queue)).monotonic
        request = vendor.request(ref.id)
        reply = yield Send(request, min(now + policy.attempt_timeout, deadline), policy.max_body)
        now = reply.monotonic
        try:
            batch = interpret(vendor, ref, request, reply)
        except ReadError as error:
            failed = error
        else:
            pace.accepted()
            return attrs.evolve(batch, attempts=attempt, elapsed=now - started)
        failed.attempts = attempt
        learn(pace, failed, now, policy)
        pause = pause_after(failed, attempt, policy, random)
        if pause is None or now + pause >= deadline:
            raise failed
        now = (yield Pause(pause)).monotonic


def no_slot(ref: BatchRef, timeout: float) -> RequestTimeout:
    """Return the error for a read that its account's pace leaves no time for."""
    text = f"{ref}: nothing was sent, as the pace of its account has no slot left within {timeout:.3g} s"
    return RequestTimeout(f"{text}; give it a longer timeout, or spread the reads", ref=ref)


def learn(pace: Pace, error: ReadError, now: float, policy: RetryPolicy) -> None:
    """Tell the pace what a failed attempt says of it; a failed transport says nothing."""
    if isinstance(error, RateLimited):
        pace.refused(now, hint(error, policy) or policy.first_delay)
    elif not isinstance(error, TransportError):
        pace.accepted()


def pause_after(error: ReadError, attempt: int, policy: RetryPolicy, random: Callable[[], float]) -> float | None:
    """Return how many seconds to wait before the next attempt, or None where there is none."""
    if attempt >= policy.attempts or not is_transient(error):
        return None
    return max(policy.backoff(attempt, random()), hint(error, policy) or 0.0)


def hint(error: ReadError, policy: RetryPolicy) -> float | None:
    """Return the vendor's Retry-After, unless it is absurd."""
    asked = error.retry_after if isinstance(error, APIError) else None
    return None if asked is None or asked > policy.max_retry_after else asked


def is_transient(error: ReadError) -> bool:
    """Return whether another attempt may fare better."""
    if isinstance(error, InvalidResponse):
        return error.cut_short
    return isinstance(error, (TransportError, RateLimited, ServerError))
