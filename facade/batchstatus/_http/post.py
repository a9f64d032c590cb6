"""POST a body to a receiver: the same pool, deadline, caps and proxies as for a vendor, and never an account's keys."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from batchstatus._core.account import CONNECTION_HEADERS, HEADER_NAME
from batchstatus._core.read.messages import Response, TransportFailure
from batchstatus._core.read.response import retry_after
from batchstatus._core.urls import is_loopback

from .async_transport import AsyncHttpTransport
from .request import HEADERS, Message

__all__ = ["CONNECTION_HEADERS", "HEADER_NAME", "Poster", "is_loopback", "retry_after"]  # what a sender has to know

MAX_BODY = 64 * 1024
"""Bytes of the receiver's response that are read: only its status counts."""


class Poster:
    """Posts in the calling task; any number of tasks of one event loop at a time may share it. It follows no redirect.

    Its connections are closed at the end of the loop.
    """

    def __init__(self, *, verify: bool | str | ssl.SSLContext = True, proxy: str | None = None) -> None:
        self._transport = AsyncHttpTransport(verify=verify, proxy=proxy)

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], timeout: float
    ) -> Response | TransportFailure:
        """Return the whole response, or why there is none within `timeout` seconds; no text of it shows the URL."""
        message = Message(method="POST", url=url, headers=HEADERS | dict(headers), body=body)
        return await self._transport.exchange(message, MAX_BODY, timeout)
