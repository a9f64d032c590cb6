"""Recordings by vcrpy, which knows the transports of httpx; this package speaks to httpcore's connections.

With pytest-recording nothing is to be done: this package's plugin adds `PATCHES`. With vcrpy alone:

    vcr.VCR(custom_patches=PATCHES).use_cassette("cassettes/batch.yaml")
"""

from __future__ import annotations

from typing import Any

import httpcore
from vcr.cassette import Cassette
from vcr.errors import CannotOverwriteExistingCassetteException
from vcr.request import Request


class Patches(tuple[Any, ...]):
    """What VCR puts in place of what; pytest-recording copies its options deeply, and a module cannot be copied."""

    __slots__ = ()

    def __deepcopy__(self, memo: object) -> Patches:
        return self


class RecordedPool(httpcore.ConnectionPool):
    cassette: Cassette | None = None

    def create_connection(self, origin: httpcore.Origin) -> httpcore.ConnectionInterface:
        return _Connection(super().create_connection(origin), self.cassette)


class AsyncRecordedPool(httpcore.AsyncConnectionPool):
    cassette: Cassette | None = None

    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        return _AsyncConnection(super().create_connection(origin), self.cassette)


class _Once:
    """A connection that serves one exchange: from the cassette, or for it."""

    def __init__(self, connection: Any, cassette: Any) -> None:
        self._connection = connection
        self._cassette = cassette

    def is_idle(self) -> bool:
        return False

    def _asked(self, request: httpcore.Request) -> Request:
        headers = {name.decode(): value.decode() for name, value in request.headers}
        return Request(request.method.decode(), bytes(request.url).decode(), b"", headers)

    def _played(self, asked: Request) -> httpcore.Response | None:
        if not self._cassette.can_play_response_for(asked):
            if self._cassette.write_protected and self._cassette.filter_request(asked):
                raise CannotOverwriteExistingCassetteException(cassette=self._cassette, failed_request=asked)
            return None
        played = self._cassette.play_response(asked)
        headers = [(name, value) for name, values in played["headers"].items() for value in values]
        return httpcore.Response(played["status"]["code"], headers=headers, content=played["body"]["string"])

    def _record(self, asked: Request, response: httpcore.Response) -> httpcore.Response:
        headers: dict[str, list[str]] = {}
        for name, value in response.headers:
            headers.setdefault(name.decode().lower(), []).append(value.decode())
        status = {"code": response.status, "message": response.extensions["reason_phrase"].decode()}
        self._cassette.append(asked, {"status": status, "headers": headers, "body": {"string": response.content}})
        return httpcore.Response(response.status, headers=response.headers, content=response.content)


class _Connection(_Once, httpcore.ConnectionInterface):
    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        asked = self._asked(request)
        if (played := self._played(asked)) is not None:
            return played
        response = self._connection.handle_request(request)
        response.read()
        response.close()
        return self._record(asked, response)

    def close(self) -> None:
        self._connection.close()


class _AsyncConnection(_Once, httpcore.AsyncConnectionInterface):
    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        asked = self._asked(request)
        if (played := self._played(asked)) is not None:
            return played
        response = await self._connection.handle_async_request(request)
        await response.aread()
        await response.aclose()
        return self._record(asked, response)

    async def aclose(self) -> None:
        await self._connection.aclose()


PATCHES = Patches(((httpcore, "ConnectionPool", RecordedPool), (httpcore, "AsyncConnectionPool", AsyncRecordedPool)))
"""For `custom_patches` of `vcr.VCR`; VCR gives each class that has a `cassette` the one that is in use."""
