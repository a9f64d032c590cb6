"""The machine's clocks and sleeps."""

from __future__ import annotations

import functools
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from batchstatus._core.values import Moment

BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


@functools.cache
def _boot() -> str:
    """Return an id of this start of the machine; "" if the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class RealClock:
    """Real time: the clock of a client, unless it is given another."""

    virtual = False

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    def moment(self) -> Moment:
        """Return the time since the machine was started, sleep included where the system counts it."""
        return Moment(_boot(), self.boottime())

    @staticmethod
    def boottime() -> float:
        """Return the seconds of `moment` alone."""
        return time.clock_gettime(BOOTTIME) if BOOTTIME is not None else time.monotonic()

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
        import asyncio  # noqa: PLC0415 (the store and completion need none: 20 of the 145 ms of `track list`)

        await asyncio.sleep(seconds)


REAL = RealClock()
