"""The clocks and sleeps of the machine, in one place, so that tests can put others there."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime
from typing import ClassVar


class Clock:
    """Real time. A client with a clock of its own has a pace of its own, too."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    def utc(self) -> datetime:
        """Return the wall clock's time, aware, UTC."""
        return datetime.now(UTC)

    virtual: ClassVar[bool] = False
    """Whether time passes only in sleeps."""

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Sleep in a thread, until `stop` at most; what a signal's handler raises ends it, too."""
        if stop is None:
            time.sleep(max(seconds, 0.0))
        else:
            stop.wait(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Sleep in a task."""
        await asyncio.sleep(seconds)


REAL = Clock()
