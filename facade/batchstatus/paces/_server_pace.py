"""An AsyncPace over a server that keeps a text for it; and a Pace that runs one in the thread that calls it."""

from __future__ import annotations

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from batchstatus import Account

from ._rules import Read, Rules, Stored, Swap

T = TypeVar("T")

TIMEOUT = 1.0
"""Seconds that a call may take; a server in the next building answers in 0.2 ms."""


class AsyncServerPace(ABC):
    """An AsyncPace that is kept on a server; a subclass asks it."""

    LOST: ClassVar[tuple[type[Exception], ...]]
    """What is raised if the server cannot be asked; TimeoutError is one."""

    def __init__(self, account: Account, when_lost: str) -> None:
        self._rules = Rules(account, when_lost)

    @abstractmethod
    async def _ask(self, step: Read | Swap) -> Stored:
        """Perform a step."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""

    async def reserve(self, now: float, before: float) -> float | None:
        """Book the next slot."""
        wait: float | None = await self._do("reserve", now, before)
        return wait

    async def begin(self, slot: float, now: float) -> bool:
        """Use a booked slot."""
        return bool(await self._do("begin", slot, now))

    async def release(self, slot: float) -> None:
        """Give back a booked slot."""
        await self._do("release", slot)

    async def refused(self, now: float, pause: float) -> float:
        """Record a 429."""
        return float(await self._do("refused", now, pause))

    async def accepted(self) -> None:
        """Record any other response."""
        await self._do("accepted")

    async def _do(self, name: str, *arguments: float) -> Any:
        if self._rules.is_lost(time.monotonic()):
            return self._rules.alone(name, *arguments)
        steps = getattr(self._rules, name)(*arguments)
        stored: Stored | None = None
        try:
            while True:
                step = steps.send(stored)
                async with asyncio.timeout(TIMEOUT):
                    stored = await self._ask(step)
        except StopIteration as end:
            self._rules.find()
            return end.value
        except self.LOST:
            await self.close()
            if not self._rules.lose(time.monotonic()):
                raise
            return self._rules.alone(name, *arguments)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden, {self._rules.account.account_ref})"


class ServerPace:
    """A Pace that runs an AsyncServerPace, each call in an event loop of its own.

    One implementation for threads and tasks: the event loop costs 0.1 ms a call, and its timeouts bound every call,
    also of a driver that has none of its own.
    """

    ASYNC: ClassVar[type[Any]]

    def __init__(self, url: str, account: Account, *, when_lost: str = "wait") -> None:
        self._make: Callable[[], AsyncServerPace] = lambda: self.ASYNC(url, account, when_lost=when_lost)
        self._start()

    def _start(self) -> None:
        self._pace, self._runner, self._pid = self._make(), asyncio.Runner(), os.getpid()

    def reserve(self, now: float, before: float) -> float | None:
        """Book the next slot."""
        return self._run(self._here().reserve(now, before))

    def begin(self, slot: float, now: float) -> bool:
        """Use a booked slot."""
        return self._run(self._here().begin(slot, now))

    def release(self, slot: float) -> None:
        """Give back a booked slot."""
        self._run(self._here().release(slot))

    def refused(self, now: float, pause: float) -> float:
        """Record a 429."""
        return self._run(self._here().refused(now, pause))

    def accepted(self) -> None:
        """Record any other response."""
        self._run(self._here().accepted())

    def close(self) -> None:
        """Close the connections."""
        self._run(self._here().close())
        self._runner.close()

    def _here(self) -> AsyncServerPace:
        """Return the pace of this process: after a fork the connections are the parent's."""
        if self._pid != os.getpid():
            self._start()
        return self._pace

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(call)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden)"
