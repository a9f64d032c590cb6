"""Message types for one HTTP exchange."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen

from batchstatus._core.account import Request
from batchstatus._core.errors import InvalidResponse, TransportError
from batchstatus._core.values import Moment


@frozen(kw_only=True)
class Response:
    """A whole response. Header names are in lower case; a repeated header has its first value."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@frozen(kw_only=True)
class TransportFailure:
    """Why there is no usable response, and which error that is."""

    error: type[TransportError] | type[InvalidResponse]
    reason: str = field(repr=False)
    summary: str = field(default="", repr=False)
    """The reason in words of ours alone; the rest of it may quote the other side, and so the request."""
    status: int = 0
    cut_short: bool = False
    is_lasting: bool = False
    """Whether time alone hardly mends it: an unknown host, or a certificate that is refused."""
    is_too_large: bool = False
    """Whether a body is larger than the caller allows."""
    cause: BaseException | None = field(default=None, repr=False)


def status_of(outcome: Response | TransportFailure | None) -> int | None:
    """Return the HTTP status of an exchange, if a response has begun."""
    return None if outcome is None or not outcome.status else outcome.status


@frozen
class SendRequest:
    """A step: perform this exchange."""

    request: Request
    deadline: float
    """When it must be over, on the driver's monotonic clock."""
    max_body: int
    """Bytes."""


@frozen
class Sleep:
    """A step: nothing to do for so many seconds."""

    seconds: float


@frozen
class StepResult:
    """The outcome of the last step, and the time now on both clocks."""

    outcome: Response | TransportFailure | None
    """None after a Sleep."""
    monotonic: float
    utc: datetime
    asked_at: Moment | None = None
    """When the request was sent."""
