"""The clock of a client; a test may give its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading
    from datetime import datetime

    from .values import Moment


class Clock(Protocol):
    """The clocks and sleeps of one client; a client with another clock has a pace of its own, too."""

    virtual: bool
    """Whether time passes only in sleeps, as in a test."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""

    def moment(self) -> Moment:
        """Return the time on a clock that all processes of the machine share."""

    def utc(self) -> datetime:
        """Return the wall clock's time, aware, UTC."""

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Sleep in a thread, until `stop` at most; an exception from a signal handler ends it, too."""

    async def sleep_async(self, seconds: float) -> None:
        """Sleep in a task."""
