"""Destinations of changes: a stream, or a URL."""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
import stat
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, TypeAlias
from urllib.parse import urlsplit

from attrs import frozen

from batchstatus import ConfigurationError, KeySource, Response, TransportFailure, printable
from batchstatus._http.post import Poster, is_loopback, retry_after

from .own_headers import OwnHeaders
from .signing import RotatingSecrets, SecretSource
from .store import Change, checked_kinds

Delivery: TypeAlias = Callable[[Change], object]
"""Delivers a change before it returns, or raises; called in a thread, several at a time.

A coroutine function, or an object with one as its `__call__`, is called in the event loop of the watcher instead.
Attributes of it are heard: `in_flight`, how many at a time, and `only`, the kinds of changes that it wants.
"""

log = logging.getLogger("batchstatus")

MAX_TIMEOUT = 3_600.0
"""Seconds."""
RETRYABLE = frozenset({408, 425, 429})
"""The statuses below 500 with which the same request may succeed later."""


class DeliveryFailed(Exception):
    """The receiver answered with another status than 2xx, or not at all; the text is ours, and holds nothing of it."""

    def __init__(self, reason: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after
        """Seconds for which the receiver wants to be left alone."""
        self.is_refusal = status is not None and 300 <= status < 500 and status not in RETRYABLE
        """Whether retrying is pointless until the receiver is fixed."""
        self.is_gone = status == 410
        """Whether the receiver wants no more changes."""


@frozen
class Delivered:
    """The receiver has taken a change."""

    status: int | None
    """Its HTTP status, if it has one."""


def to_stream(file: TextIO, *, only: Iterable[str] | None = None) -> Delivery:
    """Return a delivery that writes each change to a file as one line of JSON.

    A line that a full disk has cut short is taken back or, where that is impossible, ended before the next one; so is
    a cut one that the file ends with at first. A change counts as delivered when all of its line is written.

    Args:
        file: Text; one without a file descriptor is written to as well.
        only: The kinds of changes that are wanted, such as ["ended", "lost"]; default: all.
    """
    return _ToStream(file, checked_kinds(only))


class _ToStream:
    """The delivery that `to_stream` returns."""

    in_flight = 1
    """Lines come in the order in which their changes were stored."""

    def __init__(self, file: TextIO, only: tuple[str, ...] | None) -> None:
        self.only = only
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


def to_url(
    url: str,
    timeout: float = 30.0,
    *,
    secret: SecretSource | None = None,
    headers: Mapping[str, str] | KeySource | None = None,
    only: Iterable[str] | None = None,
    allow_insecure: bool = False,
) -> Callable[[Change], Awaitable[object]]:
    """Return a delivery that POSTs each change as JSON, with its id in the header Idempotency-Key.

    Any 2xx means that it has arrived, 410 that no more changes are wanted; a Retry-After is heeded. Redirects are not
    followed, certificates are checked, proxies of the environment are used except on loopback. The receiver's
    `batchstatus.webhooks.verify` checks the signature.

    Args:
        url: https, or http on loopback; it may hold a secret, so no message shows it.
        timeout: Seconds for one attempt, from its connection to the end of the response.
        secret: Signs each attempt, as Standard Webhooks say: `whsec_` and 24 to 64 bytes in base64. Several sign while
            they rotate; `KeyFile(path)` has one in each line, and is read again when it changes.
        headers: More headers, such as Authorization; their values are secrets. `KeyFile(path)` has `Name: value` in
            each line, and is read again when it changes.
        only: The kinds of changes that are wanted, such as ["ended", "lost"]; default: all.
        allow_insecure: Let http be off loopback, too, in a test network.

    Raises:
        ConfigurationError: One of them cannot work.
    """
    _check_url(url, allow_insecure=allow_insecure)
    if not isinstance(timeout, (int, float)) or not 0 < timeout <= MAX_TIMEOUT:
        raise ConfigurationError(f"the timeout of a delivery is up to {MAX_TIMEOUT:.0f} s, not {timeout!r:.80}")
    secrets = None if secret is None else RotatingSecrets(secret)
    own = None if headers is None else OwnHeaders(headers)
    del secret, headers  # tracebacks with local variables must not show them
    for each in (secrets, own):
        if each is not None:
            each.check()
    return _ToURL(url, timeout, secrets, own, checked_kinds(only))


class _ToURL:
    """The delivery that `to_url` returns."""

    def __init__(
        self,
        url: str,
        timeout: float,
        secrets: RotatingSecrets | None,
        headers: OwnHeaders | None,
        only: tuple[str, ...] | None,
    ) -> None:
        self._url = url
        self.timeout = timeout
        self.only = only
        self._secrets = secrets
        self._headers = headers
        self._poster = Poster()

    async def __call__(self, change: Change) -> Delivered:
        body = json.dumps(change.to_dict()).encode()
        headers = {} if self._headers is None else self._headers.current()
        headers |= {"Content-Type": "application/json", "Idempotency-Key": change.id}
        if self._secrets is not None:
            headers |= self._secrets.keys().sign(change.id, int(time.time()), body)
        try:
            outcome = await self._poster.post(self._url, body, headers, self.timeout)
        except ConfigurationError as error:  # of the proxy or the certificates, in words of ours
            raise DeliveryFailed(error.detail) from None
        if isinstance(outcome, Response):
            status, reason = outcome.status, f"HTTP {outcome.status}"
        else:
            # A body that is too large or cannot be decoded takes nothing back.
            status, reason = 0 if outcome.cut_short else outcome.status, _reason(outcome)
        if 200 <= status < 300:
            return Delivered(status)
        pause = retry_after(outcome, datetime.now(UTC)) if isinstance(outcome, Response) else None
        raise DeliveryFailed(reason, status=status or None, retry_after=pause)

    def __repr__(self) -> str:
        return "to_url(hidden)"


def _reason(failure: TransportFailure) -> str:
    """Return why there is no response: in words of ours, and of the system's if they are its own for a number."""
    cause = failure.cause
    if isinstance(cause, socket.gaierror):
        return f"{failure.summary} (unknown host)"
    if isinstance(cause, ssl.SSLError):
        return f"{failure.summary} ({type(cause).__name__}: {printable(cause.reason or 'TLS failed')})"
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return f"{failure.summary} ({os.strerror(cause.errno)})"
    return failure.summary


def describe(error: BaseException) -> str:
    """Return why a delivery failed, for the log and the store.

    The texts of others are left out: they may quote the request, and so the URL, a header or a secret.
    """
    name = printable(type(error).__name__)[:100]
    if isinstance(error, DeliveryFailed):
        return f"{name}: {printable(str(error))[:200]}"
    if isinstance(error, OSError) and isinstance(error.errno, int) and error.errno > 0:
        return f"{name}: {os.strerror(error.errno)}"
    return name if error.__cause__ is None else f"{name} from {printable(type(error.__cause__).__name__)[:100]}"


@frozen(kw_only=True)
class Failed:
    """The receiver has not taken a change."""

    reason: str
    status: int | None = None
    retry_after: float | None = None
    is_refusal: bool = False
    is_gone: bool = False

    @classmethod
    def by(cls, error: Exception) -> Failed:
        """Return what an exception of a delivery says; nothing of it is kept."""
        if not isinstance(error, DeliveryFailed):
            return cls(reason=describe(error))
        return cls(
            reason=describe(error),
            status=error.status,
            retry_after=error.retry_after,
            is_refusal=error.is_refusal,
            is_gone=error.is_gone,
        )


def _check_url(url: str, *, allow_insecure: bool) -> None:
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
        raise ConfigurationError(
            f"{advice}; a user and password in front of the host are not supported: send a header Authorization"
        )
    if parts.scheme == "http" and not allow_insecure and not is_loopback(host):
        raise ConfigurationError(
            f"{advice}; this one is http, and would send changes and secrets unencrypted: use https "
            "(or --allow-insecure, allow_insecure=True, in a test network)"
        )
