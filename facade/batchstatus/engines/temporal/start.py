"""Start a wait from outside of workflows: one for a batch, however often it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from batchstatus import BatchRef, BatchState

from .messages import WaitRequest, wait_request
from .workflows import WaitForBatch


async def start_wait(
    client: Client,
    ref: str | BatchRef,
    *,
    task_queue: str,
    timeout: float | timedelta,
    until: Iterable[BatchState] | None = None,
    results: bool = False,
    held: bool = False,
    resume: Mapping[str, Any] | None = None,
    **options: Any,
) -> WorkflowHandle[WaitForBatch, dict[str, Any]]:
    """Start the workflow WaitForBatch, or return the handle of the one that there is.

    The same wait is not run twice: a run that goes on, or that has ended with a batch, is the one. After one that
    failed, timed out, or was cancelled or terminated, a new one starts. `Batch.from_dict(await handle.result())` is the
    batch.

    Args:
        client: Temporal's client; it needs no plugin, and no key.
        ref: `vendor:id`, `vendor/account:id`, or a BatchRef.
        task_queue: The queue of the workers with BatchStatusPlugin.
        timeout: Seconds, or a timedelta, from the start; of a run that there is, its own.
        until: States that end the wait besides the terminal ones, such as {BatchState.REQUIRES_ACTION}.
        results: Whether to have the batch's results, too.
        held: Whether the wait holds a slot of one worker: see `wait_for_batch`.
        resume: The checkpoint of an earlier wait.
        **options: Further keyword arguments of `Client.start_workflow`, such as `memo` or `search_attributes`.

    Raises:
        ConfigurationError: The ref or an option cannot work; nothing was started.
    """
    request = wait_request(ref, timeout=timeout, until=until, results=results, held=held, resume=resume)
    workflow_id = _id(request)
    try:
        return await client.start_workflow(
            WaitForBatch.run,
            request,
            id=workflow_id,
            task_queue=task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            # The conflict policy is about a run that goes on. One that has ended would run again without this.
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            **{"static_summary": f"wait for {request.ref}"} | options,
        )
    except WorkflowAlreadyStartedError as error:
        return client.get_workflow_handle_for(WaitForBatch.run, workflow_id, run_id=error.run_id)


def wait_id(ref: str | BatchRef, *, until: Iterable[BatchState] | None = None, results: bool = False) -> str:
    """Return the id of the workflow that `start_wait` starts with these arguments.

    Raises:
        ConfigurationError: The ref or a state cannot be one.
    """
    return _id(wait_request(ref, timeout=1.0, until=until, results=results))


def _id(request: WaitRequest) -> str:
    """Return an id that is the same for waits that have the same answer."""
    suffix = "".join(f"+{word}" for word in (*request.until, *(["results"] if request.results else [])))
    return f"batchstatus:{request.ref}{suffix}"
