"""Signals that end a command in order, and the exit codes that they give."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from .exit_codes import INTERRUPTED, TERMINATED

CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


class Terminated(KeyboardInterrupt):
    """SIGTERM came; it ends a command as Ctrl-C does."""


def handle_sigterm() -> None:
    """Raise Terminated from now on when SIGTERM comes and nothing else handles it."""

    def end(*_: object) -> NoReturn:
        raise Terminated

    signal.signal(signal.SIGTERM, end)


def code_of_signal(error: BaseException | None) -> int:
    """Return the exit code of a signal."""
    return TERMINATED if isinstance(error, Terminated) else INTERRUPTED


def on_signal(heard: Callable[[], object]) -> list[int]:
    """Call `heard` in the running loop at each signal; return the list to which their exit codes are added."""
    import asyncio  # noqa: PLC0415

    loop, came = asyncio.get_running_loop(), list[int]()

    def take(number: signal.Signals) -> None:
        came.append(CODES[number])
        heard()

    for number in CODES:
        with suppress(NotImplementedError):  # Windows has none of these
            loop.add_signal_handler(number, take, number)
    return came
