"""A watcher that runs in a test's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import time

from waiting import LONG


@contextlib.asynccontextmanager
async def running(watcher):
    """Have a watcher run while the block does."""
    stop = asyncio.Event()
    task = asyncio.create_task(watcher.run(stop))
    try:
        yield stop
        stop.set()
        await task
    finally:
        task.cancel()


async def until(happened, seconds=LONG):
    """Wait for something that has to happen."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)
