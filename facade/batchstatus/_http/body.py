"""A body as it arrives: bounded on the wire, bounded again when decompressed. No I/O."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from batchstatus._core.read.messages import Response

ERROR_PAGE = 64 * 1024
"""Bytes of a body that comes with any status but 200; the rest is not read."""


class BadContent(Exception):
    """The body cannot be taken: too large, compressed in an unknown or broken way."""

    def __init__(self, status: int, reason: str, *, cut_short: bool = False, is_too_large: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.cut_short = cut_short
        self.is_too_large = is_too_large


class Content:
    """Collects one response.

    A 200 whose body is too large or does not decompress is a BadContent. With any other status the status is the
    message: such a body is dropped without complaint.
    """

    def __init__(self, status: int, headers: Sequence[tuple[bytes, bytes]], max_body: int) -> None:
        self.status = status
        self.is_refusal = status != 200
        self._headers = decode_headers(headers)
        self._limit = min(max_body, ERROR_PAGE) if self.is_refusal else max_body
        self._body = bytearray()
        self._wire = 0
        encoding = self._headers.get("content-encoding", "").strip().lower()
        self._gzip = zlib.decompressobj(wbits=31) if encoding in {"gzip", "x-gzip"} else None
        if self._gzip is None and encoding not in {"", "identity"}:
            # In full, so that a key in it is found; it is shortened where it is shown.
            given = self._headers["content-encoding"]
            self._refuse(f"the body comes in an encoding that was not asked for: {given}")

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes from the wire; return whether enough has been read."""
        self._wire += len(chunk)
        if self._gzip is not None:
            try:
                chunk = self._gzip.decompress(chunk, self._limit + 1 - len(self._body))
            except zlib.error:
                self._refuse("the body is not valid gzip")
                return self._drop()
        self._body += chunk
        if max(self._wire, len(self._body)) <= self._limit:
            return False
        self._refuse(
            f"the body is larger than max_body allows, {self._limit} bytes: see RetryPolicy(max_body=...), --max-body",
            is_too_large=True,
        )
        return self._drop()

    def _drop(self) -> bool:
        self._body.clear()  # the rest would not be JSON anyway
        return True

    def response(self) -> Response:
        """Return the whole response."""
        if self._gzip is not None and not self._gzip.eof and self._wire:
            self._refuse("the body ends within its gzip stream", cut_short=True)
        return Response(status=self.status, headers=self._headers, body=bytes(self._body))

    def _refuse(self, reason: str, *, cut_short: bool = False, is_too_large: bool = False) -> None:
        if not self.is_refusal:
            raise BadContent(self.status, reason, cut_short=cut_short, is_too_large=is_too_large)


def decode_headers(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers as text, UTF-8 or else Latin-1: names in lower case, the first value of each."""
    try:
        return {name.decode().lower(): value.decode() for name, value in reversed(headers)}
    except UnicodeDecodeError:
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(headers)}
