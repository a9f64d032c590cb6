"""What the tasks of a watcher wait for."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from batchstatus.store import Change

LOOK = 1.0
"""Seconds after which to look for what other processes have stored, or what is due again."""

T = TypeVar("T")
log = logging.getLogger("batchstatus")


async def first(*waits: Any, seconds: float) -> None:
    """Wait for the first of them, at most so long."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def insist(what: str, call: Callable[..., T], *arguments: Any) -> T:
    """Call what writes to the store in a thread, again and again until the store takes it."""
    while True:
        try:
            return await asyncio.to_thread(call, *arguments)
        except sqlite3.Error as error:
            log.warning("the store does not take %s, and will be asked again: %s", what, error)
            await asyncio.sleep(LOOK)


async def in_thread(call: Callable[[Change], Any], change: Change) -> None:
    """Call it in a thread of its own, which a process that ends does not wait for; or await it."""
    if inspect.iscoroutinefunction(call):
        await call(change)
        return
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def work() -> None:
        error: Exception | None = None
        try:
            call(change)
        except Exception as raised:  # noqa: BLE001 (it belongs to the one who waits)
            error = raised
        with suppress(RuntimeError):  # the loop may be closed by now, and nobody wait any more
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=work, name="batchstatus-delivery", daemon=True).start()
    await done
