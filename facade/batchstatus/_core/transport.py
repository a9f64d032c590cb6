"""The transport of a client performs one HTTP exchange; a test may give its own."""

from __future__ import annotations

from typing import Protocol

from batchstatus._core.read.messages import Response, SendRequest, TransportFailure


class Transport(Protocol):
    """Performs one exchange in the calling thread; the package's own sends it over HTTP."""

    def send(self, step: SendRequest, timeout: float) -> Response | TransportFailure:
        """Return the whole response, or why there is none within `timeout` seconds; raise nothing."""

    def discard_idle_connections(self) -> None:
        """Discard idle connections: a response did not match its request, so one of them may hold stray bytes."""

    def close(self) -> None:
        """Free all resources."""


class AsyncTransport(Protocol):
    """Performs one exchange in the calling task; the package's own sends it over HTTP."""

    async def send(self, step: SendRequest, timeout: float) -> Response | TransportFailure:
        """Return the whole response, or why there is none within `timeout` seconds; raise nothing."""

    def discard_idle_connections(self) -> None:
        """Discard idle connections: a response did not match its request, so one of them may hold stray bytes."""

    async def close(self) -> None:
        """Free all resources."""
