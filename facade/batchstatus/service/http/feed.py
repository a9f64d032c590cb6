"""One overview of the store for all that look at it: none is made while no one looks."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

from batchstatus import ConfigurationError
from batchstatus.service.store import Overview

INTERVAL = 1.0
"""Seconds between two overviews, at least."""
SHARE = 0.1
"""Of the time, at most, overviews are being made: of 100,000 batches one takes 0.2 s, so one is made every 2 s."""


PATIENCE = 5.0
"""Seconds to wait for an overview; the one before does then."""


class Feed:
    """The newest overview, for any number of tasks of one event loop."""

    def __init__(self, load: Callable[[], Overview]) -> None:
        self._load = load
        self._newest: Overview | None = None
        self._next_at = 0.0
        self._loading: asyncio.Task[None] | None = None
        self.interval = INTERVAL
        """Seconds until it is worth to ask again."""

    async def newest(self) -> Overview | None:
        """Return the overview, which is renewed if it is too old; None if the store cannot be read."""
        if self._loading is None and asyncio.get_running_loop().time() >= self._next_at:
            self._loading = asyncio.create_task(self._renew())
        if self._loading is not None:
            await asyncio.wait([self._loading], timeout=PATIENCE)
        return self._newest

    async def _renew(self) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            self._newest = await asyncio.to_thread(self._load)
        except (sqlite3.Error, OSError, ConfigurationError):
            self._newest = None  # the store has counted it, and its health tells of it
        finally:
            self.interval = max(INTERVAL, (clock() - began) / SHARE)
            self._next_at, self._loading = began + self.interval, None
