"""The headers that a caller adds to requests: which ones may go. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from batchstatus._core.account import CONNECTION_HEADERS, HEADER_NAME, Request

RESERVED = CONNECTION_HEADERS | {"accept", "authorization", "proxy-authorization"}
"""Headers that are the transport's, or carry keys at one vendor or another."""


def with_headers(request: Request, given: Mapping[str, str]) -> tuple[Request, dict[str, str]]:
    """Return a request with further headers, and why some are left out, by name: what is left out is not shown.

    Args:
        request: Its own headers and keys stay as they are.
        given: The headers to add.
    """
    own = {name.lower() for name in (*request.headers, *request.keys)}
    added: dict[str, str] = {}
    refused: dict[str, str] = {}
    for name, value in given.items():
        problem = _problem(name, value, own)
        if problem is None:
            added[name.lower()] = value
        else:
            refused[name if isinstance(name, str) else type(name).__name__] = problem
    return (attrs.evolve(request, headers={**added, **request.headers}) if added else request), refused


def _problem(name: object, value: object, own: set[str]) -> str | None:
    """Return why a header cannot go; None if it can."""
    if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
        return "it is not the name of a header"
    if name.lower() in own or name.lower() in RESERVED:
        return "the request sets it itself"
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or value != value.strip():
        return "its value is not printable ASCII text"
    return None
