"""The real Temporal server, once for all tests, and the simulated vendors."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from batchstatus import BatchRef
from batchstatus.testing.simulator import Simulator
from temporal_server import temporal_server


@pytest.fixture(scope="session")
def address(tmp_path_factory) -> Iterator[str]:
    """The address of a server."""
    with temporal_server(tmp_path_factory.mktemp("temporal")) as address:
        yield address


@pytest.fixture
def queue() -> str:
    """A task queue of this test's own."""
    return f"queue-{uuid.uuid4()}"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Both vendors, without rate limits."""
    with Simulator(limits=False) as simulator:
        yield simulator


@pytest.fixture
def add(simulator) -> Callable[..., BatchRef]:
    """A function that adds a batch with an id that no other test has, since the server keeps what it was asked."""

    def add(vendor: str, **options: Any) -> BatchRef:
        unique = uuid.uuid4()
        return simulator.add(vendor, id=str(unique.int)[:18] if vendor == "gameball" else str(unique), **options)

    return add
