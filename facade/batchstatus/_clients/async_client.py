"""The client for tasks of an event loop; it differs from the client for threads in `await` alone."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from batchstatus._batch import Batch, BatchRef, BatchState, Outcome
from batchstatus._events import Event, EventKind
from batchstatus._exchange import Answer, Failure, Pause, Reply, Send
from batchstatus._policy import PollPolicy, RetryPolicy
from batchstatus._schedule import Read, Schedule
from batchstatus.vendors import Account

from .base import WAIT_TIMEOUT, Core, check_return_when, is_enough, is_wanted
from .clock import Clock
from .executors import AsyncTransport, TaskCrew


class AsyncBatchClient(Core):
    """Reads batches of any of its vendors; any number of tasks of one event loop may share it.

    Args:
        *vendors: The accounts: `Gameball(...)`, `Believe(...)`.
        retry: How one read is retried.
        poll: When a wait reads next, and when it gives up.
        on_event: Called with each Event, in the thread or task that waits; it must not block. What it raises is logged.
        verify: False checks no certificate; an `ssl.SSLContext`, or the path of a CA bundle, checks against that.
        proxy: A proxy's URL; without it, HTTPS_PROXY, ALL_PROXY and NO_PROXY are obeyed.
        clock: Other clocks and sleeps than the machine's, for tests.
        transport: Another way to perform an exchange, for tests; `verify` and `proxy` then mean nothing.

    Raises:
        ConfigurationError: Without an account, or with two of the same name at a vendor.
    """

    IN_FLIGHT = 256

    def __init__(
        self,
        *vendors: Account,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 (it is frozen)
        poll: PollPolicy = PollPolicy(),  # noqa: B008 (it is frozen)
        on_event: Callable[[Event], object] | None = None,
        verify: bool | str | ssl.SSLContext = True,
        proxy: str | None = None,
        clock: Clock | None = None,
        transport: AsyncTransport | None = None,
    ) -> None:
        super().__init__(vendors, retry, poll, on_event, clock)
        if transport is None:
            # Here, not at the top: httpx is loaded when a client is made, not by `import batchstatus`.
            from batchstatus._http import AsyncHttpTransport  # noqa: PLC0415

            transport = AsyncHttpTransport(verify=verify, proxy=proxy)
        self._transport, self._distrust = transport, transport.distrust

    async def get(self, ref: str | BatchRef, *, timeout: float = 90.0) -> Batch:
        """Read a batch once, retrying what a retry can help.

        Args:
            ref: `vendor:id`, `vendor/account:id`, or a BatchRef.
            timeout: Seconds for all of it: attempts, pauses and Retry-After together.

        Raises:
            ConfigurationError: The ref or timeout cannot work; nothing was sent.
            TransportError: Nobody answered. RequestTimeout, if not in time.
            APIError: The vendor said no; its subclasses say why.
            InvalidResponse: The vendor answered, but not with this batch.
        """
        return await self._drive(self._read(ref, timeout))

    async def wait(
        self,
        ref: str | BatchRef,
        *,
        timeout: float = WAIT_TIMEOUT,
        until: Iterable[BatchState] | None = None,
        on_update: Callable[[Batch], object] | None = None,
        stop: asyncio.Event | None = None,
        resume: str | Mapping[str, Any] | None = None,
    ) -> Batch:
        """Read a batch until it has ended, at once first, then when there is likely news.

        A batch that ended as FAILED is a result, not an exception: see `Batch.raise_for_state`.

        Args:
            ref: `vendor:id`, `vendor/account:id`, or a BatchRef.
            timeout: Seconds for all of it; with `resume` it replaces the checkpoint's deadline if it is given.
            until: States that end the wait besides the terminal ones, such as {BatchState.REQUIRES_ACTION}.
            on_update: Called (and awaited, if it is a coroutine function) with the batch at the first reading and at
                each change; what it raises ends the wait.
            stop: Ends the wait when it is set, within 0.1 s in a pause and with its deadline in a read.
            resume: The `checkpoint` of a WaitError, or its JSON text, from this process or another.

        Raises:
            ConfigurationError: The ref or an option cannot work; nothing was sent.
            APIError: The vendor said no; no later read can fare better.
            ReadError: No read succeeded for `PollPolicy.give_up_after` seconds, and at least 5 failed.
            WaitTimeout: The time is up, or the vendor's Retry-After leads beyond it; with a checkpoint.
            WaitStopped: `stop` was set; with a checkpoint.
        """
        schedule = self._wait(ref, timeout, until, resume)
        async with aclosing(self._events(schedule, stop, EventKind.CHANGE)) as events:
            async for event in events:
                if event.kind is EventKind.CHANGE and on_update is not None:
                    told = on_update(event.outcome.unwrap())
                    if inspect.isawaitable(told):
                        await told
                if event.kind is EventKind.DONE:
                    break
        return event.outcome.unwrap()

    def watch(
        self,
        refs: str | BatchRef | Iterable[str | BatchRef],
        *,
        timeout: float,
        changes_only: bool = True,
        stop: asyncio.Event | None = None,
    ) -> AsyncGenerator[Outcome, None]:
        """Yield an Outcome at each change of a batch's state or counts, until all have ended or the time is up.

        Args:
            refs: One or many; duplicates are read once.
            timeout: Seconds for all of it.
            changes_only: False yields at each reading.
            stop: Ends the watch when it is set.
        """
        schedule = self._schedule(refs, timeout=timeout)
        return self._outcomes(schedule, stop, EventKind.CHANGE if changes_only else EventKind.READ)

    def as_completed(
        self, refs: Iterable[str | BatchRef], *, timeout: float, stop: asyncio.Event | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Yield one Outcome for each distinct ref as soon as its batch has ended; an error is in its Outcome.

        Args:
            refs: Any number, of all vendors and accounts; duplicates are read once.
            timeout: Seconds for all of them. Reads are paced: 100,000 batches take hours for one sweep.
            stop: Ends the wait when it is set: what is open yields WaitStopped.
        """
        return self._outcomes(self._schedule(refs, timeout=timeout), stop, EventKind.DONE)

    async def wait_all(
        self,
        refs: Iterable[str | BatchRef],
        *,
        timeout: float,
        return_when: str = "all",
        stop: asyncio.Event | None = None,
    ) -> dict[BatchRef, Outcome]:
        """Return an Outcome for every ref, once all batches have ended, or enough of them.

        Args:
            refs: Any number, of all vendors and accounts; duplicates are read once.
            timeout: Seconds for all of them.
            return_when: "all", "any" (one has ended), or "first_failed" (one has failed, been cancelled or refused).
                What is still open then has WaitStopped, with its last reading and a checkpoint.
            stop: Ends the wait when it is set.
        """
        return await self._collect(self._schedule(refs, timeout=timeout), check_return_when(return_when), stop)

    async def get_many(self, refs: Iterable[str | BatchRef], *, timeout: float) -> dict[BatchRef, Outcome]:
        """Return one good reading of each ref, or the error that came instead, within `timeout` seconds."""
        return await self._collect(self._schedule(refs, timeout=timeout, until=BatchState), "all", None)

    async def _collect(
        self, schedule: Schedule, return_when: str, stop: asyncio.Event | None
    ) -> dict[BatchRef, Outcome]:
        outcomes: dict[BatchRef, Outcome] = {}
        async for event in self._events(schedule, stop, EventKind.DONE):
            outcomes[event.ref] = event.outcome
            if is_enough(event.outcome, return_when):
                schedule.stop()
        return outcomes

    async def _outcomes(
        self, schedule: Schedule, stop: asyncio.Event | None, kind: EventKind
    ) -> AsyncGenerator[Outcome, None]:
        async with aclosing(self._events(schedule, stop, kind)) as events:
            async for event in events:
                if is_wanted(event, kind):
                    yield event.outcome

    async def _events(
        self, schedule: Schedule, stop: asyncio.Event | None, kind: EventKind
    ) -> AsyncGenerator[Event, None]:
        """Perform what the schedule decides, tell all events, and yield those of one kind and the ends.

        It leaves no task behind, wherever the caller stops asking.
        """
        crew = TaskCrew(self._transport, self._clock, stop)
        try:
            while True:
                crew.deliver(schedule.answered)
                while schedule.events:
                    event = schedule.events.popleft()
                    self._tell(event)
                    if event.kind is kind or event.kind is EventKind.DONE:
                        yield event
                if stop is not None and stop.is_set():
                    schedule.stop()
                while isinstance(step := schedule.step(self._clock.monotonic(), self._clock.utc()), Read):
                    crew.start(step)
                if schedule.events:
                    continue
                if step is None:
                    return
                await crew.rest(step.seconds)
        finally:
            await crew.close()

    async def close(self) -> None:
        """Close all connections; a second time does nothing."""
        self._closed = True
        await self._transport.close()

    async def _drive(self, steps: Generator[Send | Pause, Reply, Batch]) -> Batch:
        try:
            step = next(steps)
            while True:
                step = steps.send(self._reply(await self._perform(step)))
        except StopIteration as end:
            batch: Batch = end.value
            return batch

    async def _perform(self, step: Send | Pause) -> Answer | Failure | None:
        if isinstance(step, Send):
            return await self._transport.send(step, step.deadline - self._clock.monotonic())
        await self._clock.sleep_async(step.seconds)
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
