"""Signals that end a command in order, and the exit codes that they give."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

from ._exit import INTERRUPTED, TERMINATED

CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


def listen(heard: Callable[[], object]) -> list[int]:
    """Call `heard` in the running loop at each signal; return where the exit codes of those that came will be."""
    loop, came = asyncio.get_running_loop(), list[int]()

    def take(number: signal.Signals) -> None:
        came.append(CODES[number])
        heard()

    for number in CODES:
        with suppress(NotImplementedError):  # Windows has none of these
            loop.add_signal_handler(number, take, number)
    return came


def catch() -> tuple[threading.Event, list[int]]:
    """Return what is set at the first signal, for code without a loop, and where its exit code will be."""
    over, came = threading.Event(), list[int]()

    def take(number: int, _: object) -> None:
        came.append(CODES[signal.Signals(number)])
        over.set()

    for number in CODES:
        signal.signal(number, take)
    return over, came
