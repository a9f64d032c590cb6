"""Run a wait's requests in threads or tasks. A single batch is read in the caller's thread."""

from __future__ import annotations

import asyncio
import contextvars
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from batchstatus._core.clock import Clock
from batchstatus._core.read.many import StartRead
from batchstatus._core.read.messages import StepResult
from batchstatus._core.transport import AsyncTransport, Transport
from batchstatus._core.wait.schedule import StartPoll

Start = StartPoll | StartRead

CLOSING = 1.0
"""Seconds in which threads without an exchange have ended, even on a busy machine."""
STOP_CHECK = 0.05
"""Seconds: how often a thread that waits for responses looks whether it is to stop."""
SAME_TIME = 0.001
"""Seconds between two times for which one timer will do."""
MAX_WAIT = 0.25 if sys.platform == "win32" else 3600.0
"""Seconds that a thread waits at once if nothing else bounds it; on Windows Ctrl-C does not interrupt such a wait."""


class ThreadExecutor:
    """Performs exchanges in up to `size` threads; with a size of 1 in the thread that starts them.

    A wakeable one looks for `wake` while nothing is in flight, too. The threads are daemons of its own: neither an
    early end of the wait, nor Ctrl-C, nor the interpreter's exit waits for an exchange that is under way.
    """

    def __init__(
        self, transport: Transport, clock: Clock, stop: threading.Event | None, size: int, *, wakeable: bool = False
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._stop = stop
        self._wakeable = wakeable
        self._size = size
        self._threads: list[threading.Thread] = []
        self._steps: SimpleQueue[Start | None] = SimpleQueue()
        self._results: deque[tuple[Start, StepResult] | BaseException] = deque()
        self._woken = threading.Event()
        self._in_flight = 0

    def start(self, step: Start) -> None:
        """Start an exchange."""
        self._in_flight += 1
        if self._size == 1:
            self._perform(step)
            return
        if self._in_flight > len(self._threads) and len(self._threads) < self._size:
            run, name = contextvars.copy_context().run, f"batchstatus-{len(self._threads)}"  # the caller's, as in tasks
            thread = threading.Thread(target=run, args=(self._work,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._steps.put(step)

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            self._perform(step)

    def _perform(self, step: Start) -> None:
        try:
            asked_at = self._clock.moment()
            outcome = self._transport.send(step.send, step.send.deadline - self._clock.monotonic())
            self._results.append((step, StepResult(outcome, self._clock.monotonic(), self._clock.utc(), asked_at)))
        except Exception as error:  # noqa: BLE001 (raised again in the thread that waits)
            self._results.append(error)
        self._woken.set()

    def wake(self) -> None:
        """End the current `rest`, or the next one; from any thread."""
        self._woken.set()

    def deliver(self, take: Callable[[Any, StepResult], None]) -> None:
        """Pass on the results that are there; raise the exception of a transport."""
        self._woken.clear()
        while self._results:
            result = self._results.popleft()
            self._in_flight -= 1
            if isinstance(result, BaseException):
                raise result
            take(*result)

    def rest(self, seconds: float) -> None:
        """Wait for a response, the stop event, `wake`, or the timeout."""
        if not self._in_flight and math.isfinite(seconds) and (self._clock.virtual or not self._wakeable):
            self._clock.sleep(seconds, self._stop)
            return
        if self._results:
            return
        end = self._clock.monotonic() + seconds
        while not (self._woken.is_set() or (self._stop is not None and self._stop.is_set())):
            left = math.inf if self._clock.virtual else end - self._clock.monotonic()
            if left <= 0:
                return
            self._woken.wait(min(left, STOP_CHECK if self._stop is not None else MAX_WAIT))

    def close(self) -> None:
        """Start nothing more. Threads that are in an exchange end with it, the others now."""
        with suppress(Empty):
            while True:
                self._steps.get_nowait()
                self._in_flight -= 1
        for _ in self._threads:
            self._steps.put(None)
        if self._in_flight == len(self._results):  # no exchange is under way
            end = time.monotonic() + CLOSING
            for thread in self._threads:
                thread.join(max(0.0, end - time.monotonic()))


class TaskExecutor:
    """Performs exchanges in tasks."""

    def __init__(self, transport: AsyncTransport, clock: Clock, stop: asyncio.Event | None) -> None:
        self._transport = transport
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[Start, asyncio.Task[None]] = {}
        self._results: deque[tuple[Start, StepResult] | BaseException] = deque()
        self._in_flight = 0
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stop = None if stop is None else self._loop.create_task(stop.wait())
        if self._stop is not None:
            self._stop.add_done_callback(lambda _: self.wake())

    def start(self, step: Start) -> None:
        """Start an exchange."""
        self._in_flight += 1
        self._tasks[step] = self._loop.create_task(self._perform(step))

    async def _perform(self, step: Start) -> None:
        try:
            asked_at = self._clock.moment()
            outcome = await self._transport.send(step.send, step.send.deadline - self._clock.monotonic())
            self._results.append((step, StepResult(outcome, self._clock.monotonic(), self._clock.utc(), asked_at)))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 (raised again in the task that waits: a signal's handler may raise)
            self._results.append(error)
        finally:
            del self._tasks[step]
        self.wake()

    def wake(self) -> None:
        """End the current `rest`."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def deliver(self, take: Callable[[Any, StepResult], None]) -> None:
        """Pass on the results that are there; raise the exception of a transport."""
        while self._results:
            result = self._results.popleft()
            self._in_flight -= 1
            if isinstance(result, BaseException):
                raise result
            take(*result)

    async def rest(self, seconds: float) -> None:
        """Wait for a response, the stop event, `wake`, or the timeout."""
        if self._results or (self._stop is not None and self._stop.done()):
            return
        if self._clock.virtual and not self._in_flight and math.isfinite(seconds):
            await self._clock.sleep_async(seconds)
            return
        if not self._clock.virtual and math.isfinite(seconds):
            self._set_timer(self._loop.time() + seconds)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _set_timer(self, when: float) -> None:
        """Schedule a wake-up, keeping the current timer if it is due at about the same time."""
        if self._timer is not None:
            if abs(self._timer.when() - when) < SAME_TIME:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.wake()

    async def close(self) -> None:
        """Start nothing more, and leave no task behind."""
        if self._timer is not None:
            self._timer.cancel()
        left: list[asyncio.Task[Any]] = [*self._tasks.values(), *([self._stop] if self._stop is not None else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
