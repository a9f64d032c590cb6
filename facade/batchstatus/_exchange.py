"""What rules, vendors and transports say to each other about one HTTP exchange."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, quote_plus

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
        if self.is_echoed("".join(text for pair in headers.items() for text in pair).encode(errors="replace")):
            hidden: Mapping[str, str] = self.hide_keys(dict(headers))
            return hidden
        return headers

    def hide_keys(self, value: Any) -> Any:
        """Return a JSON value without this request's keys: vendors have been seen to echo them."""
        keys = [key for key in self.keys.values() if len(key) >= SHORTEST_TO_HIDE]
        spellings = {spelling for key in keys for spelling in (key, quote(key, safe=""), quote_plus(key))}
        return _without(value, sorted(spellings, key=len, reverse=True))

    def is_echoed(self, body: bytes) -> bool:
        """Return whether a body may hold a key: as it is, or with JSON's escapes, a URL's, or wide characters."""
        return any(mark in body for mark in (b"\\", b"%", b"\x00", *(key.encode() for key in self.keys.values())))


def _without(value: Any, spellings: list[str]) -> Any:
    if isinstance(value, str):
        for spelling in spellings:
            value = value.replace(spelling, "[hidden]")
    elif isinstance(value, dict):
        return {_without(name, spellings): _without(item, spellings) for name, item in value.items()}
    elif isinstance(value, list):
        return [_without(item, spellings) for item in value]
    return value


@frozen(kw_only=True)
class Answer:
    """What came back, whole. Header names are in lower case; a repeated header has its first value."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def retry_after(self, now: datetime) -> float | None:
        """Return the seconds that Retry-After asks for: up to 9 digits, or a date, held against the own Date."""
        value = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"[0-9]{1,9}", value):
            return float(value)
        moment = _http_date(value)
        if moment is None:
            return None
        return max((moment - (_http_date(self.headers.get("date", "")) or now)) / timedelta(seconds=1), 0.0)


@frozen(kw_only=True)
class Failure:
    """Why there is no usable answer, and which error that is."""

    error: type[TransportError] | type[InvalidResponse]
    reason: str = field(repr=False)
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


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value[:64])
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
