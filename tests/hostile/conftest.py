"""Fixtures for servers that misbehave."""

from __future__ import annotations

import threading
import time

import pytest
from hostile import answer, open_sockets
from raw_server import serving
from waiting import LONG


@pytest.fixture(scope="module")
def trap():
    """A server that must never be asked."""
    with serving(lambda _: [answer(b"{}")]) as server:
        yield server


@pytest.fixture
def nothing_stays_open(trap):
    """Fail if the test leaves a socket open or a thread alive."""
    sockets, threads = open_sockets(), threading.active_count()
    yield
    end = time.monotonic() + LONG
    while open_sockets() - sockets or threading.active_count() > threads:
        assert time.monotonic() < end, (open_sockets() - sockets, threading.enumerate())
        time.sleep(0.01)
