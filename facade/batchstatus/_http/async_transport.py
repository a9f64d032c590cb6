"""One exchange over HTTP in the calling task."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator

import httpcore
from attrs import frozen

from batchstatus._core.read.messages import Response, SendRequest, TransportFailure

from .body import BadContent, Content
from .deadline import RememberingBackend
from .errors import HTTP_ERRORS, error_outcome, too_late
from .leftovers import is_clean
from .pool import MAX_IDLE_SECONDS, Connection, ConnectionPool, Origin, max_connections
from .request import ERROR_BODY_TIME, STALE, InvalidURL, Message, core_origin, get_message
from .routing import Routes


@frozen(eq=False)
class Line:
    """A connection, and what it has opened."""

    http: httpcore.AsyncConnectionInterface
    backend: RememberingBackend

    async def close(self) -> None:
        """Close all of it."""
        with contextlib.suppress(*HTTP_ERRORS, OSError):
            await self.http.aclose()
            await self.backend.forget()


class AsyncHttpTransport:
    """Performs exchanges in the calling task; any number of tasks of one event loop at a time may share it."""

    def __init__(self, *, verify: bool | str | ssl.SSLContext = True, proxy: str | None = None) -> None:
        self._routes = Routes(verify, proxy)
        self._pool = ConnectionPool(self._make, None)
        self._room = asyncio.Semaphore(max_connections())
        self._closing: set[asyncio.Task[None]] = set()
        self._end: AsyncGenerator[None] | None = None

    def _make(self, origin: Origin) -> Line:
        backend, options = RememberingBackend(), self._routes.to(origin)
        pool = httpcore.AsyncConnectionPool(keepalive_expiry=MAX_IDLE_SECONDS, network_backend=backend, **options)
        return Line(pool.create_connection(core_origin(origin)), backend)

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
            async with asyncio.timeout_at(end if room.locked() else None):  # a timer costs more than a free place
                await room.acquire()
        except TimeoutError:
            return too_late(timeout)
        try:
            origin, request = message.build()
            connection = self._pool.acquire(origin)
            outcome = await self._attempt(connection, request, max_body, end, timeout)
            if outcome is None:
                outcome = await self._attempt(self._pool.connect(connection), request, max_body, end, timeout)
            return outcome or too_late(timeout)
        except InvalidURL as error:
            return error_outcome(None, error, timeout)
        finally:
            room.release()

    async def _attempt(
        self,
        connection: Connection[Line],
        request: httpcore.Request,
        max_body: int,
        end: float,
        timeout: float,
    ) -> Response | TransportFailure | None:
        """Return the outcome, or None if the other side had closed the connection while it idled."""
        content: Content | None = None
        loop = asyncio.get_running_loop()
        http, drop = connection.transport.http, [connection.transport]
        try:
            if connection.used and http.has_expired():
                return None
            async with asyncio.timeout_at(end) as limit:
                response = await http.handle_async_request(request)
                try:
                    content = Content(response.status, response.headers, max_body)
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
            if is_clean(http):
                drop = self._pool.release(connection, loop)
            return answer
        except (*HTTP_ERRORS, BadContent, TimeoutError) as error:
            if content is None and connection.used and isinstance(error, STALE):
                return None
            return error_outcome(content, error, timeout)
        finally:
            for line in drop:
                self._drop(line)

    def _drop(self, line: Line) -> None:
        """Close a connection in a task of its own, which a cancelled caller cannot cancel with it."""
        task = asyncio.get_running_loop().create_task(line.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def discard_idle_connections(self) -> None:
        """Close idle connections: one delivered unsolicited data and may deliver more."""
        for line in self._pool.clear(asyncio.get_running_loop()):
            self._drop(line)

    async def close(self) -> None:
        """Close all connections."""
        for line in self._pool.close(asyncio.get_running_loop()):
            self._drop(line)
        await asyncio.gather(*self._closing)
        if self._end is not None:
            await self._end.aclose()


async def _closed_with_loop(pool: ConnectionPool[Line], closing: set[asyncio.Task[None]]) -> AsyncGenerator[None]:
    """Close the free connections at the end of the loop, which then finalizes the generators that it has started.

    A client that is used in a second `asyncio.run` would leave those of the first one to the garbage collector.
    """
    take_all = pool.owned()
    del pool  # else it would not be collected with a client that is never closed, and could not say so
    try:
        yield
    finally:
        for line in take_all():
            await line.close()
        await asyncio.gather(*closing, return_exceptions=True)
