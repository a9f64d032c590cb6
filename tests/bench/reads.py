"""What a read over real HTTP costs: CPU against the generated client, by reads in flight, and memory for each account.

The server is another process; all CPU that is counted is the client's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import statistics
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

import httpx
from _instructions import can_count, counted
from _report import Figure
from batchstatus import AsyncBatchClient, BatchClient, Believe, PollPolicy

KEY = "test-believe-key"
KEY_HEADER = Believe.KEY_HEADERS["api_key"]
ROUNDS = 7
READS = 400
FEW_AND_MANY = (10, 60)
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
        yield from instructions(url)
        yield from in_flight(url)
    finally:
        ours.send(None)
        server.join()
    yield Figure("memory for each of 2,000 accounts on one transport", account_memory(2_000), 5 * 1024, "bytes")


def blocking(url: str) -> Iterator[Figure]:
    """Compare medians of rounds that take turns."""
    with ExitStack() as stack:
        benches: dict[str, Callable[[], float]] = {}
        for name, make in READERS.items():
            try:
                benches[name] = partial(many, make(url, stack))
            except ModuleNotFoundError as error:
                print(f"  ({name} is left out: {error})")
        account = Believe(KEY, base_url=url, rate_limit=None)
        waiter = stack.enter_context(BatchClient(account, poll=PollPolicy(floor=1e-6, ceiling=1e-6)))
        benches["a wait"] = lambda: waiting(waiter)
        for bench in benches.values():
            bench()
        spent: dict[str, list[float]] = {name: [] for name in benches}
        for _ in range(ROUNDS):
            for name, bench in benches.items():
                spent[name].append(bench())
    median = {name: statistics.median(values) for name, values in spent.items()}
    for name in [name for name in median if name not in {"get", "a wait"}]:
        yield Figure(f"CPU for a read: {name}", median[name] * 1e6, unit="us")
    yield Figure(
        "CPU for a get, of the generated client's sync_detailed", median["get"] / median["sync_detailed"], 0.75
    )
    yield Figure("CPU for each read inside a wait, of that", median["a wait"] / median["sync_detailed"], 0.9)


def instructions(url: str) -> Iterator[Figure]:
    if not can_count():
        return
    counts = {}
    for name in ("sync_detailed", "get"):
        few, many = FEW_AND_MANY
        counts[name] = counted(__file__, name, url, few=few, many=many)
        yield Figure(f"instructions for a read: {name}", counts[name] / 1e3, unit="k")
    yield Figure("instructions for a get, of the generated client's", counts["get"] / counts["sync_detailed"], 0.75)


# Each peer at its best: one client for all reads, so that its connection is kept, and nothing but the key sent. The
# generated client makes a model of the body; batchstatus besides checks it, retries and paces; the others only read it.


def sync_detailed(url: str, stack: ExitStack) -> Callable[[], object]:
    from batchstatus_raw.believe import AuthenticatedClient
    from batchstatus_raw.believe.api.default import get_batch_status

    client = AuthenticatedClient(base_url=url, token=KEY, prefix="", auth_header_name=KEY_HEADER)
    stack.enter_context(client)
    return lambda: get_batch_status.sync_detailed(BODY["id"], client=client)


def get(url: str, stack: ExitStack) -> Callable[[], object]:
    client = stack.enter_context(BatchClient(Believe(KEY, base_url=url, rate_limit=None)))
    return lambda: client.get(f"believe:{BODY['id']}")


def httpx_client(url: str, stack: ExitStack) -> Callable[[], object]:
    client = stack.enter_context(httpx.Client(base_url=url, headers={KEY_HEADER: KEY}, timeout=60))
    return lambda: client.get(PATH)


def urllib3_pool(url: str, stack: ExitStack) -> Callable[[], object]:
    import urllib3

    pool = urllib3.HTTPConnectionPool(*urlsplit(url).netloc.split(":"), headers={KEY_HEADER: KEY}, retries=False)
    stack.callback(pool.close)
    return lambda: pool.request("GET", PATH).data


def pycurl_handle(url: str, stack: ExitStack) -> Callable[[], object]:
    import pycurl

    handle = pycurl.Curl()
    stack.callback(handle.close)
    handle.setopt(pycurl.URL, url + PATH)
    handle.setopt(pycurl.HTTPHEADER, [f"{KEY_HEADER}: {KEY}"])
    return handle.perform_rb


READERS: dict[str, Callable[[str, ExitStack], Callable[[], object]]] = {
    "sync_detailed": sync_detailed,
    "get": get,
    "httpx.Client": httpx_client,
    "urllib3": urllib3_pool,
    "pycurl": pycurl_handle,
}


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
    for name, bench in (
        ("httpx.AsyncClient", httpx_pool), ("batchstatus", ours), ("aiohttp", over_aiohttp),
        ("httpx over aiohttp", httpx_over_aiohttp),
    ):  # fmt: skip
        for number in (1, 100, 1_000) if bench is not httpx_pool else (1, 100):
            try:
                spent = min(asyncio.run(bench(url, number)) for _ in range(3 if number < 100 or bench is ours else 1))
            except ModuleNotFoundError as error:
                print(f"  ({name} is left out: {error})")
                break
            alone.setdefault(name, spent)
            yield Figure(f"CPU for a get in tasks, {number:>5,} in flight: {name}", spent * 1e6, unit="us")
            if bench is ours and number > 1:
                yield Figure(
                    f"CPU for a get in tasks, {number:>5,} in flight: batchstatus, of one alone",
                    spent / alone[name],
                    1.3,
                )
            if bench is ours and number == 100:
                what = f"CPU for a get in tasks, {number:>5,} in flight: batchstatus, of httpx.AsyncClient with 1"
                yield Figure(what, spent / alone["httpx.AsyncClient"], 1.0)


async def ours(url: str, number: int) -> float:
    async with AsyncBatchClient(Believe(KEY, base_url=url, rate_limit=None)) as client:
        return await together(number, lambda: client.get(f"believe:{BODY['id']}"))


async def httpx_pool(url: str, number: int) -> float:
    limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        return await together(number, lambda: client.get(PATH))


async def over_aiohttp(url: str, number: int) -> float:
    import aiohttp

    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=256)) as session:

        async def read() -> bytes:
            async with session.get(PATH) as response:
                return await response.read()

        return await together(number, read)


async def httpx_over_aiohttp(url: str, number: int) -> float:
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


if __name__ == "__main__":  # for `instructions`
    _, name, url, number = sys.argv
    with ExitStack() as stack:
        read = READERS[name](url, stack)
        for _ in range(int(number)):
            read()
