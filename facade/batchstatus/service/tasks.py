"""What the tasks of a watcher wait for."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from .store import Change

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
        except sqlite3.OperationalError as error:
            log.warning("the store does not take %s, and will be asked again: %s", what, error)
            await asyncio.sleep(LOOK)


async def in_whole(call: Callable[..., T], *arguments: Any) -> T:
    """Call it in a thread, and wait for its end even where this is cancelled."""
    thread = asyncio.ensure_future(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait([thread])
        raise


async def hand_over(call: Callable[[Change], object], change: Change) -> None:
    """Call it in a thread of its own, for which no process waits at its end; await what it returns, if need be."""
    done: Future[tuple[object, Exception | None]] = Future()
    done.set_running_or_notify_cancel()  # from here on it cannot be cancelled

    def work() -> None:
        try:
            done.set_result((call(change), None))
        except Exception as error:  # noqa: BLE001 (it belongs to the one who waits)
            done.set_result((None, error))
        except BaseException as error:  # noqa: BLE001 (neither does SystemExit end the watcher)
            done.set_result((None, RuntimeError(repr(error))))

    threading.Thread(target=work, name="batchstatus-delivery", daemon=True).start()
    result, error = await asyncio.wrap_future(done)
    if error is not None:
        raise error
    if inspect.isawaitable(result):
        try:
            await result
        except asyncio.CancelledError as cancelled:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RuntimeError("it was cancelled, and not by the watcher") from cancelled
