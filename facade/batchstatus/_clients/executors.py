"""Who performs the reads of a wait: threads, or tasks. For one batch the caller's own thread does."""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from batchstatus._exchange import Answer, Failure, Reply, Send
from batchstatus._schedule import Read

from .clock import Clock

STOP_CHECK = 0.05
"""Seconds: how often a thread that waits for answers looks whether it is to stop."""


SAME_TIME = 0.001
"""Seconds between two times that one timer is good for."""
LONGEST_WAIT = 3600.0
"""Seconds: how long a thread waits at a time where nothing else bounds it."""


class Transport(Protocol):
    """Performs one exchange; `batchstatus._http.HttpTransport` by default."""

    def send(self, step: Send, timeout: float) -> Answer | Failure:
        """Return the whole answer, or why there is none within so many seconds; raise nothing."""

    def distrust(self) -> None:
        """Learn that an answer was not what was asked for: nothing that is left of its connection is to be used."""

    def close(self) -> None:
        """Free what is held."""


class AsyncTransport(Protocol):
    """Performs one exchange; `batchstatus._http.AsyncHttpTransport` by default."""

    async def send(self, step: Send, timeout: float) -> Answer | Failure:
        """Return the whole answer, or why there is none within so many seconds; raise nothing."""

    def distrust(self) -> None:
        """Learn that an answer was not what was asked for: nothing that is left of its connection is to be used."""

    async def close(self) -> None:
        """Free what is held."""


class ThreadCrew:
    """Performs reads in up to `size` threads; with a size of 1 in the thread that starts them."""

    def __init__(self, transport: Transport, clock: Clock, stop: threading.Event | None, size: int) -> None:
        self._transport = transport
        self._clock = clock
        self._stop = stop
        self._threads = ThreadPoolExecutor(size, "batchstatus") if size > 1 else None
        self._answers: deque[tuple[Read, Reply] | BaseException] = deque()
        self._arrived = threading.Event()
        self._under_way = 0

    def start(self, read: Read) -> None:
        """Begin a read."""
        self._under_way += 1
        if self._threads is None:
            self._perform(read)
        else:
            self._threads.submit(self._perform, read)

    def _perform(self, read: Read) -> None:
        try:
            outcome = self._transport.send(read.send, read.send.deadline - self._clock.monotonic())
            self._answers.append((read, Reply(outcome, self._clock.monotonic(), self._clock.utc())))
        except Exception as error:  # noqa: BLE001 (a thread's error belongs to the one who waits)
            self._answers.append(error)
        if self._threads is not None:
            self._arrived.set()

    def deliver(self, take: Callable[[Read, Reply], None]) -> None:
        """Hand over the answers that are there; raise what a transport raised."""
        if self._threads is not None:
            self._arrived.clear()
        while self._answers:
            answer = self._answers.popleft()
            self._under_way -= 1
            if isinstance(answer, BaseException):
                raise answer
            take(*answer)

    def rest(self, seconds: float) -> None:
        """Wait so long, or until an answer or the stop comes."""
        if not self._under_way:
            self._clock.sleep(seconds, self._stop)
            return
        if self._answers:
            return
        end = self._clock.monotonic() + seconds
        while not (self._arrived.is_set() or (self._stop is not None and self._stop.is_set())):
            left = math.inf if self._clock.virtual else end - self._clock.monotonic()
            if left <= 0:
                return
            self._arrived.wait(min(left, STOP_CHECK if self._stop is not None else LONGEST_WAIT))

    def close(self) -> None:
        """Begin nothing more, and leave no thread behind."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)


class TaskCrew:
    """Performs reads in tasks."""

    def __init__(self, transport: AsyncTransport, clock: Clock, stop: asyncio.Event | None) -> None:
        self._transport = transport
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._tasks: set[Any] = set()
        self._answers: deque[tuple[Read, Reply] | BaseException] = deque()
        self._under_way = 0
        self._wake: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stop = None if stop is None else self._loop.create_task(stop.wait())
        if self._stop is not None:
            self._stop.add_done_callback(lambda _: self._wake_up())

    def start(self, read: Read) -> None:
        """Begin a read."""
        self._under_way += 1
        self._tasks.add(self._loop.create_task(self._perform(read)))

    async def _perform(self, read: Read) -> None:
        try:
            outcome = await self._transport.send(read.send, read.send.deadline - self._clock.monotonic())
            self._answers.append((read, Reply(outcome, self._clock.monotonic(), self._clock.utc())))
        except Exception as error:  # noqa: BLE001 (a task's error belongs to the one who waits)
            self._answers.append(error)
        finally:
            self._tasks.discard(asyncio.current_task())
        self._wake_up()

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def deliver(self, take: Callable[[Read, Reply], None]) -> None:
        """Hand over the answers that are there; raise what a transport raised."""
        while self._answers:
            answer = self._answers.popleft()
            self._under_way -= 1
            if isinstance(answer, BaseException):
                raise answer
            take(*answer)

    async def rest(self, seconds: float) -> None:
        """Wait so long, or until an answer or the stop comes."""
        if self._answers or (self._stop is not None and self._stop.done()):
            return
        if self._clock.virtual and not self._under_way:
            await self._clock.sleep_async(seconds)
            return
        if not self._clock.virtual:
            self._set_timer(self._loop.time() + seconds)
        self._wake = self._loop.create_future()
        try:
            await self._wake
        finally:
            self._wake = None

    def _set_timer(self, when: float) -> None:
        """Wake up then; a timer that is set for that already, as an answer came in between, stays."""
        if self._timer is not None:
            if abs(self._timer.when() - when) < SAME_TIME:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake_up()

    async def close(self) -> None:
        """Begin nothing more, and leave no task behind."""
        if self._timer is not None:
            self._timer.cancel()
        left = [*self._tasks, *([self._stop] if self._stop is not None else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
