"""Runs the command line through its process, on pipes and in a pseudo-terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from batchstatus.testing.simulator.believe import BELIEVE_KEY
from batchstatus.testing.simulator.gameball import GAMEBALL_KEY, GAMEBALL_SECRET

COMMAND = [sys.executable, "-m", "batchstatus.cli"]


def keys(simulator):
    return {
        "GAMEBALL_API_KEY": GAMEBALL_KEY,
        "GAMEBALL_SECRET_KEY": GAMEBALL_SECRET,
        "BELIEVE_API_KEY": BELIEVE_KEY,
        "GAMEBALL_BASE_URL": simulator.url,
        "BELIEVE_BASE_URL": simulator.url,
    }


def run(environ, *arguments, stdin=""):
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, env=environ, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def lines(run):
    return [json.loads(line) for line in run.stdout.splitlines()]


def terminal(environ, *arguments, columns=100, until=b"", key=b"", seconds=30.0):
    """Run it in a pseudo-terminal; return what it drew, and its exit code.

    The key is typed once `until` is drawn, or once it is true of everything drawn, if it is a function.
    """
    is_time = until if callable(until) else lambda drawn: until in drawn
    child, screen = pty.fork()
    if child == 0:
        os.execve(sys.executable, [*COMMAND, *map(str, arguments)], environ | {"COLUMNS": str(columns), "LINES": "30"})
    drawn, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([screen], [], [], 0.1)[0]:
            try:
                drawn += os.read(screen, 65536)
            except OSError:  # the other side is closed
                break
        if key and is_time(drawn):
            os.write(screen, key)
            key = b""
    else:
        os.kill(child, signal.SIGKILL)  # it hangs
    _, status = os.waitpid(child, 0)
    os.close(screen)
    return drawn.decode(), os.waitstatus_to_exitcode(status)


def config(home: str, text: str, mode: int = 0o600) -> None:
    path = Path(home) / ".config" / "batchstatus" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def dialogue(environ, *arguments, steps, seconds=30.0):
    """Run it in a pseudo-terminal, and type the keys of each step once its text is drawn; return as `terminal` does.

    Instead of keys a step may have a signal, which is sent. Without an end within the time it is killed.
    """
    child, screen = pty.fork()
    if child == 0:
        os.execve(sys.executable, [*COMMAND, *map(str, arguments)], environ | {"COLUMNS": "200", "LINES": "30"})
    drawn, end, left, seen = b"", time.monotonic() + seconds, [*steps], 0
    while time.monotonic() < end:
        if select.select([screen], [], [], 0.1)[0]:
            try:
                drawn += os.read(screen, 65536)
            except OSError:  # the other side is closed
                break
        if left and (found := drawn.find(left[0][0].encode(), seen)) >= 0:
            seen, keys = found + len(left[0][0]), left.pop(0)[1]
            time.sleep(0.1)  # a prompt that hides keys drops those typed before it has begun
            os.kill(child, keys) if isinstance(keys, signal.Signals) else os.write(screen, keys.encode())
    else:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(screen)
    return drawn.decode(), os.waitstatus_to_exitcode(status)
