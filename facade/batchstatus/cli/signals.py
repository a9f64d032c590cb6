"""Signals: those that end a command in order, with the exit codes that they give, and those of a terminal."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from .exit_codes import INTERRUPTED, TERMINATED

T = TypeVar("T")

CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


class Terminated(KeyboardInterrupt):
    """SIGTERM came; it ends a command as Ctrl-C does."""


def handle_sigterm() -> None:
    """Raise Terminated from now on when SIGTERM comes and nothing else handles it."""

    def end(*_: object) -> NoReturn:
        raise Terminated

    signal.signal(signal.SIGTERM, end)


def run_tasks(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as `asyncio.run` does, which at Ctrl-C cancels it; so does SIGTERM here.

    A handler that raises would do so in whichever task is running, and asyncio would log that task's exception as never
    retrieved.

    Raises:
        Terminated: SIGTERM came, and the coroutine ended by it.
    """
    import asyncio  # noqa: PLC0415 (help and completion need none)

    came = False

    async def cancellable() -> T:
        task = asyncio.current_task()
        assert task is not None

        def end() -> None:
            nonlocal came
            came = True
            task.cancel()

        with suppress(NotImplementedError):  # Windows has none of these
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
        return await main

    try:
        return asyncio.run(cancellable())
    except asyncio.CancelledError:
        if came:
            raise Terminated from None
        raise
    finally:
        handle_sigterm()  # at its end a loop gives the signal back to the system


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


def on_resize(resized: Callable[[], object]) -> None:
    """Call `resized` in the running loop whenever the terminal has another size."""
    _handle("SIGWINCH", resized)


def on_suspend(leave: Callable[[], object], resume: Callable[[], object]) -> None:
    """Call `leave` in the running loop before Ctrl-Z stops this process, and `resume` after any stop."""
    import asyncio  # noqa: PLC0415

    def stop() -> None:
        leave()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGTSTP)  # returns when the process goes on
        _handle("SIGTSTP", stop)

    _handle("SIGTSTP", stop)
    _handle("SIGCONT", resume)


def _handle(name: str, heard: Callable[[], object]) -> None:
    """Call `heard` in the running loop at a signal, if the system has it and the caller does not ignore it."""
    import asyncio  # noqa: PLC0415

    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
        asyncio.get_running_loop().add_signal_handler(number, heard)
