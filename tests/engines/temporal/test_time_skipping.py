"""Long waits in seconds: a test server whose time is skipped, and vendors and a client that live in its time."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from batchstatus import AsyncBatchClient, Batch, BatchState, RealClock
from batchstatus.engines.temporal import BatchStatusPlugin, start_wait
from batchstatus.testing.simulator import Simulator
from temporal_server import history
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import ActivityInboundInterceptor, Interceptor, Replayer, Worker

DAY = 86_400.0


class ServersClock(RealClock):
    """The server's time, as each attempt of an activity tells it."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def utc(self) -> datetime:
        return super().utc() + timedelta(seconds=self.ahead)

    def set(self, now: datetime) -> None:
        self.ahead = max(self.ahead, (now - datetime.now(UTC)).total_seconds())


class TellsTime(Interceptor):
    """Sets a clock to the server's time at the start of each attempt."""

    def __init__(self, clock: ServersClock) -> None:
        self.clock = clock

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        clock = self.clock

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input):  # noqa: A002 (the SDK's name)
                clock.set(activity.info().started_time)
                return await super().execute_activity(input)

        return Inbound(next)


async def started(tries: int = 6) -> WorkflowEnvironment:
    """Start a server; the SDK gives it five seconds, which are few on a machine that does much else."""
    path = shutil.which("temporal-test-server")
    for left in range(tries, 0, -1):
        try:
            return await WorkflowEnvironment.start_time_skipping(test_server_existing_path=path)
        except RuntimeError:
            if left == 1:
                raise
    raise AssertionError


@asynccontextmanager
async def skipping(clock: ServersClock) -> AsyncIterator[WorkflowEnvironment]:
    async with await started() as environment:
        clock.set(await environment.get_current_time())
        yield environment


@asynccontextmanager
async def worker(environment: WorkflowEnvironment, simulator: Simulator, clock: ServersClock) -> AsyncIterator[None]:
    async with AsyncBatchClient(*simulator.accounts(rate_limit=None), clock=clock) as batches:
        plugins, interceptors = [BatchStatusPlugin(batches)], [TellsTime(clock)]
        async with Worker(environment.client, task_queue="queue", plugins=plugins, interceptors=interceptors):
            yield


def span(events) -> float:
    """Return the seconds from the first event to the last: the server's time runs on after the end."""
    first, last = (datetime.fromisoformat(events[index]["eventTime"]) for index in (0, -1))
    return (last - first).total_seconds()


@pytest.fixture
def clock():
    return ServersClock()


@pytest.fixture
def simulator(clock):
    with Simulator(clock=clock.monotonic, limits=False) as simulator:
        yield simulator


def test_a_day_is_waited_in_seconds(simulator, clock):
    """A batch that takes a day: found soon after its end, with a history that does not grow with the polls."""

    async def main():
        async with skipping(clock) as environment, worker(environment, simulator, clock):
            ref = simulator.add("gameball", seconds=DAY, total=1_000)
            started = time.monotonic()
            handle = await start_wait(environment.client, ref, task_queue="queue", timeout=3 * DAY)
            batch = Batch.from_dict(await handle.result())
            events = await history(handle)
            took = span(events)
            print(f"a day: {took - DAY:.0f} s late, {len(simulator.reads)} polls, {time.monotonic() - started:.0f} s")
            return batch, took, events

    batch, took, events = asyncio.run(main())
    assert batch.state is BatchState.SUCCEEDED
    assert DAY - 60 < took < DAY + 300
    assert 10 < len(simulator.reads) < 3_000
    assert len(events) == 11


def test_a_timeout_of_hours_is_kept(simulator, clock):
    """The last poll is just before the end, and the wait ends within its time."""

    async def main():
        async with skipping(clock) as environment, worker(environment, simulator, clock):
            ref = simulator.add("gameball", status="processing")
            handle = await start_wait(environment.client, ref, task_queue="queue", timeout=DAY / 4)
            with pytest.raises(WorkflowFailureError) as raised:
                await handle.result()
            return raised.value.cause, span(await history(handle))

    error, took = asyncio.run(main())
    assert error.type == "WaitTimeout"
    assert error.message.endswith("still RUNNING (processing), 4 of 8 done after 21600.0 s")
    assert DAY / 4 - 15 < took < DAY / 4 + 60


def test_a_history_replays(simulator, clock):
    """A worker of a later version goes on with it: the workflow is deterministic."""

    async def main():
        async with skipping(clock) as environment, worker(environment, simulator, clock):
            ref = simulator.add("gameball", seconds=3600)
            handle = await start_wait(environment.client, ref, task_queue="queue", timeout=DAY)
            await handle.result()
            return await handle.fetch_history()

    fetched = asyncio.run(main())
    asyncio.run(Replayer(workflows=[], plugins=[BatchStatusPlugin()]).replay_workflow(fetched))
