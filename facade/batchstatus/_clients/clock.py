"""The machine's clocks and sleeps."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime


class RealClock:
    """Real time."""

    virtual = False

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    def utc(self) -> datetime:
        """Return the wall clock's time, aware, UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Sleep in a thread, until `stop` at most; an exception from a signal handler ends it, too."""
        if stop is None:
            time.sleep(max(seconds, 0.0))
        else:
            stop.wait(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Sleep in a task."""
        await asyncio.sleep(seconds)


REAL = RealClock()
