"""POST a body to a receiver: the same pool, deadline, caps and proxies as for a vendor, and never an account's keys."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from batchstatus._core.read.messages import Response, TransportFailure

from .request import HEADERS, Message
from .sync_transport import HttpTransport

MAX_BODY = 64 * 1024
"""Bytes of the receiver's response that are read: only its status counts."""


class Poster:
    """Posts in the calling thread; any number of threads may share it. No redirect is followed."""

    def __init__(self, *, verify: bool | str | ssl.SSLContext = True, proxy: str | None = None) -> None:
        self._transport = HttpTransport(verify=verify, proxy=proxy)

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Response | TransportFailure:
        """Return the whole response, or why there is none within `timeout` seconds; no text of it shows the URL."""
        message = Message(method="POST", url=url, headers=HEADERS | dict(headers), body=body)
        return self._transport.exchange(message, MAX_BODY, timeout)

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()
