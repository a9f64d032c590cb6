"""The part that runs in workflows: deterministic, without I/O and without a key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as TemporalTimeout

from batchstatus import Batch, BatchRef, BatchState

from .messages import (
    NOT_ENDED,
    READ,
    WAIT,
    WAIT_FOR_BATCH,
    WAIT_MANY,
    WAIT_TIMEOUT,
    WaitManyRequest,
    WaitRequest,
    wait_many_request,
    wait_request,
)

HEARTBEAT = timedelta(seconds=15)
"""After a worker was killed, another one takes up its attempts within this time."""
READ_ATTEMPT = timedelta(seconds=75)
"""Longer than a poll with its slot of the pace, and than a last look."""
LAST_LOOK = timedelta(seconds=15)
"""Of a wait whose time ended while no worker was there."""
RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10))
"""After a crash, or a mistake of a worker; after a poll the activity itself says when. The maximum is what follows a
crash in a long wait, since every poll before counts as an attempt."""


async def wait_for_batch(
    ref: str | BatchRef,
    *,
    timeout: float | timedelta,
    until: Iterable[BatchState] | None = None,
    results: bool = False,
    held: bool = False,
    resume: Mapping[str, Any] | None = None,
    task_queue: str | None = None,
) -> Batch:
    """Wait in a workflow until a batch has ended.

    A batch that ended as FAILED is a result, not an exception: see `Batch.raise_for_state`.

    Args:
        ref: `vendor:id`, `vendor/account:id`, or a BatchRef.
        timeout: Seconds, or a timedelta, by the server's clock. If no worker was there when it ended, one last look
            follows.
        until: States that end the wait besides the terminal ones, such as {BatchState.REQUIRES_ACTION}.
        results: Whether to have the batch's results, too; they go into the history, where 2 MB are the most.
        held: True holds a slot of one worker for the whole wait, and asks the server for heartbeats only: for a few
            waits with short pauses. False takes a slot for each poll only: for any number of waits of any length.
        resume: The checkpoint of an earlier wait: `error.details[0]["checkpoint"]`.
        task_queue: The queue of the workers with the accounts; default: the workflow's own.

    Raises:
        ConfigurationError: The ref or an option cannot work.
        ApplicationError: With `type` "WaitTimeout" if the time is up, else the name of the error that ended the wait,
            such as "BatchNotFound"; `details[0]` has "last" and "checkpoint".
        ActivityError: The workflow was cancelled.
    """
    request = wait_request(ref, timeout=timeout, until=until, results=results, held=held, resume=resume)
    return Batch.from_dict(await _wait(request, task_queue))


async def wait_for_batches(
    refs: Iterable[str | BatchRef], *, timeout: float | timedelta, task_queue: str | None = None
) -> dict[str, Batch | ApplicationError]:
    """Wait in a workflow until many batches have ended, in one activity; return a Batch or an error for each ref.

    Args:
        refs: 1,000 at most; duplicates are read once. The batches come without results, and without failures if those
            are too many for one payload.
        timeout: Seconds for all of them, or a timedelta, by the server's clock.
        task_queue: The queue of the workers with the accounts; default: the workflow's own.

    Raises:
        ConfigurationError: A ref or the timeout cannot work.
        ActivityError: The workflow was cancelled.
    """
    request = wait_many_request(refs, timeout=timeout)
    found, known = await _answer(WAIT_MANY, request, task_queue)
    outcomes = known if found is None else found
    return {ref: _unwrapped(outcomes[ref]) if ref in outcomes else _unanswered(ref, request) for ref in request.refs}


@workflow.defn(name=WAIT_FOR_BATCH)
class WaitForBatch:
    """A wait as a workflow of its own; `start_wait` starts it. Its result is what `Batch.from_dict` takes."""

    @workflow.run
    async def run(self, request: WaitRequest) -> dict[str, Any]:
        """Wait."""
        return await _wait(request, None)


@workflow.defn(name=WAIT_FOR_BATCH, versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class VersionedWaitForBatch:
    """The same for a worker of a versioned deployment; a wait of days moves along to the next version.

    Such a worker refuses a workflow that does not say how it moves, and a server refuses one that does from any other.
    """

    @workflow.run
    async def run(self, request: WaitRequest) -> dict[str, Any]:
        """Wait."""
        return await _wait(request, None)


async def _wait(request: WaitRequest, task_queue: str | None) -> dict[str, Any]:
    found, known = await _answer(WAIT if request.held else READ, request, task_queue)
    if found is None:
        raise _unanswered(request.ref, request, known)
    return found


async def _answer(
    name: str, request: WaitRequest | WaitManyRequest, task_queue: str | None
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return what an activity has found, and what is known if it is None, as no worker has answered."""
    timeout, known = timedelta(seconds=request.timeout), request.resume
    # If the time ends while no worker is there to say so, there is a last look: as this workflow goes on, a worker is
    # back, and the batch may have ended long ago.
    for each, time in ((request, timeout), (replace(request, is_last_look=True), LAST_LOOK)):
        try:
            return await _execute(name, replace(each, resume=known), time, task_queue), {}
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            if not _is_unanswered(error.cause):
                raise (error.cause or error) from None
            known = _last_details(error.cause) or known
    return None, known or {}


async def _execute(
    name: str, request: WaitRequest | WaitManyRequest, timeout: timedelta, task_queue: str | None
) -> dict[str, Any]:
    found: dict[str, Any] = await workflow.execute_activity(
        name,
        request,
        task_queue=task_queue,
        result_type=dict[str, Any],
        schedule_to_close_timeout=timeout,
        start_to_close_timeout=READ_ATTEMPT if name == READ else None,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=RETRY,
        summary=request.ref if isinstance(request, WaitRequest) else f"{len(request.refs)} batches",
    )
    return found


def _is_unanswered(cause: BaseException | None) -> bool:
    """Return whether the server ended an activity that itself has not said how the wait ended."""
    return isinstance(cause, TemporalTimeout) or (isinstance(cause, ApplicationError) and cause.type == NOT_ENDED)


def _last_details(cause: BaseException | None) -> dict[str, Any] | None:
    details = cause.last_heartbeat_details if isinstance(cause, TemporalTimeout) else ()
    return next((one for one in details if isinstance(one, dict)), None)


def _unwrapped(outcome: dict[str, Any]) -> Batch | ApplicationError:
    if outcome["batch"] is not None:
        return Batch.from_dict(outcome["batch"])
    return ApplicationError(outcome["error"]["message"], type=outcome["error"]["type"], non_retryable=True)


def _unanswered(
    ref: str, request: WaitRequest | WaitManyRequest, checkpoint: dict[str, Any] | None = None
) -> ApplicationError:
    """Return the error of a wait that no worker has answered, with what the last one has left."""
    last = checkpoint and checkpoint.get("last")
    stands = f"{last['state'].upper()} ({last['vendor_status']:.80})" if last else "unread"
    return ApplicationError(
        f"{ref}: still {stands} after {request.timeout:.1f} s, and no worker has answered for "
        f"{LAST_LOOK.total_seconds():.0f} s more: run one with BatchStatusPlugin and accounts on the task queue",
        {"last": None, "checkpoint": checkpoint or None},
        type=WAIT_TIMEOUT,
        non_retryable=True,
    )
