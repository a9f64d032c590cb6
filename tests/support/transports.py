"""Transports of tests."""

from __future__ import annotations

import asyncio

from waiting import LONG


class Hanging:
    """A transport whose exchanges end with the test."""

    def __init__(self):
        self.begun = asyncio.Event()

    async def send(self, step, timeout):
        self.begun.set()
        await asyncio.sleep(LONG)
        raise AssertionError

    def discard_idle_connections(self):
        pass

    async def close(self):
        pass
