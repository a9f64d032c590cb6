"""Reads a set of batches that changes all the time.

The client's `watch` is for a set that stands. So each set of new refs is a group with a watch of its own, and a group
joins a new one that is as large: there are few of them, and a ref moves seldom, as each that moves is read at once.
Where groups are joined, what was read longest ago goes first: however often that happens, no batch starves.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing

from attrs import define, field

from batchstatus import (
    APIError,
    AsyncBatchClient,
    AuthenticationError,
    BatchRef,
    BatchStatusError,
    Outcome,
    PermissionDenied,
    RateLimited,
    ServerError,
    WaitError,
    WaitTimeout,
)

LONGEST_WATCH = 6 * 3600.0
"""Seconds after which a watch begins anew."""
DROPPED = 8
"""A group begins anew once an 8th of its refs is not wanted any more."""
REST = 30.0
"""Seconds for which a batch is left alone that could not be read, doubled each time in a row."""
LONGEST_REST = 960.0

log = logging.getLogger("batchstatus")


@define(eq=False)
class Group:
    """One watch, and the refs of it that are still open and wanted."""

    refs: set[BatchRef]
    dropped: int = 0
    task: asyncio.Task[None] = field(init=False)


class Groups:
    """All that one watcher reads.

    Args:
        client: What reads.
        found: Takes each reading, and each error that keeps a batch from being read.
    """

    def __init__(self, client: AsyncBatchClient, found: Callable[[Outcome], Awaitable[None]]) -> None:
        self._client = client
        self._found = found
        self._groups: list[Group] = []
        self._over: set[asyncio.Task[None]] = set()
        self._resting: dict[BatchRef, float] = {}
        """When to read those again that could not be read."""
        self._troubles: dict[BatchRef, int] = {}
        """How often in a row that was so."""
        self._ending: set[BatchRef] = set()
        """Those whose end is on its way into the store."""
        self._read_at: dict[BatchRef, float] = {}
        """By which to read what was read longest ago first: of those that were not read yet, less than 0."""

    def want(self, refs: Iterable[BatchRef]) -> None:
        """Read these, and no others; new ones in the order in which they come."""
        wanted = dict.fromkeys(refs)
        known = self._ending.union(self._resting, *(group.refs for group in self._groups))
        new = [ref for ref in wanted if ref not in known]
        # Before all that were read, in their order: a watcher that begins anew goes on where the last one ended.
        self._read_at |= {ref: float(number - len(new)) for number, ref in enumerate(new)}
        self._add(set(new))
        self._drop(known - wanted.keys())

    def look(self) -> None:
        """Read those again that have rested long enough."""
        now = time.monotonic()
        rested = {ref for ref, until in self._resting.items() if until <= now}
        for ref in rested:
            del self._resting[ref]
        self._add(rested)

    def settled(self, ref: BatchRef, is_stored: bool) -> None:
        """Forget a ref whose end is stored; where it was not, read it again later, unless it is wanted no more."""
        self._ending.discard(ref)
        if is_stored:
            self._forget({ref})
        else:
            self._resting[ref] = time.monotonic() + REST

    async def close(self) -> None:
        """Read no more."""
        for group in self._groups:
            self._end(group)
        self._groups.clear()
        await asyncio.gather(*self._over, return_exceptions=True)

    def _add(self, refs: set[BatchRef]) -> None:
        if not refs:
            return
        while self._groups and len(self._groups[-1].refs) <= len(refs):
            refs |= self._end(self._groups.pop())
        new = Group(refs)
        new.task = asyncio.create_task(self._run(new))
        self._groups.append(new)

    def _drop(self, refs: set[BatchRef]) -> None:
        self._forget(refs)
        anew: set[BatchRef] = set()
        for group in [*self._groups]:
            dropped = len(group.refs & refs)
            group.refs -= refs
            group.dropped += dropped
            if dropped and group.dropped * DROPPED >= len(group.refs):
                self._groups.remove(group)
                anew |= self._end(group)
        self._add(anew)

    def _forget(self, refs: set[BatchRef]) -> None:
        for ref in refs:
            self._resting.pop(ref, None)
            self._read_at.pop(ref, None)
            self._troubles.pop(ref, None)

    def _end(self, group: Group) -> set[BatchRef]:
        """End a group; return what was open in it."""
        refs, group.refs = group.refs, set()
        self._over.add(group.task)
        group.task.add_done_callback(self._over.discard)
        group.task.cancel()
        return refs

    async def _run(self, group: Group) -> None:
        began = time.monotonic()
        order = sorted(group.refs, key=lambda ref: (self._read_at.get(ref, 0.0), random.random()))  # noqa: S311
        try:
            async with aclosing(self._client.watch(order, timeout=LONGEST_WATCH, changes_only=False)) as outcomes:
                async for outcome in outcomes:
                    if outcome.ref in group.refs:
                        await self._take(group, outcome)
        except Exception:
            log.exception("a watch of %d batches failed; it begins anew in %.0f s", len(group.refs), REST)
            now = time.monotonic()
            self._resting |= dict.fromkeys(group.refs, now + REST)
            # A batch that was not read may have broken it: those go last, in any order, so that it starves no other.
            unread = [ref for ref in group.refs if self._read_at.get(ref, 0.0) < began]
            self._read_at |= dict.fromkeys(unread, now)
        if group in self._groups:
            self._groups.remove(group)

    async def _take(self, group: Group, outcome: Outcome) -> None:
        ref, batch, error = outcome.ref, outcome.batch, outcome.error
        await self._found(outcome)  # first: where this is cancelled, the ref is still open
        if error is not None and not is_for_good(error):
            group.refs.discard(ref)
            self._rest(ref, error)
        elif batch is None or batch.is_terminal:
            group.refs.discard(ref)
            self._ending.add(ref)
        else:
            self._read_at[ref] = time.monotonic()
            self._troubles.pop(ref, None)

    def _rest(self, ref: BatchRef, error: BatchStatusError) -> None:
        if isinstance(error, WaitError):
            pause = (isinstance(error, WaitTimeout) and error.retry_after) or 0.0
        else:
            times = self._troubles[ref] = self._troubles.get(ref, 0) + 1
            pause = min(REST * 2.0 ** min(times - 1, 10), LONGEST_REST)
            level = logging.WARNING if times == 1 else logging.DEBUG
            log.log(level, "%s is not read for %.0f s: %s: %s", ref, pause, type(error).__name__, error)
        self._resting[ref] = time.monotonic() + pause


def is_for_good(error: BatchStatusError) -> bool:
    """Return whether the vendor has refused this batch; a key that is refused can be mended, an outage ends."""
    mendable = (AuthenticationError, PermissionDenied, RateLimited, ServerError)
    return isinstance(error, APIError) and not isinstance(error, mendable)
