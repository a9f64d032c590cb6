"""How loudly a fault of the store is told that comes again and again."""

from __future__ import annotations

import logging
import time

AGAIN = 60.0
"""Seconds."""


class Telling:
    """Has the first of many faults logged as a warning, and then one a minute; the others at DEBUG."""

    def __init__(self) -> None:
        self._told_at = -AGAIN

    def level(self) -> int:
        """Return the level of the fault that came just now."""
        now = time.monotonic()
        if now - self._told_at < AGAIN:
            return logging.DEBUG
        self._told_at = now
        return logging.WARNING
