"""Translate transport exceptions; the originals may be empty or contain headers."""

from __future__ import annotations

import socket
import ssl

import httpcore

from batchstatus._core.errors import InvalidResponse, RequestTimeout, TransportError
from batchstatus._core.read.messages import Response, TransportFailure
from batchstatus._core.read.response import is_outage

from .body import BadContent, Content
from .request import InvalidURL

HTTP_ERRORS = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)
"""How an exchange fails."""


def error_outcome(content: Content | None, error: Exception, timeout: float) -> Response | TransportFailure:
    """Return the failure; or the response, cut off as it is, if its status says that there is no answer just now.

    Such a status may come with a Retry-After. A refusal is believed by its body only.
    """
    if content is not None and is_outage(content.status):
        return content.response()
    if isinstance(error, BadContent):
        return TransportFailure(
            error=InvalidResponse,
            reason=str(error),
            summary=f"HTTP {error.status} came, and a body that cannot be read",
            status=error.status,
            cut_short=error.cut_short,
            is_too_large=error.is_too_large,
        )
    cause = _system_error(error)
    detail = f"{cause or error or type(error).__name__}"
    if isinstance(error, (httpcore.TimeoutException, TimeoutError)):
        return too_late(timeout) if content is None or not content.is_refusal else body_too_late(content.status)
    if isinstance(error, (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol, InvalidURL)):
        summary, detail = "the request cannot be sent as HTTP", type(error).__name__
    elif isinstance(error, httpcore.ConnectError):
        summary = "cannot connect; check the address, the network and the proxy"
    elif isinstance(error, httpcore.ProxyError):
        summary = "the proxy refused; check its address and rights"
    else:
        summary = "the connection broke before the response was complete"
    return TransportFailure(
        error=TransportError,
        reason=f"{summary} ({detail})",
        summary=summary,
        cause=cause,
        is_lasting=isinstance(cause, (socket.gaierror, ssl.SSLCertVerificationError)),
    )


def body_too_late(status: int) -> TransportFailure:
    reason = f"HTTP {status} came, and its body not within the time for it"
    return TransportFailure(error=RequestTimeout, reason=reason, summary=reason)


def too_late(timeout: float) -> TransportFailure:
    """Return the failure of an exchange that so many seconds were left for; a slow key may have used them up."""
    summary = f"no complete response within {max(timeout, 0.0):.3g} s"
    reason = f"{summary}; the vendor or the network is slow, or a firewall is silent"
    return TransportFailure(error=RequestTimeout, reason=reason, summary=summary)


def _system_error(error: BaseException) -> OSError | None:
    """Return the operating system's error at the root, cut loose from frames and exceptions that hold the request."""
    found: OSError | None = None
    seen: BaseException | None = error
    while seen is not None:
        found = seen if isinstance(seen, OSError) else found
        seen = seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else seen.__cause__ or seen.__context__
    if found is not None:
        found.__cause__ = found.__context__ = found.__traceback__ = None
    return found
