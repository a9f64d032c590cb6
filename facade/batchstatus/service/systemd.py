"""The notifications of a service to systemd, over the socket that NOTIFY_SOCKET names; without it nothing is sent."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable

log = logging.getLogger("batchstatus")


def notify(*states: str) -> bool:
    """Send states such as READY=1, STOPPING=1 or WATCHDOG=1; return whether there was a socket to take them."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as messages:
            messages.sendto("\n".join(states).encode(), path.replace("@", "\0", 1) if path[0] == "@" else path)
    except OSError as error:
        log.warning("systemd cannot be told %s: %s", states[0], error)
        return False
    return True


async def keep_watchdog(is_alive: Callable[[], bool]) -> None:
    """Tell systemd's watchdog, twice in its time, that the service lives, for as long as it does; else do nothing."""
    of_this_process = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not of_this_process or not microseconds.isdecimal() or not int(microseconds):
        return
    while True:
        if is_alive():
            notify("WATCHDOG=1")
        await asyncio.sleep(int(microseconds) / 2e6)
