"""One read: what to send, and whether to try again. No I/O, no clock.

A read is a generator: it yields Send and Pause and is sent Replies, so that the sync and the async driver perform
the same decisions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator

import attrs

from . import _errors
from ._batch import Batch, BatchRef
from ._errors import APIError, InvalidResponse, ReadError, TransportError
from ._exchange import Pause, Reply, Send
from ._meaning import Vendor, interpret
from ._policy import RetryPolicy


def read(
    vendor: Vendor, ref: BatchRef, policy: RetryPolicy, *, started: float, timeout: float, random: Callable[[], float]
) -> Generator[Send | Pause, Reply, Batch]:
    """Read one batch within `timeout` seconds of `started` (monotonic), retries and pauses included."""
    now, deadline = started, started + timeout
    for attempt in itertools.count(1):
        request = vendor.request(ref.id)
        reply = yield Send(request, min(policy.attempt_timeout, deadline - now), policy.max_body)
        now = reply.monotonic
        try:
            batch = interpret(vendor, ref, request, reply)
            return attrs.evolve(batch, attempts=attempt, elapsed=now - started)
        except ReadError as error:
            failed = error
        failed.attempts = attempt
        pause = pause_after(failed, attempt, policy, random)
        if pause is None or now + pause >= deadline:
            raise failed
        now = (yield Pause(pause)).monotonic
        if now >= deadline:
            raise failed
    raise AssertionError("unreachable")


def pause_after(error: ReadError, attempt: int, policy: RetryPolicy, random: Callable[[], float]) -> float | None:
    """Return how many seconds to wait before the next attempt, or None where there is none."""
    if attempt >= policy.attempts or not is_transient(error):
        return None
    hint = error.retry_after if isinstance(error, APIError) else None
    if hint is not None and hint <= policy.max_retry_after:
        return hint
    return policy.backoff(attempt, random())


def is_transient(error: ReadError) -> bool:
    """Return whether another attempt may fare better."""
    if isinstance(error, InvalidResponse):
        return error.cut_short
    return isinstance(error, (TransportError, _errors.RateLimited, _errors.ServerError))
