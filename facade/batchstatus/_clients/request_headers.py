"""Adds the headers of the caller's own function to each request; whatever it does, the request goes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from batchstatus._core.account import Request
from batchstatus._core.events import Event
from batchstatus._core.read.extra_headers import with_headers
from batchstatus._core.values import printable

log = logging.getLogger("batchstatus")


class RequestHeaders:
    """The caller's function, with what the log has said of it: each fault is told once."""

    def __init__(self, function: Callable[[Event], Mapping[str, str]]) -> None:
        self._function = function
        self._told: set[str] = set()

    def __call__(self, event: Event, request: Request) -> Request:
        """Return the request with the function's headers, those left out that it may not set."""
        try:
            request, refused = with_headers(request, self._function(event))
        except Exception as error:  # noqa: BLE001 (whatever the caller's own function raises)
            self._tell(f"request_headers failed ({type(error).__name__}): such requests go without its headers")
            return request
        for name, reason in refused.items():
            self._tell(f"request_headers: the header {printable(name):.80} is not sent, as {reason}")
        return request

    def _tell(self, fault: str) -> None:
        if fault not in self._told:
            self._told.add(fault)
            log.warning("%s", fault)
