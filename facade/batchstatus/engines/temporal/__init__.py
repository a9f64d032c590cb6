"""Waits in Temporal: durable, and without a key outside the workers that read.

    worker = Worker(client, task_queue="batches", workflows=[Mine], plugins=[BatchStatusPlugin(batches)])

    batch = await wait_for_batch("shop:1748392", timeout=86_400)  # in a workflow
    handle = await start_wait(client, "shop:1748392", task_queue="batches", timeout=86_400)  # elsewhere

It needs the extra `temporal` (temporalio). The names and fields of `messages` stand in histories: they stay.
"""

try:
    import temporalio  # noqa: F401 (only to name the extra)
except ModuleNotFoundError as error:
    raise ImportError(f"{__name__} needs the extra: pip install 'batchstatus[temporal]'", name=error.name) from error

from .messages import WaitManyRequest, WaitRequest
from .plugin import BatchStatusPlugin
from .start import start_wait, wait_id
from .workflows import WaitForBatch, wait_for_batch, wait_for_batches

__all__ = [
    "BatchStatusPlugin",
    "WaitForBatch",
    "WaitManyRequest",
    "WaitRequest",
    "start_wait",
    "wait_for_batch",
    "wait_for_batches",
    "wait_id",
]
