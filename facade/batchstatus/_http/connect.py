"""How a connection is opened: the look-up of a host's addresses, and the race between them."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import math
import os
import socket
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import Future
from itertools import zip_longest
from queue import Empty, SimpleQueue
from typing import Generic, NamedTuple, TypeVar

from batchstatus._fork import ForkLock

T = TypeVar("T")

HEAD_START = 0.25
"""Seconds after which the next address is tried beside those that have not answered (RFC 8305, section 8)."""

_lock = ForkLock()
_under_way: dict[tuple[int, str, int], Future[list[str]]] = {}
"""The look-ups under way, by process, host and port: all who ask for a host meanwhile share one."""


class Step(NamedTuple):
    """The next need of a race: an address to try, if any, and the first outcome within so many seconds."""

    address: str | None
    seconds: float


def race(addresses: Sequence[str]) -> Generator[Step, T | Exception | None, T]:
    """Try addresses, each after a head start of the one before or as soon as one fails; return the first connection.

    It is sent a connection, an exception, or None if the time was up; it raises the last exception if all fail.
    """
    waiting, running, failure = deque(addresses), 0, Exception("there is no address")
    while waiting or running:
        address = waiting.popleft() if waiting else None
        running += address is not None
        outcome = yield Step(address, HEAD_START if waiting else math.inf)
        if outcome is None:
            continue
        running -= 1
        if not isinstance(outcome, Exception):
            return outcome
        failure = outcome
    raise failure


class ThreadRace(Generic[T]):
    """Connects in daemon threads: neither Ctrl-C nor the interpreter's exit waits for one."""

    def __init__(self, connect: Callable[[str, float], T], close: Callable[[T], object]) -> None:
        self._connect = connect
        self._close = close
        self._outcomes: SimpleQueue[T | Exception] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_over = False

    def run(self, addresses: Sequence[str], left: Callable[[], float]) -> T:
        """Return the first connection; `left` returns the seconds that are left, or raises."""
        rule: Generator[Step, T | Exception | None, T] = race(addresses)
        try:
            step = next(rule)
            while True:
                if step.address is not None:
                    threading.Thread(target=self._try, args=(step.address, left()), daemon=True).start()
                step = rule.send(self._take(min(step.seconds, left())))
        except StopIteration as end:
            found: T = end.value
            return found
        finally:
            self._end()

    def _try(self, address: str, seconds: float) -> None:
        outcome: T | Exception
        try:
            outcome = self._connect(address, seconds)
        except Exception as error:  # noqa: BLE001 (raised again by the race)
            outcome = error
        with self._lock:
            self._outcomes.put(outcome)
            if self._is_over:
                self._close_all()

    def _take(self, seconds: float) -> T | Exception | None:
        try:
            return self._outcomes.get(timeout=seconds)
        except Empty:
            return None

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
            self._close_all()

    def _close_all(self) -> None:
        while not self._outcomes.empty():
            outcome = self._outcomes.get()
            if not isinstance(outcome, Exception):
                self._close(outcome)


async def race_in_tasks(addresses: Sequence[str], connect: Callable[[str], Awaitable[T]]) -> T:
    """Return the first connection; those that are opened besides are the caller's to close."""
    rule: Generator[Step, T | Exception | None, T] = race(addresses)
    tasks: set[asyncio.Future[T]] = set()
    try:
        step = next(rule)
        while True:
            if step.address is not None:
                tasks.add(asyncio.ensure_future(connect(step.address)))
            seconds = step.seconds if math.isfinite(step.seconds) else None
            done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            outcome: T | Exception | None = None
            if done:
                task = done.pop()
                tasks.discard(task)
                outcome = _outcome(task)
            step = rule.send(outcome)
    except StopIteration as end:
        found: T = end.value
        return found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _outcome(task: asyncio.Future[T]) -> T | Exception:
    error = task.exception()
    return error if isinstance(error, Exception) else task.result()  # which raises what a signal's handler has raised


def look_up(host: str, port: int) -> Future[list[str]]:
    """Return the addresses of a host, those of both kinds in turn; it may hold an OSError.

    The system's look-up cannot be interrupted, so it runs in a daemon thread, which no deadline, no Ctrl-C and no exit
    of the interpreter waits for.
    """
    future: Future[list[str]] = Future()
    future.set_running_or_notify_cancel()  # so that giving up does not cancel it for the others
    if _is_address(host):
        future.set_result([host])
        return future
    key = os.getpid(), host, port
    with _lock:
        if (shared := _under_way.get(key)) is not None:
            return shared
        _under_way[key] = future
    try:
        threading.Thread(target=_look_up, args=(key, future), name="batchstatus-look-up", daemon=True).start()
    except RuntimeError:
        _finish(key, future, OSError(errno.EAGAIN, "no thread is left to look up the host"))
    return future


def _look_up(key: tuple[int, str, int], future: Future[list[str]]) -> None:
    _, host, port = key
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        _finish(key, future, error if isinstance(error, OSError) else socket.gaierror(str(error)))
        return
    _finish(key, future, interleaved([(family, str(address[0])) for family, *_, address in found]))


def _finish(key: tuple[int, str, int], future: Future[list[str]], outcome: list[str] | OSError) -> None:
    with _lock:
        _under_way.pop(key, None)
    if isinstance(outcome, OSError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def interleaved(addresses: Sequence[tuple[int, str]]) -> list[str]:
    """Return addresses of several families in turn, each family in the system's order (RFC 8305, section 4)."""
    families: dict[int, list[str]] = {}
    for family, address in addresses:
        families.setdefault(family, []).append(address)
    turns = zip_longest(*families.values())
    return [*dict.fromkeys(address for turn in turns for address in turn if address is not None)]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def copied(error: OSError) -> OSError:
    """Return an error of one's own: several threads may share the one of a look-up."""
    return type(error)(*error.args)
