"""The client for threads."""

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


class Transport(Protocol):
    """Performs one exchange; `batchstatus._http.HttpTransport` by default."""

    def send(self, step: Send, timeout: float) -> Answer | Failure:
        """Return the whole answer, or why there is none within so many seconds; raise nothing."""

    def close(self) -> None:
        """Free what is held."""


class BatchClient(Core):
    """Reads batches of any of its vendors; any number of threads may share it.

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
        transport: Transport | None = None,
    ) -> None:
        super().__init__(vendors, retry, clock)
        if transport is None:
            # Here, not at the top: httpx is loaded when a client is made, not by `import batchstatus`.
            from ._http import HttpTransport  # noqa: PLC0415

            transport = HttpTransport(verify=verify, proxy=proxy)
        self._transport = transport

    def get(self, ref: str | BatchRef, *, timeout: float = 90.0) -> Batch:
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
        return self._noticed(self._drive(self._read(ref, timeout)))

    def close(self) -> None:
        """Close all connections; a second time does nothing."""
        self._closed = True
        self._transport.close()

    def _drive(self, steps: Generator[Send | Pause, Reply, Batch]) -> Batch:
        try:
            step = next(steps)
            while True:
                step = steps.send(self._reply(self._perform(step)))
        except StopIteration as end:
            batch: Batch = end.value
            return batch

    def _perform(self, step: Send | Pause) -> Answer | Failure | None:
        if isinstance(step, Send):
            return self._transport.send(step, step.deadline - self._clock.monotonic())
        self._clock.sleep(step.seconds)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
