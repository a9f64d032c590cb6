"""The clocks and sleeps of the machine, in one place, so that tests can put others there."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class Clock:
    """Real time. A client with a clock of its own has a pace of its own, too."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    def utc(self) -> datetime:
        """Return the wall clock's time, aware, UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Sleep in a thread."""
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Sleep in a task."""
        await asyncio.sleep(seconds)


REAL = Clock()
