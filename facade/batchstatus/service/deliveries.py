"""Destinations of changes: a stream, or a URL."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TextIO, TypeAlias
from urllib.parse import urlsplit

from batchstatus import ConfigurationError, TransportFailure
from batchstatus._http.post import Poster

from .store import Change

Delivery: TypeAlias = Callable[[Change], object]
"""Delivers a change before it returns, or raises; called in a thread, several at a time.

A coroutine function, or an object with one as its `__call__`, is called in the event loop of the watcher instead.
"""

RETRYABLE = frozenset({408, 425, 429})
"""The statuses below 500 with which the same request may succeed later."""


class DeliveryFailed(Exception):
    """The receiver answered with another status than 2xx, or not at all."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.is_refusal = status is not None and 300 <= status < 500 and status not in RETRYABLE
        """Whether retrying is pointless until the receiver is fixed."""


def to_stream(file: TextIO) -> Delivery:
    """Return a delivery that writes each change to a file as one line of JSON.

    A line that a full disk has cut short is taken back or, where that is impossible, ended before the next one; so is
    a cut one that the file ends with at first. A change counts as delivered when all of its line is written.
    """
    return _ToStream(file)


class _ToStream:
    """The delivery that `to_stream` returns."""

    in_flight = 1
    """Lines come in the order in which their changes were stored."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        try:
            self._descriptor: int | None = file.fileno()
        except (OSError, AttributeError):  # text in memory
            self._descriptor = None
        self._is_torn = self._descriptor is not None and _ends_torn(self._descriptor)

    def __call__(self, change: Change) -> None:
        line = json.dumps(change.to_dict()) + "\n"
        with self._lock:
            self._file.flush()
            if self._descriptor is None:
                self._file.write(line)
            else:
                self._write(self._descriptor, line.encode())

    def _write(self, descriptor: int, line: bytes) -> None:
        """Write all of a line, without a buffer, which would write the rest of it at any later time."""
        data, written = (b"\n" + line if self._is_torn else line), 0
        try:
            while written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError:
            if written:
                self._is_torn = not _take_back(descriptor, written)
            raise
        self._is_torn = False


def _ends_torn(descriptor: int) -> bool:
    """Return whether a regular file ends within a line."""
    try:
        size = os.fstat(descriptor).st_size
        if not size or not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        with Path(f"/proc/self/fd/{descriptor}").open("rb") as file:  # the shell has opened it for writing only
            file.seek(size - 1)
            return file.read(1) != b"\n"
    except OSError:
        return False


def _take_back(descriptor: int, written: int) -> bool:
    """Cut the last bytes written off the end of a regular file; return whether that could be done."""
    try:
        end = os.lseek(descriptor, 0, os.SEEK_CUR)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) or os.fstat(descriptor).st_size != end:
            return False
        os.ftruncate(descriptor, end - written)
        os.lseek(descriptor, end - written, os.SEEK_SET)
    except OSError:
        return False
    return True


def to_url(url: str, timeout: float = 30.0) -> Callable[[Change], Awaitable[None]]:
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
    """The delivery that `to_url` returns."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._poster = Poster()

    async def __call__(self, change: Change) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": change.id}
        body = json.dumps(change.to_dict()).encode()
        outcome = await self._poster.post(self._url, body, headers, self._timeout)
        if isinstance(outcome, TransportFailure):
            raise DeliveryFailed(outcome.reason)
        if not 200 <= outcome.status < 300:
            raise DeliveryFailed(f"HTTP {outcome.status}", status=outcome.status)

    def __repr__(self) -> str:
        return "to_url(hidden)"


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
