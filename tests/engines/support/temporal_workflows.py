"""Workflows of users, in a module of their own: the sandbox reloads it for each run."""

from __future__ import annotations

from datetime import timedelta

from batchstatus import Batch, BatchState
from batchstatus.engines.temporal import wait_for_batch, wait_for_batches
from temporalio import workflow


@workflow.defn
class Approval:
    """Waits until the batch requires action."""

    @workflow.run
    async def run(self, ref: str) -> list[str]:
        asked = await wait_for_batch(ref, timeout=timedelta(hours=1), until={BatchState.REQUIRES_ACTION})
        return [asked.state, asked.vendor_status, str(asked.ref)]


@workflow.defn
class Many:
    """Waits for many batches."""

    @workflow.run
    async def run(self, refs: list[str], timeout: float) -> dict[str, str]:
        found = await wait_for_batches(refs, timeout=timeout)
        return {
            ref: one.state if isinstance(one, Batch) else f"{one.type}: {one.message}" for ref, one in found.items()
        }
