"""A lock that a fork leaves open in the child, whatever thread of the parent holds it."""

from __future__ import annotations

import os
import threading
from types import TracebackType


class ForkLock:
    """A lock of each process that uses it, for `with`."""

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    def __enter__(self) -> None:
        self._locks.setdefault(os.getpid(), threading.Lock()).acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._locks[os.getpid()].release()
