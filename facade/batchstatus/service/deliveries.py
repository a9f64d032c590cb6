"""Destinations of changes: a stream, or a URL."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import TextIO, TypeAlias
from urllib.parse import urlsplit

from batchstatus import ConfigurationError, TransportFailure
from batchstatus._http.post import Poster

from .store import Change

Delivery: TypeAlias = Callable[[Change], object]
"""Delivers a change before it returns, or raises; called in a thread, several at a time."""

RETRYABLE = frozenset({408, 425, 429})
"""The statuses below 500 with which the same request may succeed later."""


class DeliveryFailed(Exception):
    """The receiver answered with another status than 2xx, or not at all."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.is_refusal = status is not None and 300 <= status < 500 and status not in RETRYABLE
        """Whether retrying is pointless until the receiver is fixed."""


def to_stream(file: TextIO) -> Delivery:
    """Return a delivery that writes each change to a file as one line of JSON, and flushes it."""
    lock = threading.Lock()

    def deliver(change: Change) -> None:
        line = json.dumps(change.to_dict()) + "\n"
        with lock:
            file.write(line)
            file.flush()

    return deliver


def to_url(url: str, timeout: float = 30.0) -> Delivery:
    """Return a delivery that POSTs each change as JSON, with its id in the header Idempotency-Key.

    Any 2xx means that it has arrived. Redirects are not followed, certificates are checked, proxies of the
    environment are used.

    Args:
        url: http or https; it may hold a secret, so no message shows it.
        timeout: Seconds for one attempt, from its connection to the end of the response.

    Raises:
        ConfigurationError: The URL cannot work.
    """
    _check_url(url)
    return _ToURL(url, timeout)


class _ToURL:
    """The delivery that `to_url` returns; its connections are closed with it."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._poster = Poster()

    def __call__(self, change: Change) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": change.id}
        body = json.dumps(change.to_dict()).encode()
        outcome = self._poster.post(self._url, body, headers, self._timeout)
        if isinstance(outcome, TransportFailure):
            raise DeliveryFailed(outcome.reason)
        if not 200 <= outcome.status < 300:
            raise DeliveryFailed(f"HTTP {outcome.status}", status=outcome.status)

    def __repr__(self) -> str:
        return "to_url(hidden)"

    def __del__(self) -> None:
        self._poster.close()


def _check_url(url: str) -> None:
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
