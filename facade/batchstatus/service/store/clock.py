"""The machine's time since its start, which no one sets back: slots, leases and due times of a store are in it."""

from __future__ import annotations

from batchstatus import RealClock

_CLOCK = RealClock()


def now() -> float:
    """Return the seconds since the machine was started, the same in all its processes."""
    return _CLOCK.boottime()


def boot() -> str:
    """Return an id of this start of the machine; "" if the system has none."""
    return _CLOCK.moment().boot
