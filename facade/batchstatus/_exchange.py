"""What rules, vendors and transports say to each other about one HTTP exchange."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from ._errors import InvalidResponse, TransportError
from ._secret import SHORTEST_TO_HIDE


@frozen(kw_only=True)
class Request:
    """A GET to send."""

    url: str
    keys: Mapping[str, str] = field(repr=False)
    """The headers that authenticate, by name."""

    def hide_in_headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return headers without this request's keys."""
        if any(key in text for pair in headers.items() for text in pair for key in self.keys.values()):
            hidden: Mapping[str, str] = self.hide_keys(dict(headers))
            return hidden
        return headers

    def hide_keys(self, value: Any) -> Any:
        """Return a JSON value without this request's keys: vendors have been seen to echo them."""
        if isinstance(value, str):
            for key in sorted(self.keys.values(), key=len, reverse=True):
                if len(key) >= SHORTEST_TO_HIDE:
                    value = value.replace(key, "[hidden]")
        elif isinstance(value, dict):
            return {self.hide_keys(name): self.hide_keys(item) for name, item in value.items()}
        elif isinstance(value, list):
            return [self.hide_keys(item) for item in value]
        return value

    def is_echoed(self, body: bytes) -> bool:
        """Return whether a body may hold a key, spelled as it is or with JSON's escapes or wide characters."""
        return b"\\" in body or b"\x00" in body or any(key.encode() in body for key in self.keys.values())


@frozen(kw_only=True)
class Answer:
    """What came back, whole. Header names are in lower case; a repeated header has its first value."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@frozen(kw_only=True)
class Failure:
    """Why there is no usable answer, and which error that is."""

    error: type[TransportError] | type[InvalidResponse]
    reason: str
    status: int = 0
    cut_short: bool = False
    cause: BaseException | None = field(default=None, repr=False)


@frozen
class Send:
    """A rule asks its driver: perform this exchange."""

    request: Request
    deadline: float
    """When it must be over, on the driver's monotonic clock."""
    max_body: int


@frozen
class Pause:
    """A rule asks its driver: wait so many seconds."""

    seconds: float


@frozen
class Reply:
    """A driver tells its rule what came of the last step, and what time it is now, on both clocks."""

    outcome: Answer | Failure | None
    monotonic: float
    utc: datetime
