"""Whether anything is left on a connection after a response."""

from __future__ import annotations

from typing import Any

import httpx


def is_clean(transport: httpx.HTTPTransport | httpx.AsyncHTTPTransport) -> bool:
    """Return whether a connection is fit for another exchange: open, and with nothing left to read.

    Bytes after the end of a response would be taken for the next one, and if a vendor echoes no id, no check could
    tell (quirk G25).
    """
    connections: list[Any] = transport._pool.connections  # noqa: SLF001
    if len(connections) != 1 or not connections[0].is_idle() or connections[0].is_closed():
        return False
    inner = connections[0]
    while inner is not None and not hasattr(inner, "_h11_state"):
        inner = getattr(inner, "_connection", None)  # a proxy's connection holds another one
    return inner is not None and inner._h11_state.trailing_data == (b"", False)  # noqa: SLF001
