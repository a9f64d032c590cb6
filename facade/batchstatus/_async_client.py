"""The client for tasks of an event loop; it differs from the client for threads in `await` alone."""

from __future__ import annotations

import ssl
from collections.abc import Generator
from types import TracebackType
from typing import Protocol, Self

from ._batch import Batch, BatchRef
from ._clock import Clock
from ._core import Core
from ._exchange import Answer, Failure, Pause, Reply, Send
from ._policy import RetryPolicy
from .vendors import Account


class AsyncTransport(Protocol):
    """Performs one exchange; `batchstatus._http.AsyncHttpTransport` by default."""

    async def send(self, step: Send, timeout: float) -> Answer | Failure:
        """Return the whole answer, or why there is none within so many seconds; raise nothing."""

    async def close(self) -> None:
        """Free what is held."""


class AsyncBatchClient(Core):
    """Reads batches of any of its vendors; any number of tasks of one event loop may share it.

    Args:
        *vendors: The accounts: `Gameball(...)`, `Believe(...)`.
        retry: How one read is retried.
        verify: False checks no certificate; an `ssl.SSLContext`, or the path of a CA bundle, checks against that.
        proxy: A proxy's URL; without it, HTTPS_PROXY, ALL_PROXY and NO_PROXY are obeyed.
        clock: Other clocks and sleeps than the machine's, for tests.
        transport: Another way to perform an exchange, for tests; `verify` and `proxy` then mean nothing.

    Raises:
        ConfigurationError: Without an account, or with two of the same name at a vendor.
    """

    def __init__(
        self,
        *vendors: Account,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 (it is frozen)
        verify: bool | str | ssl.SSLContext = True,
        proxy: str | None = None,
        clock: Clock | None = None,
        transport: AsyncTransport | None = None,
    ) -> None:
        super().__init__(vendors, retry, clock)
        if transport is None:
            # Here, not at the top: httpx is loaded when a client is made, not by `import batchstatus`.
            from ._http import AsyncHttpTransport  # noqa: PLC0415

            transport = AsyncHttpTransport(verify=verify, proxy=proxy)
        self._transport = transport

    async def get(self, ref: str | BatchRef, *, timeout: float = 90.0) -> Batch:
        """Read a batch once, retrying what a retry can help.

        Args:
            ref: `vendor:id`, `vendor/account:id`, or a BatchRef.
            timeout: Seconds for all of it: attempts, pauses and Retry-After together.

        Raises:
            ConfigurationError: The ref or timeout cannot work; nothing was sent.
            TransportError: Nobody answered. RequestTimeout, if not in time.
            APIError: The vendor said no; its subclasses say why.
            InvalidResponse: The vendor answered, but not with this batch.
        """
        return self._noticed(await self._drive(self._read(ref, timeout)))

    async def close(self) -> None:
        """Close all connections; a second time does nothing."""
        self._closed = True
        await self._transport.close()

    async def _drive(self, steps: Generator[Send | Pause, Reply, Batch]) -> Batch:
        try:
            step = next(steps)
            while True:
                step = steps.send(self._reply(await self._perform(step)))
        except StopIteration as end:
            batch: Batch = end.value
            return batch

    async def _perform(self, step: Send | Pause) -> Answer | Failure | None:
        if isinstance(step, Send):
            return await self._transport.send(step, step.deadline - self._clock.monotonic())
        await self._clock.sleep_async(step.seconds)
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
