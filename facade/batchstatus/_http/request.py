"""The message that is sent, and the limits of one exchange."""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from urllib.parse import quote, urlsplit

import httpcore
from attrs import field, frozen

from batchstatus._core.account import Request
from batchstatus._version import __version__

from .pool import Origin

HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip",
    "cache-control": "no-cache",  # a cache in between is to ask the vendor
    "user-agent": f"batchstatus/{__version__}",
}
ERROR_BODY_TIME = 2.0
"""Seconds for the body of any status but 200, which says little more than the status."""
STALE = (httpcore.NetworkError, httpcore.RemoteProtocolError)
"""How an exchange fails on a connection that the other side has closed while it idled."""
PORTS = {"http": 80, "https": 443}
SPLIT_URL = re.compile(r"([^/?#]*//[^/?#]*)/?([^#]*)")
PLAIN = re.compile(r"[\w!$%&'()*+,./:;=?@~-]*", re.ASCII)
SAFE_IN_TARGET = "!$%&'()*+,-./:;=?@[\\]^_|~"


class InvalidURL(ValueError):
    """The URL names no origin that a request can be sent to."""


class Body:
    """A request's body; an empty one is no chunk at all, which an HTTP library would frame and check, too."""

    def __init__(self, content: bytes | None) -> None:
        self._chunks = (content,) if content else ()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


EMPTY = Body(None)


@frozen(kw_only=True)
class Message:
    """The request of one exchange."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)

    def build(self) -> tuple[Origin, httpcore.Request]:
        """Return where it is sent, and how; raise InvalidURL."""
        split = SPLIT_URL.match(self.url)
        if split is None:
            raise InvalidURL("no scheme or no host")
        origin, host = parse_origin(split[1])
        scheme, name, port = origin
        url = httpcore.URL(
            scheme=scheme,
            host=name,
            port=None if port == PORTS[scheme] else port,  # a proxy is told the URL as everybody writes it
            target="/" + (split[2] if PLAIN.fullmatch(split[2]) else quote(split[2], safe=SAFE_IN_TARGET)),
        )
        headers = [(b"Host", host)]
        headers += [(key.encode(), value.encode()) for key, value in self.headers.items()]
        if self.body is not None:
            headers.append((b"Content-Length", b"%d" % len(self.body)))
        body = Body(self.body) if self.body else EMPTY
        return origin, httpcore.Request(self.method, url, headers=headers, content=body)


@functools.lru_cache(256)
def parse_origin(text: str) -> tuple[Origin, bytes]:
    """Return the origin that the start of a URL names, and its Host header; raise InvalidURL.

    Parsing a URL costs as much as parsing a batch's body, and the origins are few.
    """
    try:
        parts = urlsplit(text)
        name = (parts.hostname or "").encode("idna").decode()
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        name = ""
    if not name:
        raise InvalidURL("no scheme, host or port that works")
    host = f"[{name}]" if ":" in name else name
    shown = host if port == PORTS[parts.scheme] else f"{host}:{port}"
    return (parts.scheme, name, port), shown.encode()


def core_origin(origin: Origin) -> httpcore.Origin:
    """Return an origin as httpcore has it."""
    scheme, name, port = origin
    return httpcore.Origin(scheme.encode(), name.encode(), port)


def get_message(request: Request) -> Message:
    """Return the message of an account's request, with its keys."""
    return Message(method=request.method, url=request.url, headers={**HEADERS, **request.headers, **request.keys})
