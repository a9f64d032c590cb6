"""What a read over real HTTP costs: CPU against the generated client, by reads in flight, and memory for each account.

The server is another process; all CPU that is counted is the client's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import statistics
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

import httpx
from _report import Figure
from batchstatus import AsyncBatchClient, BatchClient, Believe, PollPolicy
from batchstatus_raw.believe import AuthenticatedClient
from batchstatus_raw.believe.api.default import get_batch_status

KEY = "test-believe-key"
ROUNDS = 7
READS = 400
BODY = {
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "flywheelId": "flywheel_1",
    "tokenId": "token_1",
    "mintAddress": "mint",
    "status": "FINALIZED",
    "batchIndex": "42",
    "vaultIndex": "0",
    "multisig": "multisig",
    "vaultAddress": "vault",
    "dateCreated": "2025-01-27T12:00:00.000Z",
    "dateUpdated": "2025-01-27T12:05:00.000Z",
}
PATH = urlsplit(Believe(KEY).request(BODY["id"]).url).path


def serve(pipe: Connection) -> None:
    """Answer every request on loopback, keeping connections."""

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport, self.buffer = transport, b""

        def data_received(self, data: bytes) -> None:
            self.buffer += data
            while b"\r\n\r\n" in self.buffer:
                head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
                batch_id = head.split(b" ", 2)[1].rpartition(b"/")[2].decode()
                body = json.dumps(BODY | {"id": batch_id}).encode()
                self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Protocol, "127.0.0.1", 0, backlog=2_048)
        pipe.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, pipe.recv)

    asyncio.run(main())


def figures() -> Iterator[Figure]:
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("fork").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{ours.recv()}"
        yield from blocking(url)
        yield from in_flight(url)
    finally:
        ours.send(None)
        server.join()
    yield Figure("memory for each of 2,000 accounts on one transport", account_memory(2_000), 5 * 1024, "bytes")


def blocking(url: str) -> Iterator[Figure]:
    """Compare medians of rounds that take turns."""
    account = Believe(KEY, base_url=url, rate_limit=None)
    generated = AuthenticatedClient(base_url=url, token=KEY, prefix="", auth_header_name=Believe.KEY_HEADERS["api_key"])
    with BatchClient(account, poll=PollPolicy(floor=1e-6, ceiling=1e-6)) as client, generated:
        benches = {
            "generated": lambda: many(lambda: get_batch_status.sync_detailed(BODY["id"], client=generated)),
            "get": lambda: many(lambda: client.get(f"believe:{BODY['id']}")),
            "wait": lambda: waiting(client),
        }
        for bench in benches.values():
            bench()
        spent: dict[str, list[float]] = {name: [] for name in benches}
        for _ in range(ROUNDS):
            for name, bench in benches.items():
                spent[name].append(bench())
    median = {name: statistics.median(values) for name, values in spent.items()}
    yield Figure("CPU for a read: the generated client's sync_detailed", median["generated"] * 1e6, unit="us")
    yield Figure("CPU for a get, of that", median["get"] / median["generated"], 1.0)
    yield Figure("CPU for each read inside a wait, of that", median["wait"] / median["generated"], 0.9)


def many(read: Callable[[], object]) -> float:
    started = time.thread_time()
    for _ in range(READS):
        read()
    return (time.thread_time() - started) / READS


def waiting(client: BatchClient) -> float:
    readings = client.watch([f"believe:{BODY['id']}"], timeout=600, changes_only=False)
    next(readings)
    started = time.thread_time()
    for _ in range(READS):
        next(readings)
    spent = (time.thread_time() - started) / READS
    readings.close()
    return spent


def in_flight(url: str) -> Iterator[Figure]:
    alone: dict[str, float] = {}
    for name, bench in (("batchstatus", ours), ("httpx's own pool", own_pool), ("httpx over aiohttp", over_aiohttp)):
        for number in (1, 100, 1_000) if bench is not own_pool else (1, 100):
            try:
                spent = min(asyncio.run(bench(url, number)) for _ in range(3))
            except ModuleNotFoundError:
                break
            alone.setdefault(name, spent)
            goal = 1.3 if bench is ours and number > 1 else None
            yield Figure(f"CPU for a get, {number:>5,} in flight: {name}", spent * 1e6, unit="us")
            if number > 1:
                yield Figure(f"CPU for a get, {number:>5,} in flight: {name}, of one alone", spent / alone[name], goal)


async def ours(url: str, number: int) -> float:
    async with AsyncBatchClient(Believe(KEY, base_url=url, rate_limit=None)) as client:
        return await together(number, lambda: client.get(f"believe:{BODY['id']}"))


async def own_pool(url: str, number: int) -> float:
    limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        return await together(number, lambda: client.get(PATH))


async def over_aiohttp(url: str, number: int) -> float:
    from httpx_aiohttp import AiohttpTransport

    async with httpx.AsyncClient(base_url=url, transport=AiohttpTransport(), timeout=60) as client:
        return await together(number, lambda: client.get(PATH))


async def together(number: int, read: Callable[[], Awaitable[object]]) -> float:
    """Return the CPU seconds of a read while so many are under way all the time."""
    reads = max(READS, 3 * number)
    left = 0

    async def some() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await read()

    for left in (number, reads):  # noqa: B007 (`some` counts it down; the first time is to connect)
        started = time.process_time()
        await asyncio.gather(*[some() for _ in range(number)])
    return (time.process_time() - started) / reads


def account_memory(number: int) -> float:
    """Return the bytes that one account of many takes in a client that has a transport."""
    with BatchClient(Believe(KEY, name="first")):
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        client = BatchClient(*[Believe(f"{KEY}-{n}", name=f"account-{n}") for n in range(number)])
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        client.close()
    return (after - before) / number
