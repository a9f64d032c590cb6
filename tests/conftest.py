"""What the tests share: both clients behind one face, and the simulator."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import commandline
import properties  # noqa: F401 (for every property)
import pytest
import recording
from batchstatus.testing.simulator import Simulator
from readers import AsyncReader, Reader, SyncReader

pytest_plugins = ["pytester"]


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
    """Both vendors, on loopback, without rate limits.

    Its time begins with the first request: how long a process takes to start is no part of a batch's life.
    """
    began: list[float] = []

    def clock() -> float:
        if simulator.reads and not began:
            began.append(time.monotonic())
        return time.monotonic() - began[0] if began else 0.0

    with Simulator(limits=False, clock=clock) as simulator:
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """Say what comes after a recorded test that fails: vcrpy advises to change its record mode."""
    try:
        return (yield)
    except Exception as error:
        if item.get_closest_marker("vcr"):
            error.add_note("If the request or the response was meant to change, next: make record")
        raise


def pytest_configure(config: pytest.Config) -> None:
    # A run in the background of a shell ignores SIGINT, and so would every process that it starts.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "drill: a change of a vendor's page that only `make drills` tries")
    config.addinivalue_line("markers", "quirk(*numbers): the quirks of specs/QUIRKS.md that this test holds")
