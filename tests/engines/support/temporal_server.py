"""Temporal's own server, workers over it, and what a workflow's history holds."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from batchstatus import Account, AsyncBatchClient
from batchstatus.engines.temporal import BatchStatusPlugin
from servers import free_port, is_listening, running
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

T = TypeVar("T")


@contextmanager
def temporal_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run a server that keeps its data in a folder; give its address."""
    port = port or free_port()
    address = f"127.0.0.1:{port}"
    with running(
        *(shutil.which("temporal"), "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", port),
        *("--db-filename", folder / "temporal.db", "--log-level", "error"),
        log=folder / "server.log",
        is_ready=lambda: is_listening(port),
        env={"HOME": str(folder)},
    ):
        asyncio.run(_connected(address))
        yield address


async def _connected(address: str) -> None:
    """Wait until the server has its namespace: it listens before that."""

    async def count() -> int:
        return (await (await Client.connect(address)).count_workflows("")).count

    await eventually(count, lambda _: True)


async def eventually(ask: Callable[[], Awaitable[T]], is_so: Callable[[T], object]) -> T:
    """Ask until the answer is so, for as long as only a hang takes; errors meanwhile are answers that are not."""
    async with asyncio.timeout(60):
        while True:
            try:
                if is_so(answer := await ask()):
                    return answer
            except Exception:  # noqa: BLE001 (a server that starts has many)
                pass
            await asyncio.sleep(0.05)


@asynccontextmanager
async def working(
    client: Client, queue: str, accounts: Sequence[Account], *workflows: type, **options: Any
) -> AsyncIterator[Worker]:
    """Run a worker with these accounts."""
    async with AsyncBatchClient(*accounts) as batches:
        plugins = [BatchStatusPlugin(batches)]
        worker = Worker(client, task_queue=queue, workflows=workflows, plugins=plugins, **options)
        serving = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            ending = asyncio.create_task(worker.shutdown())
            if not (await asyncio.wait([serving], timeout=60))[0]:
                # In 10 of 650 trials under -W error (none of 350 without), each of a held wait that was cancelled,
                # temporalio 1.35 never came back from its own finalize_shutdown, all else being over; it does if it is
                # cancelled. An activity would be ours.
                assert not [task for task in asyncio.all_tasks() if "start_activity" in str(task.get_coro())]
                serving.cancel()
            await asyncio.gather(serving, ending)


async def history(handle: WorkflowHandle[Any, Any]) -> list[dict[str, Any]]:
    """Return the events of a workflow so far."""
    fetched = await handle.fetch_history()
    events: list[dict[str, Any]] = json.loads(fetched.to_json())["events"]
    return events


async def attempt(handle: WorkflowHandle[Any, Any]) -> Any:
    """Return the activity that a workflow waits for, as the server describes it."""
    described = await handle.describe()
    return described.raw_description.pending_activities[0]
