"""Real waits on a real clock: how far they overrun their timeouts, and whether they outlive an outage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from _report import Figure
from batchstatus import AsyncBatchClient, BatchClient, Believe, WaitTimeout
from batchstatus.testing import FakeVendors
from raw_server import HANG_UP, drip, response, serving

TIMEOUT = 1.5
BODY = b'{"id": "1", "status": "FINALIZED"}'
SERVERS = {
    "answers": lambda _: [response(BODY)],
    "never answers": lambda _: [60.0],
    "drips its headers": lambda _: drip(response(BODY), every=0.2),
    "drips its body": lambda _: [response(BODY)[: -len(BODY)], *drip(BODY, every=0.2)],
    "hangs up": lambda _: [HANG_UP],
    "is down": lambda _: [response(b"", "503 Down")],
    "wants to be left alone for an hour": lambda _: [response(b"", "429 Slow", retry_after="3600")],
}


def figures() -> Iterator[Figure]:
    for name, script in SERVERS.items():
        with serving(script) as server:
            account = Believe("test-believe-key", base_url=server.url, rate_limit=None)
            overruns = [overrun(account), asyncio.run(overrun_async(account))]
        yield Figure(f"overrun of a timeout, sync or async, by a server that {name}", max(overruns), 0.25, "s")
    vendors = FakeVendors()
    vendors.script("believe:1", *[503] * 8, "EXECUTED")  # 0, 1, 3, 7, 15, 31, 61 and 91 s
    with vendors.client() as client:
        ended = client.wait("believe:1").is_terminal
    yield Figure(f"waits lost to a vendor that is down for {vendors.clock.now:.0f} s", not ended, 0)


def overrun(account: Believe) -> float:
    with BatchClient(account) as client:
        started = time.monotonic()
        try:
            client.wait("believe:1", timeout=TIMEOUT)
        except WaitTimeout:
            return time.monotonic() - started - TIMEOUT
    raise AssertionError("a wait for a batch that never ends has ended")


async def overrun_async(account: Believe) -> float:
    async with AsyncBatchClient(account) as client:
        started = time.monotonic()
        try:
            await client.wait("believe:1", timeout=TIMEOUT)
        except WaitTimeout:
            return time.monotonic() - started - TIMEOUT
    raise AssertionError("a wait for a batch that never ends has ended")
