"""Headers of a caller's own for deliveries, such as Authorization: their values are secrets."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from batchstatus import ConfigurationError, KeySource
from batchstatus._http.post import CONNECTION_HEADERS, HEADER_NAME

RESERVED = CONNECTION_HEADERS - {"cookie"} | {"content-encoding", "content-type", "idempotency-key"}
"""Headers that the delivery sets itself; so it does those that begin with `webhook-` or `proxy-`."""

log = logging.getLogger("batchstatus")


class OwnHeaders:
    """Headers that may change while a service runs; if the new ones cannot be, the last ones go on, which is told once.

    Args:
        source: The headers, or a text of lines `Name: value`, or a function that returns such a text. Empty lines and
            those that begin with # are left out.
    """

    def __init__(self, source: Mapping[str, str] | KeySource) -> None:
        self._source = source
        self._text: str | None = None
        self._headers: dict[str, str] = {}

    def check(self) -> None:
        """Raise ConfigurationError, which shows no value, if the first ones cannot be."""
        if problem := self._read():
            raise ConfigurationError(problem)

    def current(self) -> dict[str, str]:
        """Return the headers to send now, their names in lower case."""
        if callable(self._source) and (problem := self._read()):
            log.warning("the previous headers stay in use: %s", problem)
        return dict(self._headers)

    def _read(self) -> str | None:
        """Take the headers if they have changed; return what is wrong with them."""
        source = self._source() if callable(self._source) else self._source
        if isinstance(source, str) and source == self._text:
            return None
        found, problem = _parsed(source)
        if isinstance(source, str):
            self._text = source
        if problem is not None:
            return f"{getattr(self._source, 'setting', 'headers')}{problem}"
        self._headers = found
        return None

    def __repr__(self) -> str:
        return "<headers: hidden>"


def _parsed(source: Mapping[str, str] | str) -> tuple[dict[str, str], str | None]:
    """Return headers by their names in lower case, and what is wrong with them, without a value."""
    found: dict[str, str] = {}
    if not isinstance(source, (str, Mapping)):
        return {}, " map names to values, such as {'Authorization': ...}"
    lines = source.splitlines() if isinstance(source, str) else [f"{name}: {value}" for name, value in source.items()]
    for number, line in enumerate(lines, 1):
        name, colon, value = line.partition(":")
        value, lower = value.strip(), name.lower()
        if not line.strip() or line.startswith("#"):
            continue
        if not colon or not HEADER_NAME.fullmatch(name):
            return {}, f", line {number}: a header is written Name: value"
        if lower in RESERVED or lower.startswith(("webhook-", "proxy-")):
            return {}, f": {name:.40} cannot be set, since each delivery has its own"
        if lower in found:
            return {}, f": {name:.40} is there twice"
        if not value or not (value.isascii() and value.isprintable()):
            return {}, f": the value of {name:.40} is empty, or not in printable ASCII"
        found[lower] = value
    return found, None
