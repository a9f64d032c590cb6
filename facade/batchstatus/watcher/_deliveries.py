"""Where changes go: a stream, or a URL."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TextIO, TypeAlias
from urllib.parse import quote, urlsplit

from batchstatus import ConfigurationError, __version__
from batchstatus.store import Change

Delivery: TypeAlias = Callable[[Change], object]
"""Hands a change over before it returns, or raises; called in a thread, several at a time."""

TRY_AGAIN = frozenset({408, 425, 429})
"""The statuses below 500 that say that the same request may fare better later."""


class NotTaken(Exception):
    """The receiver has answered something else than 2xx."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.is_refusal = 300 <= status < 500 and status not in TRY_AGAIN
        """Whether the same request is likely to meet the same answer, until somebody mends the receiver."""


def to_stream(file: TextIO) -> Delivery:
    """Return a delivery that writes each change to a file as one line of JSON, and flushes it."""
    lock = threading.Lock()

    def deliver(change: Change) -> None:
        line = json.dumps(change.to_dict()) + "\n"
        with lock:
            file.write(line)
            file.flush()

    return deliver


def to_url(url: str, timeout: float = 10) -> Delivery:
    """Return a delivery that POSTs each change as JSON, with its id in the header Idempotency-Key.

    Any 2xx means that it has arrived. Redirects are not followed, certificates are checked, proxies of the
    environment are used. Of an id, what is no printable ASCII is percent-encoded in the header.

    Args:
        url: http or https; it may hold a secret, so no message shows more of it than its host.
        timeout: Seconds for each step of an exchange: connecting, sending, waiting for the answer.

    Raises:
        ConfigurationError: The URL cannot work.
    """
    _check(url)
    context = ssl.create_default_context()
    opener = urllib.request.build_opener(_NoRedirects, urllib.request.HTTPSHandler(context=context))

    def deliver(change: Change) -> None:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": quote(change.id, safe=PRINTABLE),
            "User-Agent": f"batchstatus/{__version__}",
        }
        body = json.dumps(change.to_dict()).encode()
        request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 (its scheme is checked)
        try:
            with opener.open(request, timeout=timeout) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            with error:
                status = error.code
        if not 200 <= status < 300:
            raise NotTaken(status)

    return deliver


PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _check(url: str) -> None:
    advice = "a URL to deliver to is written https://host/path"
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError(f"{advice}, without blanks and in ASCII")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"{advice}; this one has no host and port that work") from None
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise ConfigurationError(f"{advice}; this one has no http or https, or no host")
    if "@" in parts.netloc:
        raise ConfigurationError(f"{advice}; a user and password in front of the host are not supported")
