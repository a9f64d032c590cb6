"""Translate transport exceptions; the originals may be empty or contain headers."""

from __future__ import annotations

import httpx

from batchstatus._core.errors import InvalidResponse, RequestTimeout, TransportError
from batchstatus._core.read.messages import Response, TransportFailure

from .body import BadContent, Content


def error_outcome(content: Content | None, error: Exception, timeout: float) -> Response | TransportFailure:
    """Return the error response if its status has arrived, else the failure."""
    if content is not None and content.is_refusal:
        return content.response()  # an error status counts even if its body is cut short
    if isinstance(error, BadContent):
        return TransportFailure(
            error=InvalidResponse, reason=str(error), status=error.status, cut_short=error.cut_short
        )
    cause = _system_error(error)
    detail = f"{cause or error or type(error).__name__}"
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return too_late(timeout)
    if isinstance(error, (httpx.LocalProtocolError, httpx.InvalidURL)):
        reason = f"the request cannot be sent as HTTP ({type(error).__name__})"
    elif isinstance(error, httpx.ConnectError):
        reason = f"cannot connect; check the address, the network and the proxy ({detail})"
    elif isinstance(error, httpx.ProxyError):
        reason = f"the proxy refused; check its address and rights ({detail})"
    else:
        reason = f"the connection broke before the response was complete ({detail})"
    return TransportFailure(error=TransportError, reason=reason, cause=cause)


def too_late(timeout: float) -> TransportFailure:
    reason = f"no complete response within {timeout:.3g} s; the vendor or the network is slow, or a firewall is silent"
    return TransportFailure(error=RequestTimeout, reason=reason)


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
