"""Claims open refs, reads them, stores their changes, and has them delivered."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import attrs

from batchstatus import (
    Account,
    AsyncBatchClient,
    BatchRef,
    BatchStatusError,
    ConfigurationError,
    Event,
    EventKind,
    Outcome,
    PollPolicy,
    RateLimit,
    accounts_by_ref,
)

from .deliveries import Delivery
from .dispatcher import SHUTDOWN_SECONDS, Dispatcher
from .health import Health, denies_batch
from .observers import ClaimUpdate, DeliveryAttempt, tell
from .one_pass import OnePass
from .store import Change, Claim, Past, Store
from .store.telling import Telling
from .tasks import LOOK_INTERVAL, retry_until_stored, to_thread_shielded, wait_first
from .watch_set import WatchSet

IN_FLIGHT = 8
"""Deliveries in flight at once."""
LEASE = 30.0
"""Seconds after which the others take over from a watcher that hangs; from one that has died they do so at once."""
PRUNE_INTERVAL = 3600.0
"""Seconds between two looks for changes that are too old."""
DEFAULT = "default"
"""The name of a destination that has none of its own."""
NEVER = 10.0**9
"""Seconds."""
STORE_INTERVAL = 1.0
"""Seconds for which readings are collected, until one is an end or a denial: a transaction for each costs half as much
as the poll."""
MAX_STORED_AT_ONCE = 256
MAX_WAITING = 4_096
"""Readings that may wait for the disk before reading waits for it too."""

log = logging.getLogger("batchstatus")


class Watcher:
    """Reads the batches that a store tracks, for as long as it runs; other watchers of the store take the rest.

    Args:
        store: It has the tracked batches, and takes their changes.
        accounts: Their pace is kept in the store, and shared with the other processes that use it.
        deliver: Gets every change that is stored from now on. Several, by names of their own, each have an outbox: what
            one has taken is kept for the others. One alone is named "default".
        in_flight: Deliveries in flight at once, of each destination; a delivery's own attribute `in_flight` wins.
        keep: For how long changes are kept that have arrived everywhere: see `Store.prune`; default: for ever.
        on_delivery: Told of each attempt to deliver a change, in the event loop, so it must not block.
        on_claim: Told by `run` of batches that come to this watcher, or leave it for others, likewise.
        **options: Keyword arguments of `AsyncBatchClient`, such as `poll` and `on_event`.

    Raises:
        ConfigurationError: `in_flight` is below 1; by `run` and `once`: there is no account, or two have the same name.
    """

    def __init__(
        self,
        store: Store,
        accounts: Iterable[Account],
        *,
        deliver: Delivery | Mapping[str, Delivery] | None = None,
        in_flight: int = IN_FLIGHT,
        keep: timedelta | None = None,
        on_delivery: Callable[[DeliveryAttempt], object] | None = None,
        on_claim: Callable[[ClaimUpdate], object] | None = None,
        **options: Any,
    ) -> None:
        if in_flight < 1:
            raise ConfigurationError(f"in_flight must be at least 1, not {in_flight}")
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.health = Health(store)
        self._store = store
        self._accounts = paced(store, accounts)
        self._account_refs = set(accounts_by_ref(self._accounts))
        self._options = options
        self._keep = keep
        self._dispatchers = [
            Dispatcher(
                store,
                self.name,
                destination,
                delivery,
                getattr(delivery, "in_flight", in_flight),
                on_delivery=on_delivery,
            )
            for destination, delivery in destinations(deliver).items()
        ]
        self._on_claim = on_claim
        self._missing: set[str] = set()
        """Accounts of tracked batches that this watcher does not have, as the log has said."""
        self.unread: dict[BatchRef, BatchStatusError | None] = {}
        """The batches that `once` could not read, and why, as far as that is known."""
        self._past: Past | None = None
        """How long batches of each kind took."""
        self._telling = Telling()
        self._is_unsure = False
        """Whether to claim again although the store reports nothing new."""
        self._urgent = asyncio.Event()
        """Whether a batch has ended, or is denied, and that is not stored yet."""
        self._move = 0
        """Up to which move of refs this watcher knows what it has."""

    async def run(self, stop: asyncio.Event) -> None:
        """Read, store and deliver until `stop` is set; then let deliveries in flight end, for 5 s at most.

        Batches that are tracked meanwhile are picked up, and untracked ones dropped, within about a second.

        Raises:
            ConfigurationError: The store's file was replaced by another one, or is of a newer version. Nothing else
                ends it: an outage, a full disk or a damaged row is logged.
        """
        self.health.came_round()
        try:
            readings: asyncio.Queue[Outcome] = asyncio.Queue(MAX_WAITING)
            self._past = await retry_until_stored("how long batches took", self._store.past)
            options = self._options_of_run(readings)
            async with AsyncBatchClient(*self._accounts, **options) as client, asyncio.TaskGroup() as tasks:

                async def found(outcome: Outcome) -> None:
                    await readings.put(outcome)
                    if is_end(outcome):
                        self._urgent.set()

                watch_set = WatchSet(client, found, self._past)
                await self._serve_destinations()
                reading = tasks.create_task(watch_set.run())
                writing = tasks.create_task(self._write(readings, watch_set=watch_set))
                delivering = [tasks.create_task(dispatcher.run(stop)) for dispatcher in self._dispatchers]
                pruning = tasks.create_task(self._prune())
                try:
                    await self._claim_while_running(watch_set, stop)
                finally:
                    pruning.cancel()
                    reading.cancel()
                    await asyncio.wait([reading])
                self._urgent.set()
                with suppress(TimeoutError):
                    await asyncio.wait_for(readings.join(), SHUTDOWN_SECONDS)
                await asyncio.gather(*delivering)
                writing.cancel()
        except BaseExceptionGroup as group:  # the first one has ended the other tasks
            raise group.exceptions[0] from None
        finally:
            await self._release()

    async def once(self, *, timeout: float = 600.0) -> list[Change]:
        """Make one pass: read each open batch that no other watcher has, store and deliver the changes, return them.

        Readings are stored as they come, and each change is tried once at each destination meanwhile. Batches that
        fail three times, or whose account is in trouble, are left to the next pass; `unread` has them afterwards.

        Args:
            timeout: Seconds for all of it, deliveries included.
        """
        loop, changes = asyncio.get_running_loop(), list[Change]()
        end, read = loop.time() + timeout, asyncio.Event()
        readings: asyncio.Queue[Outcome] = asyncio.Queue()
        try:
            await self._serve_destinations()
            # With an account of its own it has no share: the others give up nothing for it.
            claim = await self._claim(timeout + LEASE, {*self._account_refs, self.name})
            one = OnePass(claim.new)
            self.unread = one.unread
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(self._write(readings, changes=changes))
                delivering = [tasks.create_task(dispatcher.try_all_once(read)) for dispatcher in self._dispatchers]
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(end):
                        await self._read_once(one, readings)
                await readings.join()
                writing.cancel()
                read.set()
                if delivering:
                    await asyncio.wait(delivering, timeout=max(end - loop.time(), 0.0))
                for task in delivering:
                    task.cancel()
        except BaseExceptionGroup as group:  # the first one has ended the other tasks
            raise group.exceptions[0] from None
        finally:
            await self._release()
        return changes

    async def _read_once(self, one: OnePass, readings: asyncio.Queue[Outcome]) -> None:
        """Read until the pass is over."""
        if one.is_over:
            return
        over = asyncio.Event()

        def hear(event: Event) -> None:
            following.discard(one.take(event))
            if one.is_over:
                over.set()

        async with (
            AsyncBatchClient(*self._accounts, **self._options_of_run(readings, hear)) as client,
            client.follow(one.unread, changes_only=False, stop=over) as following,
        ):
            async for outcome in following:
                await readings.put(outcome)

    def _options_of_run(
        self, readings: asyncio.Queue[Outcome], hear: Callable[[Event], object] | None = None
    ) -> dict[str, Any]:
        """Return the options of a client whose failed polls go where the readings of its wait go."""
        poll, observer = self._options.get("poll", PollPolicy()), self._options.get("on_event")

        def note(event: Event) -> None:
            self.health.hear(event)
            if event.kind is EventKind.ATTEMPT and event.error is not None:
                with suppress(asyncio.QueueFull):  # a later poll fails, too
                    readings.put_nowait(event.outcome)
                if denies_batch(event.error):
                    self._urgent.set()
            for each in (hear, observer):
                if each is not None:
                    each(event)

        # That a batch is refused ends nothing here: the store counts it, and tells that the batch is lost.
        if isinstance(poll, PollPolicy):
            poll = attrs.evolve(poll, refusal_grace=NEVER)
        return {**self._options, "poll": poll, "on_event": note}

    async def _claim_while_running(self, watch_set: WatchSet, stop: asyncio.Event) -> None:
        """Keep the watch set equal to the refs of this watcher."""
        while not stop.is_set():
            self.health.came_round()
            try:
                if await asyncio.to_thread(self._store.renew, self.name, LEASE) or self._is_unsure:
                    self._is_unsure = False
                    claim = await self._claim(LEASE, self._account_refs)
                    gained, lost = watch_set.update(claim.new, claim.gone)
                    if gained or lost:
                        tell(
                            self._on_claim,
                            ClaimUpdate(watcher=self.name, gained=by_account(gained), lost=by_account(lost)),
                        )
                    self._move = claim.move
                for dispatcher in self._dispatchers:
                    await asyncio.to_thread(self._store.serve, dispatcher.destination, dispatcher.only)
            except ConfigurationError:
                raise
            except Exception as error:  # noqa: BLE001 (only a signal or another file ends the service)
                self._is_unsure = True
                log.log(self._telling.level(), "cannot read from the store what to watch: %s", error)
            watch_set.resume_rested()
            await wait_first(stop.wait(), seconds=LOOK_INTERVAL)

    async def _prune(self) -> None:
        """Delete old changes now and then."""
        while self._keep is not None:
            gone = await retry_until_stored("what is to be deleted", self._store.prune, self._keep)
            if gone:
                log.info("%d changes were older than %s, and are deleted", gone, self._keep)
            await asyncio.sleep(PRUNE_INTERVAL)

    async def _claim(self, seconds: float, account_refs: set[str]) -> Claim:
        call = partial(self._store.claim, self.name, seconds, account_refs, since=self._move)
        claim = await to_thread_shielded(call)
        if self._past is not None:
            await asyncio.to_thread(self._past.refresh)
        missing = await asyncio.to_thread(self._store.account_refs) - self._account_refs - self._missing
        for account_ref in sorted(missing):
            log.warning("batches at %s are tracked, and this watcher has no such account", account_ref)
        self._missing |= missing
        return claim

    async def _release(self) -> None:
        """Give up the claims of this watcher: in a thread, as the store may be busy for long."""
        try:
            await asyncio.to_thread(self._store.release, self.name)
        except (sqlite3.Error, OSError, ConfigurationError) as error:
            log.warning("cannot give up the claims of this watcher; others take them all the same: %s", error)

    async def _serve_destinations(self) -> None:
        """Say that the destinations are served."""
        for dispatcher in self._dispatchers:
            await retry_until_stored("a destination", self._store.serve, dispatcher.destination, dispatcher.only)

    async def _write(
        self,
        readings: asyncio.Queue[Outcome],
        *,
        watch_set: WatchSet | None = None,
        changes: list[Change] | None = None,
    ) -> None:
        """Store readings, many at a time; tell the watch set, and add the changes to a list."""
        while True:
            outcomes = [await readings.get()]
            if watch_set is not None and readings.qsize() < MAX_STORED_AT_ONCE:
                await wait_first(self._urgent.wait(), seconds=STORE_INTERVAL)
                self._urgent.clear()
            while not readings.empty() and len(outcomes) < MAX_STORED_AT_ONCE:
                outcomes.append(readings.get_nowait())
            found = await retry_until_stored("readings", self._store_outcomes, outcomes)
            if watch_set is not None:
                await self._tell(watch_set, outcomes, {change.ref for change in found if change.kind == "ended"})
            if changes is not None:
                changes += found
            for _ in outcomes:
                readings.task_done()
            if found:
                for dispatcher in self._dispatchers:
                    dispatcher.wake()

    async def _tell(self, watch_set: WatchSet, outcomes: list[Outcome], ended: set[BatchRef]) -> None:
        """Tell the watch set which batches are lost, and which have ended."""
        if denied := [outcome.ref for outcome in outcomes if denies_batch(outcome.error)]:
            watch_set.rest_lost(await retry_until_stored("readings", self._store.lost, denied))
        over = [outcome.ref for outcome in outcomes if is_end(outcome)]
        if unsure := [ref for ref in over if ref not in ended]:  # ended already, or another watcher's
            unsure = [*await retry_until_stored("readings", self._store.held, self.name, unsure)]
        for ref in over:
            watch_set.mark_ended(ref, ref not in unsure)

    def _store_outcomes(self, outcomes: list[Outcome]) -> list[Change]:
        """Store outcomes, but for those that cannot be stored; return the changes."""
        try:
            return self._store_all(outcomes)
        except (sqlite3.OperationalError, ConfigurationError):
            raise
        except Exception:
            if len(outcomes) == 1:
                log.exception("%s: a reading cannot be stored", outcomes[0].ref)
                return []
        return [change for outcome in outcomes for change in self._store_outcomes([outcome])]

    def _store_all(self, outcomes: list[Outcome]) -> list[Change]:
        batches = [outcome.batch for outcome in outcomes if outcome.batch is not None]
        changes = self._store.record_all(batches, owner=self.name)
        last_read = {outcome.ref: number for number, outcome in enumerate(outcomes) if outcome.error is None}
        for number, outcome in enumerate(outcomes):
            if outcome.error is None or number < last_read.get(outcome.ref, -1):  # a later reading undoes it
                continue
            if not denies_batch(outcome.error):
                self._store.record_error(outcome.ref, outcome.error, owner=self.name)
            elif change := self._store.record_refusal(outcome.ref, outcome.error, owner=self.name):
                changes.append(change)
        return changes


def destinations(deliver: Delivery | Mapping[str, Delivery] | None) -> Mapping[str, Delivery]:
    """Return the deliveries by the name of their destination."""
    if deliver is None:
        return {}
    return deliver if isinstance(deliver, Mapping) else {DEFAULT: deliver}


def by_account(refs: Iterable[BatchRef]) -> dict[str, int]:
    """Return how many refs each account has."""
    return dict(Counter(ref.account_ref for ref in refs))


def is_end(outcome: Outcome) -> bool:
    """Return whether an outcome tells that its batch has ended."""
    return outcome.batch is not None and outcome.batch.has_ended


def paced(store: Store, accounts: Iterable[Account]) -> list[Account]:
    """Return copies of the accounts whose pace is kept in the store: one for each set of keys, whatever their names."""
    return [
        account.with_rate_limit(store.pace(account.pace_name(store.salt), account.rate_limit))
        if isinstance(account.rate_limit, RateLimit)
        else account
        for account in accounts
    ]
