"""One overview for all that look at it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time

from batchstatus.service.http import feed as feed_module
from batchstatus.service.http.feed import Feed


def test_nobody_looks_nothing_is_made():
    made = []
    Feed(lambda: made.append(1))
    assert made == []


def test_all_that_look_share_one():
    """However many, and within a second also one after the other."""
    made = []

    async def looked():
        feed = Feed(lambda: made.append(1) or len(made))
        found = await asyncio.gather(*(feed.newest() for _ in range(50)))
        return [*found, await feed.newest()]

    assert asyncio.run(looked()) == [1] * 51


def test_a_new_one_is_made_when_it_is_old(monkeypatch):
    monkeypatch.setattr(feed_module, "INTERVAL", 0.0)
    monkeypatch.setattr(feed_module, "SHARE", float("inf"))
    made = []

    async def looked():
        feed = Feed(lambda: made.append(1) or len(made))
        return [await feed.newest() for _ in range(3)]

    assert asyncio.run(looked()) == [1, 2, 3]


def test_a_slow_one_is_made_more_seldom():
    """A tenth of the time is spent on them, at most."""

    async def looked():
        feed = Feed(lambda: time.sleep(0.2))
        await feed.newest()
        return feed.interval

    assert asyncio.run(looked()) >= 0.2 / 0.1


def test_a_store_that_cannot_be_read_has_none():
    def fail():
        raise sqlite3.OperationalError("disk I/O error")

    async def looked():
        return await Feed(fail).newest()

    assert asyncio.run(looked()) is None


def test_one_that_hangs_holds_nobody_up(monkeypatch):
    """The one before it does."""
    monkeypatch.setattr(feed_module, "PATIENCE", 0.05)
    monkeypatch.setattr(feed_module, "INTERVAL", 0.0)
    monkeypatch.setattr(feed_module, "SHARE", float("inf"))
    goes_on, made = threading.Event(), []

    def load():
        made.append(1)
        if len(made) == 2:
            goes_on.wait(30)
        return len(made)

    async def looked():
        feed = Feed(load)
        found = [await feed.newest(), await feed.newest(), await feed.newest()]
        goes_on.set()
        await feed._loading
        return found, await feed.newest()

    assert asyncio.run(looked()) == ([1, 1, 1], 3)
