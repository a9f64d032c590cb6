"""Notifications to systemd, over a socket of its kind."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import contextmanager

import pytest
from batchstatus.service.systemd import keep_watchdog, notify


@contextmanager
def systemd(address):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as messages:
        messages.bind(address)
        messages.settimeout(10)
        yield messages


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch):
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_sent_without_a_socket():
    assert not notify("READY=1")


@pytest.mark.parametrize("is_abstract", [False, True])
def test_states_are_sent_to_the_socket(monkeypatch, tmp_path, is_abstract):
    """One in the file system, and one without a file, which begins with @."""
    name = f"batchstatus-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if is_abstract else name)
    with systemd(f"\0{name}" if is_abstract else name) as messages:
        assert notify("READY=1", "STATUS=following")
        assert messages.recv(100) == b"READY=1\nSTATUS=following"


def test_a_socket_that_is_gone_ends_nothing(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    with caplog.at_level(logging.WARNING):
        assert not notify("READY=1")
    assert "systemd cannot be told READY=1" in caplog.text


def test_only_what_lives_tells_the_watchdog(monkeypatch, tmp_path):
    """It is told while the service is alive, and not any more when it is not."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    answers = iter([True, False, True, True])
    enough = asyncio.Event()

    def is_alive():
        try:
            return next(answers)
        except StopIteration:
            enough.set()
            return False

    async def told():
        watchdog = asyncio.create_task(keep_watchdog(is_alive))
        await asyncio.wait_for(enough.wait(), 10)
        watchdog.cancel()

    with systemd(str(tmp_path / "notify")) as messages:
        asyncio.run(told())
        messages.setblocking(False)
        assert [messages.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        with pytest.raises(BlockingIOError):
            messages.recv(100)


@pytest.mark.parametrize(
    ("microseconds", "pid"),
    [("", None), ("0", None), ("often", None), ("1000000", "1")],
    ids=["none", "zero", "not a number", "another process's"],
)
def test_without_a_watchdog_there_is_nothing_to_keep(monkeypatch, microseconds, pid):
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))

    async def ends():
        await asyncio.wait_for(keep_watchdog(lambda: True), 10)

    asyncio.run(ends())
