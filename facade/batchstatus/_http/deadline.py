"""A deadline for a whole blocking exchange.

HTTP libraries bound each socket operation; a server that sends one byte at a time then holds a thread for as long as
it likes. This network backend cuts the timeout of every operation to what is left of the exchange's time.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from typing import Any

import httpcore

from .connect import ThreadRace, copied, look_up, race_in_tasks

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
        addresses = self._addresses(host, port)

        def connect(address: str, seconds: float) -> httpcore.NetworkStream:
            return self._backend.connect_tcp(address, port, seconds, *args, **options)

        if len(addresses) == 1:
            stream = connect(addresses[0], self._left())
        else:
            stream = ThreadRace(connect, lambda late: late.close()).run(addresses, self._left)
        return _DeadlineStream(stream, self._deadline)

    def _left(self) -> float:
        return self._deadline.left(httpcore.ConnectTimeout)

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            return look_up(host, port).result(self._left())
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} was not found in time") from error
        except OSError as error:
            raise httpcore.ConnectError(f"{host}: {error}") from copied(error)


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
    """Connects in a task, and remembers the connections: a TLS handshake that is cancelled would leave one open."""

    def __init__(self) -> None:
        self._opened: list[httpcore.AsyncNetworkStream] = []

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await asyncio.wrap_future(look_up(host, port))
        except OSError as error:
            raise httpcore.ConnectError(f"{host}: {error}") from copied(error)
        open_stream = super().connect_tcp

        async def connect(address: str) -> httpcore.AsyncNetworkStream:
            stream = await open_stream(address, port, *args, **options)
            self._opened.append(stream)
            return stream

        if len(addresses) == 1:
            return _CappedStream(await connect(addresses[0]))
        stream = await race_in_tasks(addresses, connect)
        await self.forget(but=stream)
        return _CappedStream(stream)

    async def forget(self, *, but: httpcore.AsyncNetworkStream | None = None) -> None:
        """Close the connections that are open."""
        for stream in [one for one in self._opened if one is not but]:
            self._opened.remove(stream)
            await stream.aclose()


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
