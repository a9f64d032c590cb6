"""A wait for one batch in an event loop, as workers and triggerers make it; and how it ended, as plain JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from batchstatus import (
    AsyncBatchClient,
    Batch,
    BatchRef,
    BatchState,
    BatchStatusError,
    WaitTimeout,
)
from batchstatus.engines._checkpoint import resumed
from batchstatus.engines._payload import fitting, standing

from .clients import shared_client

ENDED, TIMED_OUT, REFUSED, OPEN = "ended", "timeout", "refused", "open"
"""The `status` of an outcome: in a state that was waited for; the time is up; it cannot be read; the wait goes on."""
FIRST_LOOK = 30.0
"""Seconds for the poll of a worker before it defers, a slot of the pace included; what it cannot find out in that
time, the triggerer does."""
LAST_LOOK = 60.0
"""Seconds for a last poll that was missed, a slot of the pace included."""
SHORTEST = 1.0
"""Seconds below which a wait is one last look."""
OVERTIME = 15.0
"""Seconds beyond its time after which a wait ends whatever it waits for."""
MAX_PAYLOAD = 100_000
"""Bytes of a batch in Airflow's database: its failures are left out if it would be more."""

Outcome = dict[str, Any]
"""JSON: `status`, `ref`, `batch` (the last reading, as `Batch.to_dict`, or None), `error` (a class, or None), `message`
(without the ref, or None), and `checkpoint` if the wait goes on."""


async def look(
    ref: BatchRef,
    conn_id: str,
    *,
    until: Sequence[BatchState],
    poll: float,
    timeout: float,
    resume: Mapping[str, Any] | None = None,
) -> Outcome:
    """Poll once, within `timeout` seconds; the outcome is ENDED, REFUSED or OPEN."""

    async def step(client: AsyncBatchClient) -> Outcome:
        made = await resumed(
            resume, lambda resume: client.step(ref, until=until, resume=resume, timeout=max(timeout, SHORTEST))
        )
        if made.is_over and made.error is not None:
            raise made.error
        if made.is_over:
            return outcome(ENDED, ref, batch=made.batch)
        message = None if made.error is None else made.error.detail
        return outcome(OPEN, ref, batch=made.batch, message=message) | {"checkpoint": made.checkpoint}

    found = await _told(ref, conn_id, poll, step, timeout)
    return found if found["status"] != TIMED_OUT else found | {"status": OPEN, "checkpoint": None}


async def wait(
    ref: BatchRef,
    conn_id: str,
    *,
    until: Sequence[BatchState],
    poll: float,
    end_time: datetime,
    resume: Mapping[str, Any] | None = None,
) -> Outcome:
    """Wait until an absolute time; past it, look once more. The outcome is ENDED, TIMED_OUT or REFUSED.

    A wait that is taken up again, on another machine or after a restart, ends at the same time.
    """
    left = (end_time - datetime.now(UTC)) / timedelta(seconds=1)
    if left < SHORTEST:
        found = await look(ref, conn_id, until=until, poll=poll, timeout=LAST_LOOK, resume=resume)
        return found if found["status"] != OPEN else timed_out(found, end_time)

    async def whole(client: AsyncBatchClient) -> Outcome:
        rest = max((end_time - datetime.now(UTC)) / timedelta(seconds=1), SHORTEST)
        try:
            batch = await resumed(resume, lambda resume: client.wait(ref, until=until, resume=resume, timeout=rest))
        except WaitTimeout as error:
            failed = getattr(error.__cause__, "detail", None)
            return outcome(TIMED_OUT, ref, batch=error.last, message=failed)
        return outcome(ENDED, ref, batch=batch)

    found = await _told(ref, conn_id, poll, whole, left)
    return found if found["status"] != TIMED_OUT else timed_out(found, end_time)


async def _told(
    ref: BatchRef, conn_id: str, poll: float, use: Callable[[AsyncBatchClient], Awaitable[Outcome]], seconds: float
) -> Outcome:
    """Use the client of a connection, and turn what ends a wait into its outcome.

    The client keeps its time itself; what Airflow takes to give the connection is bounded here.
    """
    try:
        async with asyncio.timeout(seconds + OVERTIME) as bound, shared_client(conn_id, ref, poll) as shared:
            return await shared.call(use)
    except BatchStatusError as error:
        return outcome(REFUSED, ref, batch=error.last, error=type(error).__name__, message=error.detail)
    except TimeoutError:
        if not bound.expired():
            raise
        return outcome(TIMED_OUT, ref, message=f"Airflow does not give the connection {conn_id!r}")


def outcome(
    status: str, ref: BatchRef, *, batch: Batch | None = None, error: str | None = None, message: str | None = None
) -> Outcome:
    """Return an outcome."""
    fields = None if batch is None else fitting(batch, results=False, most=MAX_PAYLOAD)
    return {"status": status, "ref": str(ref), "batch": fields, "error": error, "message": message}


def timed_out(found: Outcome, end_time: datetime) -> Outcome:
    """Return the outcome of a wait that is over its time: with the state, and for how many seconds it is."""
    late = max((datetime.now(UTC) - end_time) / timedelta(seconds=1), 0.0)
    failed = "" if found["message"] is None else f"; the last poll failed: {found['message']}"
    message = f"still {stands(found)}, {late:.1f} s past the end of its time{failed}"
    return outcome(TIMED_OUT, BatchRef.parse(found["ref"]), error=WaitTimeout.__name__, message=message) | {
        "batch": found["batch"]
    }


def stands(found: Outcome) -> str:
    """Return where the batch of an outcome stands."""
    return "unread" if found["batch"] is None else standing(Batch.from_dict(found["batch"]))
