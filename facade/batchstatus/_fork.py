"""Forks: a number that tells processes apart, and a lock that a fork leaves open in the child."""

from __future__ import annotations

import os
import threading
from types import TracebackType

_generation = 0
"""How many forks led to this process. A process id would do, too, but asking for it is a system call each time."""


def generation() -> int:
    """Return a number that is another one in the child of a fork."""
    return _generation


def _after_fork() -> None:
    global _generation  # noqa: PLW0603 (it is the process's)
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class ForkLock:
    """A lock of each process that uses it, for `with`."""

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    def __enter__(self) -> None:
        lock = self._locks.get(_generation)
        if lock is None:
            lock = self._locks.setdefault(_generation, threading.Lock())
        lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._locks[_generation].release()
