"""What a waiting batch costs: memory, and CPU for each read, against a bare heap with asyncio.sleep.

Both run in an event loop whose time is virtual, so that hours of timers take seconds and all CPU is their own.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import selectors
import sys
import time
import tracemalloc
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any

from _instructions import can_count, counted
from _report import Figure
from _world import World, body, play, refs, schedule
from batchstatus import AsyncBatchClient, BatchRef, BatchState, Believe, PollPolicy, RateLimit
from batchstatus._clients.clock import RealClock
from batchstatus._core.pacing import PaceState
from batchstatus._core.read.messages import Response, SendRequest, StepResult
from batchstatus._core.read.response import parse_response
from batchstatus._core.wait.queue import Queue
from batchstatus._core.wait.schedule import StartPoll

ROUNDS = 5
READS = 20_000
GAP = 10.0
POLL = PollPolicy(floor=GAP, ceiling=GAP)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to its next timer instead of waiting for it."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = selectors.DefaultSelector()
        select = selector.select

        def jump(timeout: float | None = None):
            self.now += (timeout or 0.0) and timeout + 1e-9
            return select(0)

        selector.select = jump
        super().__init__(selector)

    def time(self) -> float:
        return self.now


class LoopClock(RealClock):
    def __init__(self) -> None:
        self.monotonic = asyncio.get_running_loop().time

    def utc(self) -> datetime:
        return datetime.now(UTC)  # as a real clock does


class Answering:
    """A transport that answers in no time that the batch goes on, and takes the CPU time of so many reads."""

    def __init__(self, reads: int, before: int = 0) -> None:
        self.left, self.reads = reads + before, reads
        self.started = self.spent = 0.0
        self.enough = asyncio.Event()

    async def send(self, step: SendRequest, timeout: float) -> Response:
        if self.left == self.reads:
            self.started = time.process_time()
        self.left -= 1
        if not self.left:
            self.spent = time.process_time() - self.started
            self.enough.set()
        batch_id = step.request.url.rpartition("/")[2].encode()
        return Response(status=200, headers={}, body=b'{"id": "%s", "status": "FINALIZED"}' % batch_id)

    def discard_idle_connections(self) -> None:
        pass

    async def close(self) -> None:
        pass


async def ours(number: int) -> float:
    """Return the CPU seconds for each read of a wait for so many batches."""
    # Refs are taken in between the first reads, 32 at a time; of those by hand all are there from the beginning.
    answering = Answering(READS, before=number // 32)
    client = AsyncBatchClient(account(), clock=LoopClock(), transport=answering, poll=POLL)
    outcomes = client.as_completed(refs(number), timeout=1e9)
    waiting = asyncio.create_task(anext(outcomes))
    await answering.enough.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await outcomes.aclose()
    return answering.spent / READS


async def heap_and_get(number: int) -> float:
    """Return the same for what one would write by hand: a heap, asyncio.sleep, and `get` in a task for each read."""
    loop, due = asyncio.get_running_loop(), [(n * SPACING, n, ref) for n, ref in enumerate(refs(number))]
    answering = Answering(READS)
    client = AsyncBatchClient(account(), clock=LoopClock(), transport=answering)

    async def read(n: int, ref: BatchRef) -> None:
        await client.get(ref)
        heapq.heappush(due, (max(loop.time() + GAP, number * SPACING), n, ref))

    started = time.process_time()
    for _ in range(READS):
        at, n, ref = heapq.heappop(due)
        await asyncio.sleep(at - loop.time())
        await asyncio.create_task(read(n, ref))
    return (time.process_time() - started) / READS


async def heap_alone(number: int) -> float:
    """Return the same without `get`: no retry, no pace, no events; only what it takes to ask and to understand."""
    loop, due, vendor = (
        asyncio.get_running_loop(),
        [(n * SPACING, n, ref) for n, ref in enumerate(refs(number))],
        account(),
    )
    answering = Answering(READS)

    async def read(n: int, ref: BatchRef) -> None:
        request = vendor.request(ref.id)
        answer = await answering.send(SendRequest(request, loop.time() + 60, 2**24), 60)
        parse_response(vendor, ref, request, StepResult(answer, loop.time(), datetime.now(UTC)))
        heapq.heappush(due, (max(loop.time() + GAP, number * SPACING), n, ref))

    started = time.process_time()
    for _ in range(READS):
        at, n, ref = heapq.heappop(due)
        await asyncio.sleep(at - loop.time())
        await asyncio.create_task(read(n, ref))
    return (time.process_time() - started) / READS


def account() -> Believe:
    return Believe("test-believe-key", rate_limit=RATE, states={"FINALIZED": BatchState.RUNNING})


def figures() -> Iterator[Figure]:
    spent = {}
    for number in (1_000, 100_000):
        # The least of some rounds, taken in turn: what else runs on the machine only adds.
        rounds = [[run(bench(number)) for bench in (heap_alone, heap_and_get, ours)] for _ in range(ROUNDS)]
        alone, by_hand, waiting = map(min, zip(*rounds, strict=True))
        spent[number] = waiting
        what = f"CPU for each read, {number:>7,} batches"
        yield Figure(f"{what}: a heap and asyncio.sleep, reading without retry or pace", alone * 1e6, unit="us")
        yield Figure(f"{what}: a heap and asyncio.sleep, reading with get", by_hand * 1e6, unit="us")
        yield Figure(f"{what}: as_completed", waiting * 1e6, unit="us")
        yield Figure(f"{what}: as_completed of heap, sleep and get", waiting / by_hand, 1.5)
        # The goal is in instructions, which a loaded machine does not change; this is 1.4 to 1.9 there.
        yield Figure(f"{what}: as_completed of heap, sleep and bare read", waiting / alone)
    if can_count():
        alone, waiting = (counted(__file__, name, few=1_500, many=4_500) for name in ("heap_alone", "ours"))
        yield Figure("instructions for each read, 1,000 batches: as_completed", waiting / 1e3, unit="k")
        yield Figure("instructions for each read: as_completed of heap, sleep and bare read", waiting / alone, 1.5)
    growth = spent[100_000] / spent[1_000]
    yield Figure("CPU for each read, 100,000 batches: of that at 1,000", growth, 1.3)
    first, later = memory(100_000)
    yield Figure("memory for each waiting ref beside its text, before its first reading", first, 450, "bytes")
    yield Figure("memory for each waiting ref beside its text, after two readings with counts", later, 450, "bytes")


def run(bench: Coroutine[Any, Any, float]) -> float:
    gc.collect()
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(bench)
    finally:
        loop.close()


def memory(number: int) -> tuple[float, float]:
    """Return the bytes for each ref beside its text, as added and after two readings; ref and placement included."""
    texts = [f"believe/acme:{n:036}" for n in range(number)]
    queue, left = Queue(World(), PaceState(0.001)), 2 * number
    gc.collect()
    tracemalloc.start()
    idle, _ = tracemalloc.get_traced_memory()
    ids = [text.partition(":")[2] for text in texts]  # the text that a ref keeps
    kept, _ = tracemalloc.get_traced_memory()
    kept -= idle
    del ids
    gc.collect()
    wait = schedule(queue, [BatchRef.parse(text) for text in texts])
    wait.events.clear()  # a driver passes the starts on, of the first 256 refs and then between polls
    gc.collect()
    added, _ = tracemalloc.get_traced_memory()

    def answer(read: StartPoll, now: float) -> bytes:
        nonlocal left
        left -= 1
        return body(s="r", p=left % 1_000)

    play(wait, answer, until=lambda _: left <= 0)
    gc.collect()
    read, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (added - idle - kept) / number, (read - idle - kept) / number


RATE = RateLimit(100)
SPACING = PaceState.of_limit(RATE).spacing


if __name__ == "__main__":  # for the instructions
    READS = int(sys.argv[2])
    run({"ours": ours, "heap_alone": heap_alone}[sys.argv[1]](1_000))
