"""Both clients behind one face, so that one test covers them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from batchstatus import AsyncBatchClient, Batch, BatchClient, BatchRef, Outcome, Step
from batchstatus.testing import FakeVendors


class SyncReader:
    """Reads with BatchClient; with `vendors`, which play scripts, without HTTP."""

    def __init__(self, *accounts: Any, vendors: FakeVendors | None = None, **options: Any) -> None:
        self.client = BatchClient(*accounts, **options) if vendors is None else vendors.client(*accounts, **options)

    def get(self, ref: str | BatchRef, **options: Any) -> Batch:
        return self.client.get(ref, **options)

    def wait(self, ref: str | BatchRef, **options: Any) -> Batch:
        return self.client.wait(ref, **options)

    def step(self, ref: str | BatchRef, **options: Any) -> Step:
        return self.client.step(ref, **options)

    def as_completed(self, refs: Any, **options: Any) -> list[Outcome]:
        return list(self.client.as_completed(refs, **options))

    def watch(self, refs: Any, **options: Any) -> list[Outcome]:
        return list(self.client.watch(refs, **options))

    def wait_all(self, refs: Any, **options: Any) -> dict[BatchRef, Outcome]:
        return self.client.wait_all(refs, **options)

    def get_many(self, refs: Any, **options: Any) -> dict[BatchRef, Outcome]:
        return self.client.get_many(refs, **options)

    def close(self) -> None:
        self.client.close()

    finish = close


class AsyncReader:
    """Reads with AsyncBatchClient, in an event loop of its own; with `vendors` likewise."""

    def __init__(self, *accounts: Any, vendors: FakeVendors | None = None, **options: Any) -> None:
        self.runner = asyncio.Runner()
        self.is_finished = False
        if vendors is None:
            self.client = AsyncBatchClient(*accounts, **options)
        else:
            self.client = vendors.async_client(*accounts, **options)

    def get(self, ref: str | BatchRef, **options: Any) -> Batch:
        return self.runner.run(self.client.get(ref, **options))

    def wait(self, ref: str | BatchRef, **options: Any) -> Batch:
        return self.runner.run(self.client.wait(ref, **options))

    def step(self, ref: str | BatchRef, **options: Any) -> Step:
        return self.runner.run(self.client.step(ref, **options))

    def as_completed(self, refs: Any, **options: Any) -> list[Outcome]:
        return self.runner.run(collected(self.client.as_completed(refs, **options)))

    def watch(self, refs: Any, **options: Any) -> list[Outcome]:
        return self.runner.run(collected(self.client.watch(refs, **options)))

    def wait_all(self, refs: Any, **options: Any) -> dict[BatchRef, Outcome]:
        return self.runner.run(self.client.wait_all(refs, **options))

    def get_many(self, refs: Any, **options: Any) -> dict[BatchRef, Outcome]:
        return self.runner.run(self.client.get_many(refs, **options))

    def close(self) -> None:
        self.runner.run(self.client.close())

    def finish(self) -> None:
        if not self.is_finished:
            self.is_finished = True
            self.close()
            self.runner.close()


async def collected(outcomes: AsyncIterator[Outcome]) -> list[Outcome]:
    return [outcome async for outcome in outcomes]


Reader = SyncReader | AsyncReader
