"""A worker in a process of its own: `temporal_worker.py ADDRESS QUEUE [STORE]`, with accounts from the environment.

With a store, its pace is that of all workers that have the same one.
"""

from __future__ import annotations

import asyncio
import sys

from batchstatus import AsyncBatchClient, accounts_from_env
from batchstatus.engines.temporal import BatchStatusPlugin
from batchstatus.service import Store, paced
from temporalio.client import Client
from temporalio.worker import Worker


async def main(address: str, queue: str, store: str = "") -> None:
    accounts = paced(Store(store), accounts_from_env()) if store else accounts_from_env()
    client = await Client.connect(address)
    async with AsyncBatchClient(*accounts) as batches:
        await Worker(client, task_queue=queue, plugins=[BatchStatusPlugin(batches)]).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
