"""Whether anything is left on a connection after a response.

The only file that looks inside httpcore: it has no public word for the bytes that its parser holds back. Should a new
httpcore keep them elsewhere, an AttributeError says so at the first response, and so do the tests of this file.
"""

from __future__ import annotations

from typing import Any

import httpcore

INNERMOST = (httpcore.HTTP11Connection, httpcore.AsyncHTTP11Connection)


def is_clean(connection: httpcore.ConnectionInterface | httpcore.AsyncConnectionInterface) -> bool:
    """Return whether a connection is fit for another exchange: open, and with nothing left to read.

    Bytes after the end of a response would be taken for the next one, and if a vendor echoes no id, no check could
    tell (quirk G25).
    """
    if not connection.is_idle():
        return False
    inner: Any = connection
    while not isinstance(inner, INNERMOST):
        inner = inner._connection  # noqa: SLF001 (a connection to an origin or a proxy holds the one that speaks HTTP)
    leftovers: tuple[bytes, bool] = inner._h11_state.trailing_data  # noqa: SLF001
    return leftovers == (b"", False)
