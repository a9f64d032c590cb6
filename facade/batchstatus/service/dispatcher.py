"""Delivers the changes in the outbox: several at a time, each again and again until it has arrived."""

from __future__ import annotations

import asyncio
import logging
import random
import time

from batchstatus import ConfigurationError

from .deliveries import Delivery, DeliveryFailed
from .store import Change, Store, clock
from .tasks import LOOK_INTERVAL, call_in_daemon_thread, fail_if_cancelled, is_async, retry_until_stored, wait_first

FIRST_PAUSE = 1.0
MAX_PAUSE = 60.0
"""Seconds between two attempts to deliver a change; it doubles from the one to the other."""
JITTER = 0.25
SHUTDOWN_SECONDS = 5.0
"""Seconds that deliveries in flight have when the watcher is to stop."""
MAX_DELIVERY_SECONDS = 120.0
"""Seconds after which a delivery counts as failed that neither succeeds nor fails."""

log = logging.getLogger("batchstatus")


class NotHeld(Exception):
    """The change is not this watcher's any more."""


class Dispatcher:
    """The deliveries of one watcher to one destination."""

    def __init__(self, store: Store, owner: str, destination: str, deliver: Delivery, in_flight: int) -> None:
        self._store = store
        self._owner = owner
        self.destination = destination
        self._deliver = deliver
        self._in_flight = in_flight
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._failures = 0
        """How many deliveries have failed since the last success."""
        self._quiet_until = 0.0
        """Until when to leave a receiver alone that takes nothing."""

    def wake(self) -> None:
        """Look at once: something was stored."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set, then let the deliveries in flight end."""
        try:
            while not stop.is_set():
                self._wake.clear()
                if not await self._begin(clock.now(), self._room()):
                    await wait_first(self._wake.wait(), stop.wait(), seconds=LOOK_INTERVAL)
            if self._tasks:
                await asyncio.wait([*self._tasks], timeout=SHUTDOWN_SECONDS)
        finally:
            for task in self._tasks:
                task.cancel()

    async def try_all_once(self, last: asyncio.Event) -> None:
        """Try every undelivered change once, those that come until `last` is set, too."""
        await retry_until_stored("new due times", self._store.retry_now, self.destination)
        now = clock.now()  # what has failed is due later than that
        try:
            while True:
                self._wake.clear()
                is_last = last.is_set()
                if await self._begin(now, self._in_flight):
                    continue
                if is_last and not self._tasks:
                    return
                waits = [self._wake.wait()] if is_last else [self._wake.wait(), last.wait()]
                await wait_first(*waits, seconds=LOOK_INTERVAL)
        finally:
            for task in self._tasks:
                task.cancel()

    def _room(self) -> int:
        """Return how many deliveries may be in flight now: one as a probe, or none, if nothing arrives any more."""
        if self._failures < self._in_flight:
            return self._in_flight
        return int(time.monotonic() >= self._quiet_until)

    async def _begin(self, now: float, room: int) -> bool:
        """Begin deliveries until so many are in flight; return whether there may be more of them to begin."""
        room -= len(self._tasks)
        if room <= 0:
            return False
        try:
            due = await asyncio.to_thread(self._store.undelivered, self.destination, now, room, owner=self._owner)
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 (only a signal or another file ends the service)
            log.warning("cannot read from the store what to deliver: %s", error)
            return False
        for change in due:
            task = asyncio.create_task(self._attempt(change))
            self._tasks.add(task)
            task.add_done_callback(self._over)
        return len(due) == room

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.wake()

    async def _attempt(self, change: Change) -> None:
        try:
            async with asyncio.timeout(MAX_DELIVERY_SECONDS):
                if is_async(self._deliver):
                    await asyncio.to_thread(self._check_held, change)
                    await fail_if_cancelled(self._deliver(change))
                else:
                    await call_in_daemon_thread(self._deliver_if_held, change)
        except NotHeld:
            log.info("%s is left to another watcher: this one stood still for longer than its lease", change)
        except Exception as error:  # noqa: BLE001 (a delivery is the caller's: whatever it raises, it is tried again)
            self._log_failure(change, error)
            self._count_failure(time.monotonic())
            until = clock.now() + pause_after(change.attempts)
            reason = f"{type(error).__name__}: {error}"
            await retry_until_stored(
                "a failed delivery", self._store.postpone, self.destination, change.id, until, reason
            )
        else:
            if self._failures:
                log.info("%s is delivered: deliveries succeed again", change)
            self._failures, self._quiet_until = 0, 0.0
            await retry_until_stored("a delivery", self._store.delivered, self.destination, change.id)

    def _deliver_if_held(self, change: Change) -> object:
        self._check_held(change)
        return self._deliver(change)

    def _check_held(self, change: Change) -> None:
        """Raise NotHeld if this process stood still meanwhile, and others deliver the change."""
        if not self._store.holds(self._owner, self.destination, change.id):
            raise NotHeld

    def _count_failure(self, now: float) -> None:
        """Count a failure: as many as may be in flight show that the receiver is down; pauses follow from there."""
        if now >= self._quiet_until:  # else it was in flight when the pause began
            self._failures += 1
            if self._failures >= self._in_flight:
                self._quiet_until = now + pause_after(self._failures - self._in_flight)

    def _log_failure(self, change: Change, error: Exception) -> None:
        refused = isinstance(error, DeliveryFailed) and error.is_refusal
        loud = not self._failures or (refused and change.attempts == 0)
        level = logging.WARNING if loud else logging.DEBUG
        log.log(level, "%s is not delivered, and will be tried again: %s: %s", change, type(error).__name__, error)


def pause_after(failures: int) -> float:
    """Return the seconds until the next attempt; `failures` counts those before the last."""
    pause = min(FIRST_PAUSE * 2.0 ** min(failures, 30), MAX_PAUSE)
    return pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (not a secret)
