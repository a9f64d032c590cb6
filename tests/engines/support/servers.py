"""Servers and other processes of the engines' tests: on 127.0.0.1, on free ports, and ended with the test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

WITH_US = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
"""Lets the system end a process if the tests are killed, which then end nothing."""
PATIENCE = 120.0
"""Seconds for a server to answer; only a hang exceeds it."""


def free_port() -> int:
    """Return a port that is free just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Return whether a port accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(
    *command: object, log: Path, is_ready: Callable[[], bool] = lambda: True, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process, with what it prints in a file; wait until it is ready, and end it at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*WITH_US, *map(str, command)],
            env=os.environ | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        give_up_at = time.monotonic() + PATIENCE
        while not is_ready():
            assert process.poll() is None, f"{command[0]} has ended:\n{log.read_text()[-4_000:]}"
            assert time.monotonic() < give_up_at, f"{command[0]} does not answer:\n{log.read_text()[-4_000:]}"
            time.sleep(0.05)
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], *signals: signal.Signals) -> None:
    """End a process and all that it has started, by these signals, or kindly first; one that has ended may be."""
    for each in signals or (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, each)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                continue
