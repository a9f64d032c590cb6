"""One exchange over HTTP in the calling thread."""

from __future__ import annotations

import ssl
import threading

import httpcore

from batchstatus._core.read.messages import Response, SendRequest, TransportFailure
from batchstatus._fork import generation

from .body import BadContent, Content
from .deadline import Deadline, DeadlineBackend
from .errors import HTTP_ERRORS, error_outcome, too_late
from .leftovers import is_clean
from .pool import MAX_IDLE_SECONDS, Connection, ConnectionPool, Origin, max_connections
from .request import ERROR_BODY_TIME, STALE, InvalidURL, core_origin, get_message
from .routing import Routes


class HttpTransport:
    """Performs exchanges in the calling thread; any number of threads may share it."""

    def __init__(self, *, verify: bool | str | ssl.SSLContext = True, proxy: str | None = None) -> None:
        self._routes = Routes(verify, proxy)
        self._deadline = Deadline()
        self._pool = ConnectionPool(self._make, generation())
        self._room = threading.Semaphore(max_connections())

    def _make(self, origin: Origin) -> httpcore.ConnectionInterface:
        # Of httpcore's pool only how it connects: its own timeouts bound each socket operation, never the sum of them.
        backend = DeadlineBackend(self._deadline)
        options = self._routes.to(origin)
        pool = httpcore.ConnectionPool(keepalive_expiry=MAX_IDLE_SECONDS, network_backend=backend, **options)
        return pool.create_connection(core_origin(origin))

    def send(self, step: SendRequest, timeout: float) -> Response | TransportFailure:
        """Return the whole response, or why there is none within `timeout` seconds."""
        self._deadline.set(timeout)
        if self._pool.rebind(generation()):
            self._room = threading.Semaphore(max_connections())
        room = self._room
        if not room.acquire(timeout=timeout):
            return too_late(timeout)
        try:
            origin, request = get_message(step.request).build()
            connection = self._pool.acquire(origin)
            outcome = self._attempt(connection, request, step.max_body, timeout)
            if outcome is None:
                outcome = self._attempt(self._pool.connect(connection), request, step.max_body, timeout)
            return outcome or too_late(timeout)
        except InvalidURL as error:
            return error_outcome(None, error, timeout)
        finally:
            room.release()

    def _attempt(
        self,
        connection: Connection[httpcore.ConnectionInterface],
        request: httpcore.Request,
        max_body: int,
        timeout: float,
    ) -> Response | TransportFailure | None:
        """Return the outcome, or None if the other side had closed the connection while it idled."""
        content: Content | None = None
        drop = [connection.transport]
        try:
            if connection.used and connection.transport.has_expired():
                return None
            response = connection.transport.handle_request(request)
            try:
                content = Content(response.status, response.headers, max_body)
                if content.is_refusal:
                    self._deadline.shorten(ERROR_BODY_TIME)
                for chunk in response.stream:  # type: ignore[union-attr]
                    if content.feed(chunk):
                        break
                answer = content.response()
            finally:
                response.close()
            if is_clean(connection.transport):
                drop = self._pool.release(connection, generation())
            return answer
        except (*HTTP_ERRORS, BadContent) as error:
            if content is None and connection.used and isinstance(error, STALE):
                return None
            return error_outcome(content, error, timeout)
        finally:
            for transport in drop:
                transport.close()

    def discard_idle_connections(self) -> None:
        """Close idle connections: one delivered unsolicited data and may deliver more."""
        for transport in self._pool.clear(generation()):
            transport.close()

    def close(self) -> None:
        """Close all connections."""
        for transport in self._pool.close(generation()):
            transport.close()
