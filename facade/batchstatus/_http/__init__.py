"""The only user of httpx: one exchange over real HTTP, sync and async.

It speaks to httpx's transports, not to its Client: they follow no redirect, keep no cookie and read no netrc, so a
key reaches the vendor's origin alone. Every outcome is returned, none raised: httpx's exceptions hold requests,
and requests hold keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import ssl
import threading
from typing import Any

import httpx

from batchstatus._core.account import Request
from batchstatus._core.read.messages import Response, SendRequest, TransportFailure
from batchstatus._version import __version__

from ._connections import IDLE, MOST, Connection, Connections, Origin
from ._content import BadContent, Content
from ._deadline import Deadline, DeadlineBackend, RememberingBackend
from ._failures import outcome_of, too_late
from ._routes import Routes

HEADERS = {"accept": "application/json", "accept-encoding": "gzip", "user-agent": f"batchstatus/{__version__}"}
ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE)
ERROR_BODY_TIME = 2.0
"""Seconds for the body of any status but 200, which says little more than the status."""

url_of = functools.lru_cache(256)(httpx.URL)
"""To read a URL costs as much as to read a batch's body; a wait asks for the same one again and again."""
STALE = (httpx.NetworkError, httpx.RemoteProtocolError)
"""How an exchange fails on a connection that the other side has closed while it idled."""


class HttpTransport:
    """Performs exchanges in the calling thread; any number of threads may share it."""

    def __init__(self, *, verify: bool | str | ssl.SSLContext = True, proxy: str | None = None) -> None:
        self._routes = Routes(verify, proxy)
        self._deadline = Deadline()
        self._connections = Connections(self._make, os.getpid())
        self._room = threading.Semaphore(MOST)

    def _make(self, origin: Origin) -> httpx.HTTPTransport:
        transport = httpx.HTTPTransport(limits=ONE, **self._routes.to(origin))
        # httpx has no parameter for it, and its own timeouts bound each socket operation, never the sum of them.
        transport._pool._network_backend = DeadlineBackend(self._deadline)  # noqa: SLF001
        return transport

    def send(self, step: SendRequest, timeout: float) -> Response | TransportFailure:
        """Return the whole answer, or why there is none within so many seconds."""
        self._deadline.set(timeout)
        if self._connections.enter(os.getpid()):
            self._room = threading.Semaphore(MOST)
        room = self._room
        if not room.acquire(timeout=timeout):
            return too_late(timeout)
        try:
            url = url_of(step.request.url)
            connection = self._connections.take((url.scheme, url.host, url.port))
            outcome = self._exchange(connection, url, step, timeout)
            if outcome is None:
                outcome = self._exchange(self._connections.fresh(connection), url, step, timeout)
            return outcome or too_late(timeout)
        except httpx.InvalidURL as error:
            return outcome_of(None, error, timeout)
        finally:
            room.release()

    def _exchange(
        self, connection: Connection[httpx.HTTPTransport], url: httpx.URL, step: SendRequest, timeout: float
    ) -> Response | TransportFailure | None:
        """Return what came of it, or None where the connection was closed while it idled."""
        content: Content | None = None
        drop = [connection.transport]
        try:
            response = connection.transport.handle_request(_message(url, step.request, timeout))
            try:
                content = Content(response.status_code, response.headers.multi_items(), step.max_body)
                if content.is_refusal:
                    self._deadline.shorten(ERROR_BODY_TIME)
                for chunk in response.stream:  # type: ignore[union-attr]
                    if content.feed(chunk):
                        break
                answer = content.answer()
            finally:
                response.close()
            if _is_clean(connection.transport):
                drop = self._connections.give_back(connection, os.getpid())
            return answer
        except (httpx.HTTPError, BadContent) as error:
            if content is None and connection.used and isinstance(error, STALE):
                return None
            return outcome_of(content, error, timeout)
        finally:
            for transport in drop:
                transport.close()

    def discard_idle_connections(self) -> None:
        """Close the connections that are free: one of them has brought what nobody asked for, and may bring more."""
        for transport in self._connections.clear(os.getpid()):
            transport.close()

    def close(self) -> None:
        """Close all connections."""
        for transport in self._connections.close(os.getpid()):
            transport.close()


