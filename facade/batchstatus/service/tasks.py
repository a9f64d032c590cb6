"""How the tasks of a watcher wait, and how they call blocking code."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from batchstatus import ConfigurationError

from .store import Change
from .store.telling import Telling

LOOK_INTERVAL = 1.0
"""Seconds after which to look for changes of other processes, or due times that have come."""

T = TypeVar("T")
log = logging.getLogger("batchstatus")


async def wait_first(*waits: Any, seconds: float) -> None:
    """Wait for the first of several awaitables, for so many seconds at most."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def retry_until_stored(name: str, call: Callable[..., T], *arguments: Any) -> T:
    """Call a function that writes to the store in a thread, again and again until the store takes it.

    Raises:
        ConfigurationError: The store's file was replaced, or is of a newer version.
    """
    telling = Telling()
    while True:
        try:
            return await asyncio.to_thread(call, *arguments)
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, nothing may be lost)
            log.log(telling.level(), "the store does not take %s, and is asked again: %s", name, error)
            await asyncio.sleep(LOOK_INTERVAL)


async def to_thread_shielded(call: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a thread, and wait for its end even if this is cancelled."""
    thread = asyncio.ensure_future(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait([thread])
        raise


async def call_in_daemon_thread(call: Callable[[Change], object], change: Change) -> object:
    """Call a function in a thread of its own, for which no process waits at its end; await an awaitable result."""
    done: Future[tuple[object, Exception | None]] = Future()
    done.set_running_or_notify_cancel()  # from here on it cannot be cancelled

    def work() -> None:
        try:
            done.set_result((call(change), None))
        except Exception as error:  # noqa: BLE001 (raised again in the task that waits)
            done.set_result((None, error))
        except BaseException as error:  # noqa: BLE001 (SystemExit does not end the watcher either)
            failed = RuntimeError("it would have ended the process")
            failed.__cause__ = error
            done.set_result((None, failed))

    threading.Thread(target=work, name="batchstatus-delivery", daemon=True).start()
    result, error = await asyncio.wrap_future(done)
    if error is not None:
        raise error
    return await fail_if_cancelled(result) if inspect.isawaitable(result) else result


def is_async(call: Callable[..., object]) -> bool:
    """Return whether a call returns at once, with a coroutine."""
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__)


async def fail_if_cancelled(result: Any) -> Any:
    """Await something; raise RuntimeError if it was cancelled, and not its task, or would end the process."""
    try:
        return await result
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("it was cancelled, and not by the watcher") from cancelled
    except SystemExit as error:
        raise RuntimeError("it would have ended the process") from error
