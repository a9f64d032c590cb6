"""A clock for tests: no time passes in them, however long they wait."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime, timedelta

from batchstatus import Moment

NUMBERS = itertools.count(1)
EPOCH = datetime(2025, 1, 27, 12, tzinfo=UTC)


class FakeClock:
    """Time that passes only in sleeps, and in responses with a duration.

    Args:
        epoch: The wall clock's time at the beginning.

    Attributes:
        now: Seconds since the beginning.
    """

    virtual = True

    def __init__(self, epoch: datetime = EPOCH) -> None:
        self.now = 0.0
        self._epoch = epoch
        self._boot = f"fake clock {next(NUMBERS)}"
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Return the seconds since the beginning."""
        return self.now

    def moment(self) -> Moment:
        """Return the time since the beginning."""
        return Moment(self._boot, self.now)

    def utc(self) -> datetime:
        """Return the wall clock's time, aware, UTC."""
        return self._epoch + timedelta(seconds=self.now)

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Advance the clock; not at all if `stop` is set."""
        if stop is None or not stop.is_set():
            with self._lock:
                self.now += max(seconds, 0.0)

    async def sleep_async(self, seconds: float) -> None:
        """Advance the clock."""
        self.sleep(seconds)