class AsyncHttpTransport:
    """Performs exchanges in the calling task; any number of tasks of one event loop at a time may share it."""

    def __init__(self, *, verify: bool | str | ssl.SSLContext = True, proxy: str | None = None) -> None:
        self._routes = Routes(verify, proxy)
        self._connections = Connections(self._make, None)
        self._room = asyncio.Semaphore(MOST)
        self._closing: set[asyncio.Task[None]] = set()

    def _make(self, origin: Origin) -> httpx.AsyncHTTPTransport:
        transport = httpx.AsyncHTTPTransport(limits=ONE, **self._routes.to(origin))
        transport._pool._network_backend = RememberingBackend()  # noqa: SLF001
        return transport

    async def send(self, step: SendRequest, timeout: float) -> Response | TransportFailure:
        """Return the whole answer, or why there is none within so many seconds."""
        loop = asyncio.get_running_loop()
        if self._connections.enter(loop):
            self._room, self._closing = asyncio.Semaphore(MOST), set()
        end, room = loop.time() + timeout, self._room
        try:
            async with asyncio.timeout_at(end):
                await room.acquire()
        except TimeoutError:
            return too_late(timeout)
        try:
            url = url_of(step.request.url)
            connection = self._connections.take((url.scheme, url.host, url.port))
            outcome = await self._exchange(connection, url, step, end, timeout)
            if outcome is None:
                outcome = await self._exchange(self._connections.fresh(connection), url, step, end, timeout)
            return outcome or too_late(timeout)
        except httpx.InvalidURL as error:
            return outcome_of(None, error, timeout)
        finally:
            room.release()

    async def _exchange(
        self,
        connection: Connection[httpx.AsyncHTTPTransport],
        url: httpx.URL,
        step: SendRequest,
        end: float,
        timeout: float,
    ) -> Response | TransportFailure | None:
        """Return what came of it, or None where the connection was closed while it idled."""
        content: Content | None = None
        loop = asyncio.get_running_loop()
        drop = [connection.transport]
        try:
            async with asyncio.timeout_at(end) as limit:
                response = await connection.transport.handle_async_request(_message(url, step.request, timeout))
                try:
                    content = Content(response.status_code, response.headers.multi_items(), step.max_body)
                    if content.is_refusal:
                        limit.reschedule(min(end, loop.time() + ERROR_BODY_TIME))
                    async for chunk in response.stream:  # type: ignore[union-attr]
                        if content.feed(chunk):
                            break
                        if loop.time() >= end:  # a flood leaves the loop no time to say so
                            raise TimeoutError
                    answer = content.answer()
                finally:
                    await response.aclose()
            if _is_clean(connection.transport):
                drop = self._connections.give_back(connection, loop)
            return answer
        except (httpx.HTTPError, BadContent, TimeoutError) as error:
            if content is None and connection.used and isinstance(error, STALE):
                return None
            return outcome_of(content, error, timeout)
        finally:
            for transport in drop:
                self._drop(transport)

    def _drop(self, transport: httpx.AsyncHTTPTransport) -> None:
        """Close a connection in a task of its own, which a cancelled caller cannot cancel with it."""
        task = asyncio.get_running_loop().create_task(_close(transport))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def discard_idle_connections(self) -> None:
        """Close the connections that are free: one of them has brought what nobody asked for, and may bring more."""
        for transport in self._connections.clear(asyncio.get_running_loop()):
            self._drop(transport)

    async def close(self) -> None:
        """Close all connections."""
        for transport in self._connections.close(asyncio.get_running_loop()):
            self._drop(transport)
        await asyncio.gather(*self._closing)


async def _close(transport: httpx.AsyncHTTPTransport) -> None:
    with contextlib.suppress(httpx.HTTPError, OSError):
        await transport.aclose()
        await transport._pool._network_backend.forget()  # type: ignore[attr-defined]  # noqa: SLF001


def _is_clean(transport: httpx.HTTPTransport | httpx.AsyncHTTPTransport) -> bool:
    """Return whether a connection is fit for another exchange: open, and with nothing left to read.

    What came after the end of an answer would be taken for the next one, and where a vendor echoes no id, nobody could
    tell (quirk G25).
    """
    connections: list[Any] = transport._pool.connections  # noqa: SLF001
    if len(connections) != 1 or not connections[0].is_idle() or connections[0].is_closed():
        return False
    inner = connections[0]
    while inner is not None and not hasattr(inner, "_h11_state"):
        inner = getattr(inner, "_connection", None)  # a proxy's connection holds another one
    return inner is not None and inner._h11_state.trailing_data == (b"", False)  # noqa: SLF001


def _message(url: httpx.URL, request: Request, timeout: float) -> httpx.Request:
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
    return httpx.Request("GET", url, headers=HEADERS | dict(request.keys), extensions={"timeout": timeouts})
