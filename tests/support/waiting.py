"""Wait for something that another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

HANG = 5.0
"""Seconds: a bound on real time that only a hang exceeds. How exactly a deadline is kept is measured in the bench."""
LONG = 30.0
"""Seconds: far more than anything takes on a loaded machine, and less than a test's time limit."""


def until(happened: Callable[[], object], seconds: float = LONG) -> None:
    """Return once it has happened; raise AssertionError if it does not."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"it did not happen within {seconds:.0f} s"
        time.sleep(0.01)
