"""A process that reads one batch again and again at a shared pace, and prints what came of it.

python pace_worker.py URL WHEN_LOST SIMULATOR REF SECONDS
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from batchstatus import AsyncBatchClient, Believe, RateLimited, ReadError, RetryPolicy
from batchstatus.paces import paced
from batchstatus.testing.simulator.believe import BELIEVE_KEY

READERS = 4
TICK = 0.01


async def main(url: str, when_lost: str, simulator: str, ref: str, seconds: float) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    (account,) = paced(url, [Believe(BELIEVE_KEY, base_url=simulator)], when_lost=when_lost)
    end, counts, lags = time.monotonic() + seconds, {"read": 0, "429": 0, "unread": 0}, []

    async def reads(client: AsyncBatchClient) -> None:
        while (left := end - time.monotonic()) > 1.0:
            try:
                await client.get(ref, timeout=min(left, 3.0))
                counts["read"] += 1
            except RateLimited:
                counts["429"] += 1
            except ReadError:
                counts["unread"] += 1

    async def ticks() -> None:
        while time.monotonic() < end:
            before = time.monotonic()
            await asyncio.sleep(TICK)
            lags.append(time.monotonic() - before - TICK)

    async with AsyncBatchClient(account, retry=RetryPolicy(attempts=1)) as client:
        await asyncio.gather(ticks(), *(reads(client) for _ in range(READERS)))
    lags.sort()
    print(json.dumps(counts | {"lag_p99": lags[int(0.99 * len(lags))]}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], float(sys.argv[5])))
