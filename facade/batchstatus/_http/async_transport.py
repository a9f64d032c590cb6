"""One exchange over HTTP in the calling task."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator

import httpx

from batchstatus._core.read.messages import Response, SendRequest, TransportFailure

from .body import BadContent, Content
from .deadline import RememberingBackend
from .errors import error_outcome, too_late
from .leftovers import is_clean
from .pool import Connection, ConnectionPool, Origin, max_connections
from .request import ERROR_BODY_TIME, ONE_CONNECTION, STALE, Message, get_message, parse_url
from .routing import Routes


class AsyncHttpTransport:
    """Performs exchanges in the calling task; any number of tasks of one event loop at a time may share it."""

    def __init__(self, *, verify: bool | str | ssl.SSLContext = True, proxy: str | None = None) -> None:
        self._routes = Routes(verify, proxy)
        self._pool = ConnectionPool(self._make, None)
        self._room = asyncio.Semaphore(max_connections())
        self._closing: set[asyncio.Task[None]] = set()
        self._end: AsyncGenerator[None] | None = None

    def _make(self, origin: Origin) -> httpx.AsyncHTTPTransport:
        transport = httpx.AsyncHTTPTransport(limits=ONE_CONNECTION, **self._routes.to(origin))
        transport._pool._network_backend = RememberingBackend()  # noqa: SLF001
        return transport

    async def send(self, step: SendRequest, timeout: float) -> Response | TransportFailure:
        """Return the whole response, or why there is none within `timeout` seconds."""
        return await self.exchange(get_message(step.request), step.max_body, timeout)

    async def exchange(self, message: Message, max_body: int, timeout: float) -> Response | TransportFailure:
        """Send a message; return the whole response, or why there is none within `timeout` seconds."""
        loop = asyncio.get_running_loop()
        if self._pool.rebind(loop):
            self._room, self._closing = asyncio.Semaphore(max_connections()), set()
            self._end = _closed_with_loop(self._pool, self._closing)
            await anext(self._end)
        end, room = loop.time() + timeout, self._room
        try:
            async with asyncio.timeout_at(end):
                await room.acquire()
        except TimeoutError:
            return too_late(timeout)
        try:
            url = parse_url(message.url)
            connection = self._pool.acquire((url.scheme, url.host, url.port))
            outcome = await self._attempt(connection, message, max_body, end, timeout)
            if outcome is None:
                fresh = self._pool.connect(connection)
                outcome = await self._attempt(fresh, message, max_body, end, timeout)
            return outcome or too_late(timeout)
        except httpx.InvalidURL as error:
            return error_outcome(None, error, timeout)
        finally:
            room.release()

    async def _attempt(
        self,
        connection: Connection[httpx.AsyncHTTPTransport],
        message: Message,
        max_body: int,
        end: float,
        timeout: float,
    ) -> Response | TransportFailure | None:
        """Return the outcome, or None if the other side had closed the connection while it idled."""
        content: Content | None = None
        loop = asyncio.get_running_loop()
        drop = [connection.transport]
        try:
            async with asyncio.timeout_at(end) as limit:
                response = await connection.transport.handle_async_request(message.build(timeout))
                try:
                    content = Content(response.status_code, response.headers.multi_items(), max_body)
                    if content.is_refusal:
                        limit.reschedule(min(end, loop.time() + ERROR_BODY_TIME))
                    async for chunk in response.stream:  # type: ignore[union-attr]
                        if content.feed(chunk):
                            break
                        if loop.time() >= end:  # a flood leaves the loop no time for it
                            raise TimeoutError
                    answer = content.response()
                finally:
                    await response.aclose()
            if is_clean(connection.transport):
                drop = self._pool.release(connection, loop)
            return answer
        except (httpx.HTTPError, BadContent, TimeoutError) as error:
            if content is None and connection.used and isinstance(error, STALE):
                return None
            return error_outcome(content, error, timeout)
        finally:
            for transport in drop:
                self._drop(transport)

    def _drop(self, transport: httpx.AsyncHTTPTransport) -> None:
        """Close a connection in a task of its own, which a cancelled caller cannot cancel with it."""
        task = asyncio.get_running_loop().create_task(_close(transport))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def discard_idle_connections(self) -> None:
        """Close idle connections: one delivered unsolicited data and may deliver more."""
        for transport in self._pool.clear(asyncio.get_running_loop()):
            self._drop(transport)

    async def close(self) -> None:
        """Close all connections."""
        for transport in self._pool.close(asyncio.get_running_loop()):
            self._drop(transport)
        await asyncio.gather(*self._closing)
        if self._end is not None:
            await self._end.aclose()


async def _closed_with_loop(
    pool: ConnectionPool[httpx.AsyncHTTPTransport], closing: set[asyncio.Task[None]]
) -> AsyncGenerator[None]:
    """Close the free connections at the end of the loop, which then finalizes the generators that it has started.

    A client that is used in a second `asyncio.run` would leave those of the first one to the garbage collector.
    """
    take_all = pool.owned()
    del pool  # else it would not be collected with a client that is never closed, and could not say so
    try:
        yield
    finally:
        for transport in take_all():
            await _close(transport)
        await asyncio.gather(*closing, return_exceptions=True)


async def _close(transport: httpx.AsyncHTTPTransport) -> None:
    with contextlib.suppress(httpx.HTTPError, OSError):
        await transport.aclose()
        await transport._pool._network_backend.forget()  # type: ignore[attr-defined]  # noqa: SLF001
