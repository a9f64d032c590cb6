"""The message that is sent, and the limits of one exchange."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import httpx
from attrs import field, frozen

from batchstatus._core.account import Request
from batchstatus._version import __version__

from .pool import MAX_IDLE_SECONDS

HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip",
    "cache-control": "no-cache",  # a cache in between is to ask the vendor
    "user-agent": f"batchstatus/{__version__}",
}
ONE_CONNECTION = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=MAX_IDLE_SECONDS)
ERROR_BODY_TIME = 2.0
"""Seconds for the body of any status but 200, which says little more than the status."""

parse_url = functools.lru_cache(256)(httpx.URL)
"""Parsing a URL costs as much as parsing a batch's body, and a wait asks for the same one again and again."""
STALE = (httpx.NetworkError, httpx.RemoteProtocolError)
"""How an exchange fails on a connection that the other side has closed while it idled."""


@frozen(kw_only=True)
class Message:
    """The request of one exchange."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)

    def build(self, timeout: float) -> httpx.Request:
        """Return it as httpx sends it."""
        url = parse_url(self.url)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
        return httpx.Request(
            self.method, url, headers=self.headers, content=self.body, extensions={"timeout": timeouts}
        )


def get_message(request: Request) -> Message:
    """Return the message of an account's request, with its keys."""
    return Message(method=request.method, url=request.url, headers={**HEADERS, **request.headers, **request.keys})
