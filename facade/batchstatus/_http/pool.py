"""The idle connections of a client: the one used last is used first, and those that idle for too long are closed.

One connection serves one exchange at a time. A pool that keeps all of them in one list, as HTTP libraries do, costs
more for each exchange the more of them are in flight; this costs the same for one and for a thousand.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from attrs import define

from batchstatus._core.errors import ConfigurationError

MAX_CONNECTIONS = 256
"""Exchanges in flight at once in a client; others wait for a connection, within their own deadlines."""
OTHER_FILES = 64
"""File descriptors that are left for the rest of the process, such as a store."""
MAX_IDLE_SECONDS = 90.0
"""Seconds: an idle connection outlives the longest gap between two reads of a wait (30 s)."""


def max_connections() -> int:
    """Return how many connections there may be at once, of the descriptors that the process may have open."""
    try:
        import resource  # noqa: PLC0415 (not on Windows)
    except ImportError:
        return MAX_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(MAX_CONNECTIONS, soft - OTHER_FILES))


T = TypeVar("T")
Origin = tuple[str, str, int]
"""Scheme, host (an IDN in ASCII) and port."""


@define(eq=False)
class Connection(Generic[T]):
    """One connection; it is opened at its first use."""

    transport: T
    origin: Origin
    used: bool = False
    """Whether it has served an exchange; the other side may have closed it since."""
    idle_since: float = 0.0


class ConnectionPool(Generic[T]):
    """The free connections of one client.

    They belong to one process and, if async, to one event loop. In another they are forgotten, not closed: their
    sockets may still serve where they came from.
    """

    def __init__(self, make: Callable[[Origin], T], owner: object) -> None:
        self._make = make
        self._closed = False
        self._pid = os.getpid()
        self._forget(owner)

    def _forget(self, owner: object) -> None:
        self._owner = owner
        self._free: dict[Origin, deque[Connection[T]]] = {}
        self._lock = threading.Lock()

    def rebind(self, owner: object) -> bool:
        """Return whether this is another process or event loop than before; then no connection can be used again."""
        if owner == self._owner:
            return False
        self._forget(owner)
        return True

    def acquire(self, origin: Origin) -> Connection[T]:
        """Return the connection to an origin that was used last, or a new one."""
        with self._lock:
            if self._closed:
                raise ConfigurationError("this client was closed while it read")
            free = self._free.get(origin)
            if free:
                return free.pop()
        return Connection(self._make(origin), origin)

    def connect(self, connection: Connection[T]) -> Connection[T]:
        """Return a new connection to the origin of another one."""
        return Connection(self._make(connection.origin), connection.origin)

    def release(self, connection: Connection[T], owner: object) -> list[T]:
        """Take back a connection that is fit for another exchange; return those that are to be closed now."""
        connection.used, connection.idle_since = True, time.monotonic()
        with self._lock:
            if self._closed or owner != self._owner:
                return [connection.transport]
            self._free.setdefault(connection.origin, deque()).append(connection)
            return [old.transport for free in self._free.values() for old in _expired(free)]

    def close(self, owner: object) -> list[T]:
        """Give out nothing any more; return the free connections that are to be closed here."""
        self._closed = True
        return self.clear(owner)

    def clear(self, owner: object) -> list[T]:
        """Forget the free connections, and return those that are to be closed here."""
        free = self.owned()()
        return free if owner == self._owner else []

    def owned(self) -> Callable[[], list[T]]:
        """Return a function that takes the free connections of the present owner, whoever owns the pool by then."""
        free, lock = self._free, self._lock

        def take_all() -> list[T]:
            with lock:
                found = [connection.transport for connections in free.values() for connection in connections]
                free.clear()
                return found

        return take_all

    def __del__(self, warn: Any = warnings.warn, getpid: Any = os.getpid) -> None:
        if getattr(self, "_free", None) and not self._closed and getpid() == self._pid:
            warn("unclosed client of batchstatus: call its close(), or use `with`", ResourceWarning, source=self)


def _expired(free: deque[Connection[T]]) -> list[Connection[T]]:
    now, expired = time.monotonic(), []
    while free and now - free[0].idle_since > MAX_IDLE_SECONDS:
        expired.append(free.popleft())
    return expired
