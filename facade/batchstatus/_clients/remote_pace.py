"""A pace that does I/O is asked by a thread or a task of its own, so that it holds up nothing else.

Who reads asks `Permits`, which answers at once: with a permit, if one has come, or when to look again. A worker gets
permits for all who ask: it books a slot, waits for it, and uses it. What the pace raises is told, and tried again; a
read that gets no permit in its time fails as PaceUnavailable.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, TypeAlias

from attrs import frozen

from batchstatus._core.clock import Clock
from batchstatus._core.errors import ConfigurationError
from batchstatus._core.policies import AsyncPace, Pace
from batchstatus._fork import ForkLock, generation

FIRST_LOOK = 0.001
"""Seconds after which a permit may be there: a call takes at least 0.2 ms to Redis or Postgres beside us."""
MAX_LOOK = 0.05
"""Seconds between two looks, at most, as long as it is not known when the slot is."""
FRESH = 0.02
"""Seconds: a permit older than this when it is taken is late, and may come too close to another machine's slot."""
FIRST_PAUSE, MAX_PAUSE = 0.1, 2.0
"""Seconds between two calls after a failed one: the first pause, which is doubled, and the longest."""
KNOWN = 1.0
"""Seconds for which a pace is not asked again that has no slot before a deadline; other reads may give some back."""
HANG = 1.0
"""Seconds after which a call that is under way counts as a failed one."""
IDLE = 1.0
"""Seconds that a worker stays without work."""
TELL_AGAIN = 60.0
"""Seconds between two messages about a pace that fails."""

log = logging.getLogger("batchstatus")


@frozen
class Call:
    """A step of a worker: call this, and bring what it returns, or the exception."""

    call: Callable[[], Any]


@frozen
class Rest:
    """A step of a worker: wait for so many seconds, or until it is woken."""

    seconds: float


Work: TypeAlias = Generator[Call | Rest, Any, None]


class Permits:
    """Answers in the place of a pace; any number of threads or tasks may share it."""

    is_local = True

    def __init__(self, name: str, pace: Pace | AsyncPace, clock: Clock, wake: Callable[[], None]) -> None:
        self._failure: str | None = None
        """Why the pace could not be asked the last time; None if it could."""
        self._calling_since: float | None = None
        """Since when the pace is being asked."""
        self._name = name
        self._pace = pace
        self._clock = clock
        self._wake = wake
        self._lock = ForkLock()
        self._tickets: deque[float] = deque()
        """When those who ask look again."""
        self._permit: float | None = None
        """Since when there is a permit."""
        self._was_late = False
        self._slot: float | None = None
        """When the next permit comes, if that is known."""
        self._look = FIRST_LOOK
        self._none_before = self._none_until = -1.0
        """Before the first time the pace has no slot, which is known until the second."""
        self._before = 0.0
        """The latest time by which a slot is needed."""
        self._closed_until = -1.0
        self._reports: deque[Callable[[], Any]] = deque(maxlen=1_000)
        """What the pace has yet to be told."""
        self._told_at = -TELL_AGAIN
        self._is_closed = False

    def reserve(self, now: float, before: float) -> float | None:
        """Return the seconds until a permit may be there; None if none comes before `before`."""
        with self._lock:
            if now >= before or self._has_none(before, now) or self._is_closed:
                return None
            at = max(self._slot or 0.0, self._closed_until)
            wait = max(at - now, 0.0) + self._look
            if at <= now:
                self._look = min(2 * self._look, MAX_LOOK)
            wait = min(wait, max((before - now) / 2, FIRST_LOOK))
            self._tickets.append(now + wait)
            self._before = max(self._before, before)
        self._wake()
        return wait

    def begin(self, slot: float, now: float) -> bool:
        """Take a permit; return False if there is none."""
        with self._lock:
            self._drop(slot)
            since, self._permit = self._permit, None
            if since is None or now < self._closed_until:
                return False
            self._look = FIRST_LOOK
            is_late = now - since > FRESH and not self._was_late
            self._was_late = is_late
        self._wake()  # for the next permit
        return not is_late

    def release(self, slot: float) -> None:
        """Ask no longer."""
        with self._lock:
            self._drop(slot)
        self._wake()  # it may be waiting for a slot that is no longer needed

    def _has_none(self, before: float, now: float) -> bool:
        return before <= self._none_before and now < self._none_until

    def _drop(self, ticket: float) -> None:
        try:
            self._tickets.remove(ticket)
        except ValueError:
            if self._tickets:  # times that were added up in another order
                self._tickets.popleft()

    def refused(self, now: float, pause: float) -> float:
        """Send nothing for `pause` seconds, and let the pace know of the 429."""
        with self._lock:
            self._closed_until, self._permit = max(self._closed_until, now + pause), None
            self._reports.append(lambda: self._pace.refused(now, pause))
        self._wake()
        return pause

    def accepted(self) -> None:
        """Let the pace know of any other response."""
        with self._lock:
            self._reports.append(self._pace.accepted)
        self._wake()

    def trouble(self) -> str | None:
        """Return why the pace could not be asked the last time, or has not answered for a second; None if it could."""
        since = self._calling_since
        return "no answer" if since is not None and self._clock.monotonic() - since > HANG else self._failure

    def close(self) -> None:
        """Get no more permits."""
        with self._lock:
            self._is_closed = True
        self._wake()

    def work(self) -> Work:
        """Get permits for all who ask, as steps for a driver; ends after some idle time."""
        pause = 0.0
        while not self._is_closed:
            before = self._is_needed()
            if before is None and not self._reports:
                since = self._clock.monotonic()
                yield Rest(IDLE)
                if not self._reports and self._is_needed() is None and self._clock.monotonic() - since >= IDLE:
                    return
                continue
            step = self._report() if self._reports else self._get(before or 0.0)
            error = yield from step
            if error is None:
                self._failure, pause = None, 0.0
                continue
            self._tell(error)
            pause = min(max(2 * pause, FIRST_PAUSE), MAX_PAUSE)
            until = self._clock.monotonic() + pause
            while not self._is_closed and (left := until - self._clock.monotonic()) > 0:
                yield Rest(left)

    def _is_needed(self) -> float | None:
        """Return by when a permit is needed; None if none is."""
        with self._lock:
            if not self._tickets:
                self._before = 0.0
                return None
            if self._permit is not None or self._has_none(self._before, self._clock.monotonic()):
                return None
            return self._before

    def _report(self) -> Generator[Call, Any, Exception | None]:
        report = self._reports.popleft()
        error = yield Call(report)
        return error if isinstance(error, Exception) else None

    def _get(self, before: float) -> Generator[Call | Rest, Any, Exception | None]:
        """Book a slot, wait for it, and use it."""
        now = self._clock.monotonic()
        wait = yield Call(lambda: self._pace.reserve(now, before))
        if isinstance(wait, Exception):
            return wait
        if wait is None:
            with self._lock:
                self._none_before, self._none_until = before, now + KNOWN
            return None
        slot = now + wait
        with self._lock:
            self._slot, self._look = slot, FIRST_LOOK
        while (left := slot - self._clock.monotonic()) > 0:
            if self._is_closed or not self._tickets:
                self._slot = None
                error = yield Call(lambda: self._pace.release(slot))
                return error if isinstance(error, Exception) else None
            if self._reports:
                yield from self._report()  # a 429 is not to wait for this slot
                continue
            yield Rest(left)
        began = yield Call(lambda: self._pace.begin(slot, self._clock.monotonic()))
        with self._lock:
            self._slot = None
            self._permit = self._clock.monotonic() if began is True else None
        return began if isinstance(began, Exception) else None

    def _tell(self, error: Exception) -> None:
        """Tell of a failure by its class only: its text may hold the address, with a secret in it."""
        now, self._failure = self._clock.monotonic(), type(error).__name__
        if now - self._told_at >= TELL_AGAIN:
            self._told_at = now
            log.warning("%s: its pace cannot be asked (%s); trying again", self._name, self._failure)


