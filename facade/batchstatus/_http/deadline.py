"""A deadline for a whole blocking exchange.

HTTP libraries bound each socket operation; a server that sends one byte at a time then holds a thread for as long as
it likes. This network backend cuts the timeout of every operation to what is left of the exchange's time.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import Any

import httpcore

AT_ONCE = 8 * 1024
"""Bytes read at once: many more, in chunks of one byte each, take longer to parse than a deadline may be overrun."""


class Deadline(threading.local):
    """When the exchange of the current thread must be over, on the monotonic clock."""

    at = 0.0

    def set(self, seconds: float) -> None:
        """Begin an exchange that must be over in so many seconds."""
        self.at = time.monotonic() + seconds

    def shorten(self, seconds: float) -> None:
        """Leave no more than so many seconds."""
        self.at = min(self.at, time.monotonic() + seconds)

    def left(self, error: type[httpcore.TimeoutException]) -> float:
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise error("the attempt's time is up")
        return seconds


class DeadlineBackend(httpcore.NetworkBackend):
    """Connects, reads and writes within the deadline of the current thread's exchange."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **options: Any
    ) -> httpcore.NetworkStream:
        # Address by address, since the standard library gives each of a host's addresses the whole timeout.
        addresses = _addresses(host, port)
        for tried, address in enumerate(addresses):
            share = self._deadline.left(httpcore.ConnectTimeout) / (len(addresses) - tried)
            try:
                stream = self._backend.connect_tcp(address, port, share, *args, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if tried == len(addresses) - 1:
                    raise
            else:
                return _DeadlineStream(stream, self._deadline)
        raise httpcore.ConnectError(f"{host} has no address")


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return [str(address[0]) for *_, address in found]


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(min(max_bytes, AT_ONCE), self._deadline.left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            self._stream.write(buffer, self._deadline.left(httpcore.WriteTimeout))
        except BaseException:
            del buffer  # tracebacks with local variables must not show it
            raise

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(httpcore.ConnectTimeout)
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


class RememberingBackend(httpcore.AnyIOBackend):
    """Connects in a task, and remembers the connection: a TLS handshake that is cancelled would leave it open."""

    _stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        self._stream = await super().connect_tcp(*args, **options)
        return _CappedStream(self._stream)

    async def forget(self) -> None:
        """Close the connection, if it is open."""
        if self._stream is not None:
            await self._stream.aclose()


class _CappedStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(min(max_bytes, AT_ONCE), timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await self._stream.write(buffer, timeout)
        except BaseException:
            del buffer  # tracebacks with local variables must not show it
            raise

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _CappedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
