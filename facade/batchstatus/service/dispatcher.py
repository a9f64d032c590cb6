"""Delivers the changes in the outbox: several at a time, each again and again until it has arrived."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Literal

from batchstatus import ConfigurationError

from .deliveries import Delivered, Delivery, DeliveryFailed, Failed
from .observers import AttemptOutcome, DeliveryAttempt, tell
from .store import Change, NoLongerThere, Store, checked_kinds, clock
from .store.outbox import GIVE_UP_AFTER
from .store.telling import Telling
from .tasks import LOOK_INTERVAL, call_in_daemon_thread, fail_if_cancelled, is_async, retry_until_stored, wait_first

FIRST_PAUSE = 1.0
MAX_PAUSE = 1_800.0
"""Seconds between two attempts to deliver a change; it doubles from the one to the other."""
MAX_PROBE_PAUSE = 60.0
"""The same if the receiver takes nothing: it is to be seen soon that it is well again."""
MAX_RETRY_AFTER = 3_600.0
"""Seconds: a receiver that asks for a longer pause gets so much."""
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

    def __init__(
        self,
        store: Store,
        owner: str,
        destination: str,
        deliver: Delivery,
        in_flight: int,
        *,
        on_delivery: Callable[[DeliveryAttempt], object] | None = None,
    ) -> None:
        self._store = store
        self._owner = owner
        self.destination = destination
        self._deliver = deliver
        self._in_flight = in_flight
        self._on_delivery = on_delivery
        timeout = getattr(deliver, "timeout", None)
        more = timeout + SHUTDOWN_SECONDS if isinstance(timeout, (int, float)) else 0.0
        self._most = max(MAX_DELIVERY_SECONDS, more)
        self.only = checked_kinds(getattr(deliver, "only", None))
        """The kinds of changes that it wants; None: all."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._failures = 0
        """How many deliveries have failed since the last success."""
        self._quiet_until = 0.0
        """Until when to leave a receiver alone that takes nothing."""
        self._in_trouble = False
        """Whether a failure was told of, and no success yet."""
        self._is_setting_aside = False
        """Whether it was told that changes are set aside; the others go quietly until the next trouble."""
        self._telling = Telling()
        self._told: set[str] = set()
        """The changes whose failures were told of."""

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
        with suppress(NoLongerThere):
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
        except NoLongerThere:  # dropped just now; the watcher adds it again
            return False
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 (only a signal or another file ends the service)
            log.log(self._telling.level(), "cannot read from the store what to deliver: %s", error)
            return False
        for change in due:
            task = asyncio.create_task(self._attempt(change))
            self._tasks.add(task)
            task.add_done_callback(self._over)
        return len(due) == room

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ConfigurationError):  # another file ends the service elsewhere
            log.error(
                "a delivery to %s ended as it must not, please report it: %s", self.destination, type(error).__name__
            )
        self.wake()

    async def _attempt(self, change: Change) -> None:
        began = time.monotonic()
        outcome, duration = await self._tried(change), time.monotonic() - began
        if outcome is None:
            text = "is left to another watcher, as this one stood still for its lease; or it was dropped"
            self._log(logging.INFO, change, text)
            return
        # No exception of others is being handled any more: nothing raised from here on has it as its context.
        told: AttemptOutcome = "failed" if isinstance(outcome, Failed) else "delivered"
        with suppress(NoLongerThere):  # it was dropped meanwhile
            if isinstance(outcome, Failed):
                told = await self._record_failure(change, outcome)
            else:
                await self._record_success(change)
        attempt = DeliveryAttempt(
            destination=self.destination,
            change=change,
            outcome=told,
            status_code=outcome.status,
            reason=outcome.reason if isinstance(outcome, Failed) else None,
            duration=duration,
            attempts=change.attempts + 1,
        )
        tell(self._on_delivery, attempt)

    async def _tried(self, change: Change) -> Delivered | Failed | None:
        """Deliver a change; return how that went, or None if it is not this watcher's any more."""
        limit = asyncio.timeout(self._most)
        try:
            async with limit:
                if is_async(self._deliver):
                    await asyncio.to_thread(self._check_held, change)
                    result = await fail_if_cancelled(self._deliver(change))
                else:
                    result = await call_in_daemon_thread(self._deliver_if_held, change)
        except NotHeld:
            return None
        except Exception as error:  # noqa: BLE001 (a delivery is the caller's: whatever it raises, it is tried again)
            is_late = isinstance(error, TimeoutError) and limit.expired()
            return Failed.by(DeliveryFailed(f"not done within {self._most:.3g} s") if is_late else error)
        return result if isinstance(result, Delivered) else Delivered(None)

    async def _record_success(self, change: Change) -> None:
        self._told.discard(change.id)
        self._failures, self._quiet_until = 0, 0.0
        if self._in_trouble:
            self._in_trouble = False
            self._log(logging.WARNING, change, "is delivered: deliveries succeed again")
        await retry_until_stored("a delivery", self._store.delivered, self.destination, change.id)

    async def _record_failure(self, change: Change, failed: Failed) -> Literal["failed", "set_aside", "stopped"]:
        reason = failed.reason
        if failed.is_gone:
            return await self._stop(change, reason)
        self._count_failure(time.monotonic())
        now, asked = clock.now(), min(failed.retry_after or 0.0, MAX_RETRY_AFTER)
        pause = max(pause_after(change.attempts, self._max_pause()), asked)
        is_about_all = asked and not failed.is_refusal  # a refusal is about this change alone
        is_set_aside = await retry_until_stored(
            "a failed delivery",
            partial(self._store.postpone, hold_until=now + asked if is_about_all else 0.0),
            self.destination,
            change.id,
            now + pause,
            reason,
        )
        if not is_set_aside:
            self._log_failure(change, failed)
            return "failed"
        self._log(
            logging.DEBUG if self._is_setting_aside else logging.WARNING,
            change,
            "has failed for %.0f days, and is set aside: batchstatus deliveries list %s shows all; %s",
            *(GIVE_UP_AFTER / 86_400, self.destination, reason),
        )
        self._in_trouble = self._is_setting_aside = True
        self._told.discard(change.id)
        return "set_aside"

    async def _stop(self, change: Change, reason: str) -> Literal["stopped"]:
        is_news = await retry_until_stored("a stop", self._store.stop, self.destination, change.id, reason)
        if is_news:
            log.warning(
                "the destination %s wants no more changes (%s), and is stopped; they wait until "
                "batchstatus deliveries retry %s, or drop",
                *(self.destination, reason, self.destination),
                extra={"batch.destination": self.destination},
            )
        return "stopped"

    def _deliver_if_held(self, change: Change) -> object:
        self._check_held(change)
        return self._deliver(change)

    def _check_held(self, change: Change) -> None:
        """Raise NotHeld if this process stood still meanwhile, and others deliver the change; or if it was dropped."""
        if not self._store.holds(self._owner, self.destination, change.id):
            raise NotHeld

    def _count_failure(self, now: float) -> None:
        """Count a failure: as many as may be in flight show that the receiver is down; pauses follow from there."""
        if now >= self._quiet_until:  # else it was in flight when the pause began
            self._failures += 1
            if self._failures >= self._in_flight:
                self._quiet_until = now + pause_after(self._failures - self._in_flight, MAX_PROBE_PAUSE)

    def _max_pause(self) -> float:
        """Return the longest pause: a receiver that takes nothing is asked each minute, to see soon if it is back."""
        return MAX_PROBE_PAUSE if self._failures >= self._in_flight else MAX_PAUSE

    def _log_failure(self, change: Change, failed: Failed) -> None:
        """Tell of the first failure in a row, and of each change that is refused, once."""
        is_refused = failed.is_refusal and change.attempts == 0
        is_loud = change.id not in self._told and (not self._in_trouble or is_refused)
        level = logging.WARNING if is_loud else logging.DEBUG
        self._log(level, change, "is not delivered, and will be tried again: %s", failed.reason)
        if is_loud:
            self._in_trouble, self._is_setting_aside = True, False
            self._told.add(change.id)

    def _log(self, level: int, change: Change, text: str, *values: object) -> None:
        """Log what has become of a change: of several destinations, one may fail."""
        ref, vendor = str(change.ref), change.ref.vendor
        extra = {"batch.ref": ref, "batch.vendor": vendor, "batch.destination": self.destination}
        if log.isEnabledFor(level):
            log.log(level, "destination %s: %s %s", self.destination, change, text % values, extra=extra)


def pause_after(failures: int, most: float) -> float:
    """Return the seconds until the next attempt; `failures` counts those before the last."""
    pause = min(FIRST_PAUSE * 2.0 ** min(failures, 30), most)
    return pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (not a secret)
