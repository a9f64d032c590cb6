"""What the tests share: both clients behind one face, and the simulator."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import commandline
import pytest
import recording
from batchstatus import AsyncBatchClient, Batch, BatchClient, BatchRef, Outcome
from batchstatus.testing.simulator import Simulator


class SyncReader:
    """Reads with BatchClient."""

    def __init__(self, *accounts: Any, **options: Any) -> None:
        self.client = BatchClient(*accounts, **options)

    def get(self, ref: str | BatchRef, **options: Any) -> Batch:
        return self.client.get(ref, **options)

    def wait(self, ref: str | BatchRef, **options: Any) -> Batch:
        return self.client.wait(ref, **options)

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
    """Reads with AsyncBatchClient, in an event loop of its own."""

    def __init__(self, *accounts: Any, **options: Any) -> None:
        self.runner = asyncio.Runner()
        self.client = AsyncBatchClient(*accounts, **options)

    def get(self, ref: str | BatchRef, **options: Any) -> Batch:
        return self.runner.run(self.client.get(ref, **options))

    def wait(self, ref: str | BatchRef, **options: Any) -> Batch:
        return self.runner.run(self.client.wait(ref, **options))

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
        self.close()
        self.runner.close()


async def collected(outcomes: AsyncIterator[Outcome]) -> list[Outcome]:
    return [outcome async for outcome in outcomes]


pytest_plugins = ["pytester"]

Reader = SyncReader | AsyncReader


@pytest.fixture(params=[SyncReader, AsyncReader], ids=["sync", "async"])
def reader(request: pytest.FixtureRequest) -> Iterator[Callable[..., Reader]]:
    """A function that makes a client, as its class would; every test with it runs over both clients."""
    with ExitStack() as stack:

        def make(*accounts: Any, **options: Any) -> Reader:
            made: Reader = request.param(*accounts, **options)
            stack.callback(made.finish)
            return made

        yield make


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Both vendors, on loopback, without rate limits."""
    with Simulator(limits=False) as simulator:
        yield simulator


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a user of the command line with no accounts and no files."""
    keep = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return keep | {"HOME": str(tmp_path), "PYTHONWARNINGS": "error", "TERM": "xterm-256color"}


@pytest.fixture
def user(environ: dict[str, str], simulator: Simulator) -> dict[str, str]:
    """The same with keys for the simulator."""
    return environ | commandline.keys(simulator)


def pytest_recording_configure(config: pytest.Config, vcr: Any) -> None:
    vcr.register_serializer("literal", recording.LiteralYAML)
    vcr.register_matcher("keys", recording.same_keys)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "quirk(*numbers): the quirks of specs/QUIRKS.md that this test holds")
