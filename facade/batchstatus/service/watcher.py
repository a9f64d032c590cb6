"""Claims open refs, reads them, stores what changes, and has it delivered."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
import sqlite3
from collections.abc import Hashable, Iterable
from contextlib import suppress
from typing import Any

from batchstatus import (
    Account,
    AsyncBatchClient,
    BatchRef,
    ConfigurationError,
    Outcome,
    RateLimit,
    WaitError,
    accounts_by_ref,
)

from .deliveries import Delivery
from .dispatcher import FAREWELL, Outbox
from .store import Change, Store
from .tasks import LOOK, first, in_whole, insist
from .watch_set import Groups, is_for_good

IN_FLIGHT = 8
"""Deliveries under way at once."""
LEASE = 30.0
"""Seconds after which the others take over from a watcher that hangs; from one that has died they do so at once."""
STORED_AT_ONCE = 256
WAITING = 4_096
"""Readings that may wait for the disk before reading waits for it too."""

log = logging.getLogger("batchstatus")


class Watcher:
    """Reads what a store tracks, for as long as it runs; other watchers of the store take what this one leaves.

    Args:
        store: What to read, and where to put what is found.
        accounts: Their pace is kept in the store, and shared with the other processes that use it.
        deliver: What gets every change, once it is stored; default: nobody.
        in_flight: Deliveries under way at once.
        **options: What `AsyncBatchClient` takes by keyword, such as `poll` and `on_event`.

    Raises:
        ConfigurationError: `in_flight` is below 1; by `run` and `once`: there is no account, or two have the same name.
    """

    def __init__(
        self,
        store: Store,
        accounts: Iterable[Account],
        *,
        deliver: Delivery | None = None,
        in_flight: int = IN_FLIGHT,
        **options: Any,
    ) -> None:
        if in_flight < 1:
            raise ConfigurationError(f"in_flight must be at least 1, not {in_flight}")
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._store = store
        self._accounts = paced(store, accounts)
        self._places = set(accounts_by_ref(self._accounts))
        self._options = options
        self._deliver = deliver
        self._in_flight = in_flight
        self._missing: set[str] = set()
        """Places without an account, of which the log has told."""
        self._is_unsure = False
        """Whether to ask the store what to read although it tells of nothing new."""

    async def run(self, stop: asyncio.Event) -> None:
        """Read, store and deliver until `stop` is set; then let deliveries that are under way end, for 5 s at most.

        Batches that are tracked meanwhile are picked up, and those that are untracked dropped, within about a second.
        """
        try:
            async with AsyncBatchClient(*self._accounts, **self._options) as client, asyncio.TaskGroup() as tasks:
                await asyncio.to_thread(warm_up, self._accounts)
                readings: asyncio.Queue[Outcome] = asyncio.Queue(WAITING)
                groups, outbox = Groups(client, readings.put), self._outbox()
                writing = tasks.create_task(self._write(readings, groups, outbox))
                delivering = tasks.create_task(outbox.run(stop))
                try:
                    await self._follow(groups, stop)
                finally:
                    await groups.close()
                with suppress(TimeoutError):
                    await asyncio.wait_for(readings.join(), FAREWELL)
                await delivering
                writing.cancel()
        finally:
            await self._release()

    async def once(self, *, timeout: float = 600.0) -> list[Change]:
        """Read once each open batch that no other watcher has, store and deliver what has changed, and return it.

        What could not be read within `timeout` seconds stays open. Deliveries are tried once.
        """
        try:
            # With a place of its own it has no part in what others share: they give nothing up for it.
            refs = await self._claim(timeout + LEASE, {*self._places, self.name})
            found: dict[BatchRef, Outcome] = {}
            if refs:
                async with AsyncBatchClient(*self._accounts, **self._options) as client:
                    found = await client.get_many(refs, timeout=timeout)
            changes = await asyncio.to_thread(self._keep, [*found.values()])
            await self._outbox().empty()
            return changes
        finally:
            await self._release()

    async def _follow(self, groups: Groups, stop: asyncio.Event) -> None:
        """Read what the store tracks, whatever that is just now."""
        while not stop.is_set():
            try:
                if await asyncio.to_thread(self._store.renew, self.name, LEASE) or self._is_unsure:
                    self._is_unsure = False
                    groups.want(await self._claim(LEASE, self._places))
            except (sqlite3.Error, OSError) as error:
                self._is_unsure = True
                log.warning("the store does not tell what to read: %s", error)
            groups.look()
            await first(stop.wait(), seconds=LOOK)

    async def _claim(self, seconds: float, where: set[str]) -> list[BatchRef]:
        refs = await in_whole(self._store.claim, self.name, seconds, where)
        missing = await asyncio.to_thread(self._store.places) - self._places - self._missing
        for place in sorted(missing):
            log.warning("batches at %s are tracked, and this watcher has no such account", place)
        self._missing |= missing
        return refs

    async def _release(self) -> None:
        """Give up what this watcher has: in a thread, as the store may be busy for long."""
        try:
            await asyncio.to_thread(self._store.release, self.name)
        except (sqlite3.Error, OSError) as error:
            log.warning("the store does not take back what this watcher has; others take it all the same: %s", error)

    def _outbox(self) -> Outbox:
        return Outbox(self._store, self.name, self._deliver, self._in_flight)

    async def _write(self, readings: asyncio.Queue[Outcome], groups: Groups, outbox: Outbox) -> None:
        """Store what is read, many readings at a time."""
        while True:
            outcomes = [await readings.get()]
            while not readings.empty() and len(outcomes) < STORED_AT_ONCE:
                outcomes.append(readings.get_nowait())
            changes = await insist("what was read", self._keep, outcomes)
            stored = {change.ref for change in changes if change.kind == "ended"}
            for outcome in outcomes:
                if has_ended(outcome):
                    groups.settled(outcome.ref, outcome.ref in stored)
                    self._is_unsure |= outcome.ref not in stored
                readings.task_done()
            if changes:
                outbox.wake()

    def _keep(self, outcomes: list[Outcome]) -> list[Change]:
        """Store what was read, but for what cannot be stored; return the changes."""
        try:
            return self._put(outcomes)
        except sqlite3.OperationalError:
            raise
        except Exception:
            if len(outcomes) == 1:
                log.exception("%s: what was read cannot be stored", outcomes[0].ref)
                return []
        return [change for outcome in outcomes for change in self._keep([outcome])]

    def _put(self, outcomes: list[Outcome]) -> list[Change]:
        changes = self._store.observe_all(outcome.batch for outcome in outcomes if outcome.batch is not None)
        for outcome in outcomes:
            error: BaseException | None = outcome.error
            if isinstance(error, WaitError):  # what counts is why the last read failed, or that there was none
                error = error.__cause__ or (None if error.last else error)
            if error is not None and not has_ended(outcome):
                self._store.trouble(outcome.ref, error)
            elif error is not None and (change := self._store.refuse(outcome.ref, error)) is not None:
                changes.append(change)
        return changes


def has_ended(outcome: Outcome) -> bool:
    """Return whether there is nothing more to read of a batch."""
    if outcome.error is not None:
        return is_for_good(outcome.error)
    return outcome.unwrap().is_terminal


def paced(store: Store, accounts: Iterable[Account]) -> list[Account]:
    """Return copies of the accounts whose pace is kept in the store, one for each credential."""
    found: list[Account] = []
    names: dict[Hashable, str] = {}
    for account in accounts:
        if isinstance(account.rate_limit, RateLimit):
            name = names.setdefault(account.credential, credential(account))
            found.append(account.with_rate_limit(store.pace(name, account.rate_limit)))
        else:
            found.append(account)
    return found


def credential(account: Account) -> str:
    """Return a name for an account that tells nothing of its keys, the same in every process."""
    text = "\n".join((account.vendor, account.name or "", account.base_url))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def warm_up(accounts: Iterable[Account]) -> None:
    """Load what a first request needs: a read that is late in its slot comes too close to the next one."""
    for account in accounts:
        try:
            account.request("1")
        except Exception:  # noqa: BLE001 (a key's function may fail now and work later; reads tell)
            log.debug("%s: no request can be made yet", account)