class ThreadPermits(Permits):
    """Permits of a pace that is called in a thread of its own: a daemon, which nothing waits for."""

    def __init__(self, name: str, pace: Pace, clock: Clock) -> None:
        super().__init__(name, pace, clock, self._wake_thread)
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self._generation = generation()

    def _wake_thread(self) -> None:
        self._woken.set()
        with self._lock:
            is_gone = self._thread is None or not self._thread.is_alive() or self._generation != generation()
            if is_gone and not self._is_closed:
                self._generation = generation()
                self._thread = threading.Thread(target=self._run, name="batchstatus-pace", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        work, brought = self.work(), None
        while True:
            try:
                step = work.send(brought)
            except StopIteration:
                return
            if isinstance(step, Rest):
                self._woken.wait(step.seconds)
                self._woken.clear()
                brought = None
                continue
            self._calling_since = self._clock.monotonic()
            try:
                brought = step.call()
            except Exception as error:  # noqa: BLE001 (whatever a pace raises is a pace that could not be asked)
                brought = error
            self._calling_since = None


class TaskPermits(Permits):
    """Permits of an AsyncPace, which is called in a task of the event loop that reads."""

    def __init__(self, name: str, pace: AsyncPace, clock: Clock) -> None:
        super().__init__(name, pace, clock, self._wake_task)
        self._task: asyncio.Task[None] | None = None
        self._woken: asyncio.Event | None = None

    def _wake_task(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a read that is collected after its event loop has ended
            return
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._woken = asyncio.Event()
            self._task = loop.create_task(self._run(self._woken))
        assert self._woken is not None
        self._woken.set()

    async def _run(self, woken: asyncio.Event) -> None:
        work, brought = self.work(), None
        while True:
            try:
                step = work.send(brought)
            except StopIteration:
                return
            brought = None
            if isinstance(step, Rest):
                woken.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(step.seconds):
                        await woken.wait()
                continue
            self._calling_since = self._clock.monotonic()
            await asyncio.sleep(0)  # a pace may answer without waiting for anything
            try:
                brought = await step.call()
            except Exception as error:  # noqa: BLE001 (whatever a pace raises is a pace that could not be asked)
                brought = error
            self._calling_since = None

    async def aclose(self) -> None:
        """Get no more permits, and leave no task behind."""
        self._is_closed = True
        if self._task is not None and not self._task.done() and self._task.get_loop() is asyncio.get_running_loop():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def at_once(name: str, pace: Pace | AsyncPace, clock: Clock, *, in_tasks: bool) -> Pace:
    """Return a pace that answers at once: the one given, if it does, else one in front of it.

    Raises:
        ConfigurationError: It is an AsyncPace, and the client has no event loop.
    """
    if inspect.iscoroutinefunction(pace.reserve):
        if not in_tasks:
            raise ConfigurationError(f"{name}: an AsyncPace works in an AsyncBatchClient; give this client a Pace")
        return TaskPermits(name, pace, clock)  # type: ignore[arg-type]
    if clock.virtual or getattr(pace, "is_local", False):
        return pace  # type: ignore[return-value]
    return ThreadPermits(name, pace, clock)  # type: ignore[arg-type]
