"""The client for tasks of an event loop; it differs from the client for threads in `await` alone."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeVar

from batchstatus._core.account import Account
from batchstatus._core.clock import Clock
from batchstatus._core.errors import ConfigurationError
from batchstatus._core.events import Event, EventKind
from batchstatus._core.policies import PollPolicy, RetryPolicy
from batchstatus._core.read.check import AccountCheck
from batchstatus._core.read.messages import SendRequest, Sleep, StepResult
from batchstatus._core.transport import AsyncTransport
from batchstatus._core.values import Batch, BatchRef, BatchState, Outcome
from batchstatus._core.wait.schedule import OpenSchedule
from batchstatus._core.wait.step import Step
from batchstatus._lazy import loading

from .base import BaseClient, History, Plan, Refs, check_return_when, is_enough, is_wanted, kinds_told, parse_refs
from .executors import TaskExecutor
from .remote_pace import Permits, TaskPermits

T = TypeVar("T")


class AsyncBatchClient(BaseClient):
    """Reads batches of any of its vendors; any number of tasks of one event loop may share it.

    Args:
        *accounts: The accounts: instances of the vendors' classes.
        retry: How one read is retried.
        poll: When a wait polls next, and what ends it before the batch has ended.
        on_event: Called with each Event, in the thread or task that waits; it must not block; its errors are logged.
        request_headers: Called with the SEND event of each exchange, in the thread or task that waits; the headers that
            it returns are added to the request. Those that carry keys or belong to the transport are left out, and
            the log names them; so it does with its errors, which fail no read.
        verify: False checks no certificate; an `ssl.SSLContext`, or the path of a CA bundle, checks against that.
        proxy: A proxy's URL; without it, HTTPS_PROXY, ALL_PROXY and NO_PROXY are obeyed.
        clock: Other clocks and sleeps than the machine's, for tests.
        transport: Another way to perform an exchange, for tests; `verify` and `proxy` then mean nothing.

    Raises:
        ConfigurationError: Without an account, or with two of the same name at a vendor.
    """

    IN_FLIGHT = 256
    IN_TASKS = True

    def __init__(
        self,
        *accounts: Account,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 (it is frozen)
        poll: PollPolicy = PollPolicy(),  # noqa: B008 (it is frozen)
        on_event: Callable[[Event], object] | None = None,
        request_headers: Callable[[Event], Mapping[str, str]] | None = None,
        verify: bool | str | ssl.SSLContext = True,
        proxy: str | None = None,
        clock: Clock | None = None,
        transport: AsyncTransport | None = None,
    ) -> None:
        with loading():
            super().__init__(
                accounts, retry=retry, poll=poll, on_event=on_event, request_headers=request_headers, clock=clock
            )
            if transport is None:
                # Here, not at the top: httpcore is loaded when a client is made, not by `import batchstatus`.
                from batchstatus._http.async_transport import AsyncHttpTransport  # noqa: PLC0415

                transport = AsyncHttpTransport(verify=verify, proxy=proxy)
        self._transport = transport
        self._discard_idle_connections = transport.discard_idle_connections

    async def get(self, ref: str | BatchRef, *, timeout: float = 90.0) -> Batch:
        """Read a batch once, with retries.

        Args:
            ref: `vendor:id`, `vendor/account:id`, or a BatchRef.
            timeout: Seconds for all of it: attempts, pauses and Retry-After together.

        Raises:
            ConfigurationError: The ref or timeout cannot work; nothing was sent.
            TransportError: No response; RequestTimeout if it did not come in time.
            APIError: The vendor answered with an error status; the subclasses say which.
            InvalidResponse: The response is not the requested batch.
        """
        return await self._drive(self._read(ref, timeout))

    async def wait(
        self,
        ref: str | BatchRef,
        *,
        timeout: float | None = None,
        until: Iterable[BatchState] | None = None,
        on_update: Callable[[Batch], object] | None = None,
        on_checkpoint: Callable[[dict[str, Any]], object] | None = None,
        stop: asyncio.Event | None = None,
        resume: str | Mapping[str, Any] | None = None,
        history: History | None = None,
    ) -> Batch:
        """Poll a batch until it has ended: at once first, then when news is likely.

        A batch that ended as FAILED is a result, not an exception: see `Batch.raise_for_state`.

        Args:
            ref: `vendor:id`, `vendor/account:id`, or a BatchRef.
            timeout: Seconds for all of it; default: 900, or with `resume` until the checkpoint's deadline. If that has
                passed, there is one poll.
            until: States that end the wait besides the terminal ones, such as {BatchState.REQUIRES_ACTION}.
            on_update: Called (and awaited, if it is a coroutine function) with the batch at the first reading and at
                each change; an exception ends the wait.
            on_checkpoint: Called (and awaited, likewise) after each poll with the checkpoint as it then stands,
                JSON-ready: for the heartbeat of an engine.
            stop: Ends the wait when it is set, within 0.1 s in a pause and with its deadline in a read.
            resume: The `checkpoint` of an error that ended a wait, or its JSON text, from this process or another.
            history: Durations of past batches in seconds, `Durations(...)` made from them, or a function that
                returns Durations for a ref: see docs/explanation/placement.md.

        Raises:
            ConfigurationError: The ref or an option cannot work; nothing was sent.
            APIError: The vendor refuses the batch or the keys, for as long as `PollPolicy` says.
            ReadError: The account was never read, and time is not likely to mend why; or bodies are above `max_body`.
            WaitTimeout: The time is up; with a checkpoint, and why the last poll failed as its `__cause__`.
            WaitStopped: `stop` was set; with a checkpoint.
        """
        schedule = self._wait(ref, timeout, until, resume, history)
        async with aclosing(self._events(schedule, stop, *kinds_told(on_update, on_checkpoint))) as events:
            async for event in events:
                result: object = None
                if event.kind is EventKind.CHANGE and on_update is not None:
                    result = on_update(event.outcome.unwrap())
                elif event.kind is EventKind.ATTEMPT and on_checkpoint is not None:
                    result = on_checkpoint(schedule.checkpoint(self._clock.monotonic(), self._clock.utc()))
                if inspect.isawaitable(result):
                    await result
                if event.kind is EventKind.DONE:
                    break
        return event.outcome.unwrap()

    async def step(
        self,
        ref: str | BatchRef,
        *,
        until: Iterable[BatchState] | None = None,
        resume: str | Mapping[str, Any] | None = None,
        timeout: float = 60.0,
    ) -> Step:
        """Poll a batch once, and say when to come back: a wait whose pauses are another program's.

        For cron and workflow engines: keep `checkpoint`, come back after `pause` seconds, and give it as `resume`. The
        steps together end as one `wait` would; a failed poll is in the Step, not raised.

        Args:
            ref: `vendor:id`, `vendor/account:id`, or a BatchRef.
            until: States that end it besides the terminal ones; default: the checkpoint's.
            resume: The `checkpoint` of the step before, or its JSON text, from this process or another.
            timeout: Seconds for this step, a slot of the account's pace included; if none comes in time, nothing is
                sent, and `pause` says when one will.

        Raises:
            ConfigurationError: The ref or an option cannot work; nothing was sent.
        """
        return await self._drive(self._step(ref, timeout, until, resume))

    def watch(
        self,
        refs: Refs,
        *,
        timeout: float,
        changes_only: bool = True,
        stop: asyncio.Event | None = None,
        history: History | None = None,
    ) -> AsyncGenerator[Outcome, None]:
        """Yield an Outcome at each change of a batch's state or counts, until all have ended or the time is up.

        Args:
            refs: One or many; duplicates are read once.
            timeout: Seconds for all of it.
            changes_only: False yields at each reading.
            stop: Ends the watch when it is set.
            history: Durations of past batches in seconds, `Durations(...)` made from them, or a function that
                returns Durations for a ref: see docs/explanation/placement.md.
        """
        schedule = self._schedule(refs, "watch", timeout=timeout, history=history)
        return self._outcomes(schedule, stop, EventKind.CHANGE if changes_only else EventKind.ATTEMPT)

    def as_completed(
        self,
        refs: Iterable[str | BatchRef],
        *,
        timeout: float,
        stop: asyncio.Event | None = None,
        history: History | None = None,
    ) -> AsyncGenerator[Outcome, None]:
        """Yield one Outcome for each distinct ref as soon as its batch has ended; an error is in its Outcome.

        Args:
            refs: Any number, of all vendors and accounts; duplicates are read once.
            timeout: Seconds for all of them. Reads are paced: 100,000 batches take hours for one sweep.
            stop: Ends the wait when it is set: each open ref yields WaitStopped.
            history: Durations of past batches in seconds, `Durations(...)` made from them, or a function that
                returns Durations for a ref: see docs/explanation/placement.md.
        """
        schedule = self._schedule(refs, "as_completed", timeout=timeout, history=history)
        return self._outcomes(schedule, stop, EventKind.DONE)

    async def wait_all(
        self,
        refs: Iterable[str | BatchRef],
        *,
        timeout: float,
        return_when: str = "all",
        stop: asyncio.Event | None = None,
        history: History | None = None,
    ) -> dict[BatchRef, Outcome]:
        """Return an Outcome for every ref, once all batches have ended, or enough of them.

        Args:
            refs: Any number, of all vendors and accounts; duplicates are read once.
            timeout: Seconds for all of them.
            return_when: "all", "any" (one has ended), or "first_failed" (one has failed, been cancelled or refused).
                Open refs then have WaitStopped, with their last reading and a checkpoint.
            stop: Ends the wait when it is set.
            history: Durations of past batches in seconds, `Durations(...)` made from them, or a function that
                returns Durations for a ref: see docs/explanation/placement.md.
        """
        schedule = self._schedule(refs, "wait_all", timeout=timeout, history=history)
        found = dict[BatchRef, Outcome]()
        check_return_when(return_when)
        async for event in self._events(schedule, stop, EventKind.DONE):
            found[event.ref] = event.outcome
            if is_enough(event.outcome, return_when):
                schedule.stop()
        return found

    async def get_many(self, refs: Iterable[str | BatchRef], *, timeout: float) -> dict[BatchRef, Outcome]:
        """Read many batches once, each as `get` does; return an Outcome for every distinct ref.

        Args:
            refs: Any number, of all vendors and accounts; duplicates are read once.
            timeout: Seconds for all of them together.

        Raises:
            ConfigurationError: A ref or the timeout cannot work; nothing was sent.
        """
        reads, found = self._reads(refs, timeout), dict[BatchRef, Outcome]()
        async for event in self._events(reads, None, EventKind.DONE):
            found[event.ref] = event.outcome
        return found

    def follow(
        self,
        refs: Iterable[str | BatchRef] = (),
        *,
        changes_only: bool = True,
        stop: asyncio.Event | None = None,
        history: History | None = None,
    ) -> AsyncFollow:
        """Return a wait without an end, to which refs are added and from which they are discarded while it runs.

        Iterating over it yields Outcomes, as `watch` does. A ref leaves it with the Outcome whose batch has ended, or
        with the vendor's own refusal of the batch, 3 times in a row over `PollPolicy.refusal_grace`; it may be added
        again. Nothing else ends it: that a key is refused, or that nothing answers, events and the log tell.

        Args:
            refs: The first ones.
            changes_only: False yields at each reading.
            stop: Ends the iteration when it is set.
            history: Durations of past batches in seconds, `Durations(...)` made from them, or a function that
                returns Durations for a ref: see docs/explanation/placement.md.
        """
        schedule, kind = self._open_schedule(history), EventKind.CHANGE if changes_only else EventKind.ATTEMPT
        following = AsyncFollow(schedule, self._outcomes(schedule, stop, kind), self._accounts_of)
        following.add(refs)
        return following

    async def check(self, *, timeout: float = 15.0) -> list[AccountCheck]:
        """Ask each account once, for a batch that does not exist: whether its vendor is there and accepts its keys.

        Args:
            timeout: Seconds for each account.
        """
        return [await self._drive(check) for check in self._checks(timeout)]

    async def _outcomes(self, plan: Plan, stop: asyncio.Event | None, kind: EventKind) -> AsyncGenerator[Outcome, None]:
        async with aclosing(self._events(plan, stop, kind)) as events:
            async for event in events:
                if is_wanted(event, kind):
                    yield event.outcome

    async def _events(self, plan: Plan, stop: asyncio.Event | None, *kinds: EventKind) -> AsyncGenerator[Event, None]:
        """Perform a plan, pass on all events, and yield those of some kinds and the ends.

        It leaves no task behind, even if the caller stops early.
        """
        check_loop()
        executor = TaskExecutor(self._transport, self._clock, stop)
        plan.wake, plan.listens = executor.wake, self._listens_for(kinds)
        try:
            while True:
                executor.deliver(plan.take_result)
                while plan.events:
                    event = plan.events.popleft()
                    self._notify(event)
                    if event.kind in kinds or event.kind is EventKind.DONE:
                        yield event
                if stop is not None and stop.is_set():
                    plan.stop()
                while True:
                    step = plan.step(self._clock.monotonic(), self._clock.utc())
                    if step is None or isinstance(step, Sleep):
                        break
                    executor.start(step)
                if plan.events:
                    continue
                if step is None:
                    return
                await executor.rest(step.seconds)
        finally:
            self._leave(plan)
            await executor.close()

    async def close(self) -> None:
        """Close all connections; a second time does nothing."""
        self._closed = True
        for pace in self._paces.values():
            if isinstance(pace, TaskPermits):
                await pace.aclose()
            elif isinstance(pace, Permits):
                pace.close()
        await self._transport.close()

    async def _drive(self, steps: Generator[SendRequest | Sleep, StepResult, T]) -> T:
        check_loop()
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._perform(step))
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            steps.close()

    async def _perform(self, step: SendRequest | Sleep) -> StepResult:
        if isinstance(step, SendRequest):
            asked_at = self._clock.moment()
            outcome = await self._transport.send(step, step.deadline - self._clock.monotonic())
            return self._result(outcome, asked_at)
        await self._clock.sleep_async(step.seconds)
        return self._result(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def check_loop() -> None:
    """Raise ConfigurationError unless a loop of asyncio runs, as under trio."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "AsyncBatchClient runs in asyncio only; with trio, use BatchClient in a thread"
        ) from None


class AsyncFollow:
    """A running wait: `add` and `discard` may be called while another task iterates over it.

        async with client.follow(["shop:1748392"]) as following:
            async for outcome in following:
                ...

    Made by `AsyncBatchClient.follow`. Closing it ends the wait, and leaves the client open.
    """

    def __init__(
        self,
        schedule: OpenSchedule,
        outcomes: AsyncGenerator[Outcome, None],
        accounts_of: Callable[[Refs], Mapping[BatchRef, Account]],
    ) -> None:
        self._schedule = schedule
        self._outcomes = outcomes
        self._accounts_of = accounts_of

    def add(self, refs: Refs) -> None:
        """Add refs, to be polled at once in their order; those in the wait already stay as they are.

        Raises:
            ConfigurationError: The client has no account for a ref; none is added.
        """
        self._schedule.add(self._accounts_of(refs))
        self._schedule.wake()

    def discard(self, refs: Refs) -> None:
        """Drop refs; an Outcome that was found before may still come."""
        self._schedule.discard(parse_refs(refs))
        self._schedule.wake()

    async def close(self) -> None:
        """End the wait."""
        await self._outcomes.aclose()

    def __aiter__(self) -> AsyncGenerator[Outcome, None]:
        return self._outcomes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
