"""The set of batches that one watcher reads, which changes all the time: one running wait, and those that rest."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable

from batchstatus import AsyncBatchClient, AsyncFollow, BatchRef, Durations, Outcome

REST = 30.0
"""Seconds for which batches are left alone after a fault of this package."""
LOST_REST = 900.0
"""Seconds for which a lost batch is left alone, doubled each time in a row."""

log = logging.getLogger("batchstatus")


class WatchSet:
    """All that one watcher reads; `run` reads it.

    Args:
        client: The client that reads.
        found: Takes each reading.
        past: How long batches like each one took.
    """

    def __init__(
        self,
        client: AsyncBatchClient,
        found: Callable[[Outcome], Awaitable[None]],
        past: Callable[[BatchRef], Durations] | None = None,
    ) -> None:
        self._client = client
        self._found = found
        self._past = past
        self._following: AsyncFollow | None = None
        self._open: dict[BatchRef, None] = {}
        """The refs in the running wait, in the order in which they came."""
        self._resting: dict[BatchRef, float] = {}
        """When to read those again that are lost, or that a fault has stopped."""
        self._looks: dict[BatchRef, int] = {}
        """How often in a row a lost batch was still lost."""
        self._ending: set[BatchRef] = set()
        """Ended batches not yet stored."""
        self._read_at: dict[BatchRef, float] = {}
        """When each was read last, on the monotonic clock."""

    def update(self, new: Iterable[BatchRef], gone: Iterable[BatchRef] = ()) -> tuple[list[BatchRef], list[BatchRef]]:
        """Read new refs, too, in the order in which they come, and some not any more; of new ones none rests.

        Returns:
            Those that it did not have, and those of the gone ones that it had.
        """
        lost = [ref for ref in gone if self._has(ref)]
        gained = [ref for ref in new if not self._has(ref)]
        self._drop(set(gone))
        for ref in (fresh := [ref for ref in new if ref not in self._open]):
            self._ending.discard(ref)
            self._forget(ref)
        self._add(fresh)
        return gained, lost

    def _has(self, ref: BatchRef) -> bool:
        return ref in self._open or ref in self._resting or ref in self._ending

    def resume_rested(self) -> None:
        """Read those again that have rested long enough, those first that were read longest ago."""
        now = time.monotonic()
        rested = [ref for ref, until in self._resting.items() if until <= now]
        for ref in rested:
            del self._resting[ref]
        # In any order among equals, so that a batch that breaks the wait is not always before the same ones.
        self._add(sorted(rested, key=lambda ref: (self._read_at.get(ref, 0.0), random.random())))  # noqa: S311

    def mark_ended(self, ref: BatchRef, is_stored: bool) -> None:
        """Forget a ref whose end is stored, or that is not wanted any more; else read it again later."""
        if ref not in self._ending:
            return
        self._ending.discard(ref)
        if is_stored:
            self._forget(ref)
        else:
            self._resting[ref] = time.monotonic() + REST

    def rest_lost(self, refs: Iterable[BatchRef]) -> None:
        """Leave batches alone for some time that the store has as lost, longer each time in a row."""
        lost = [ref for ref in refs if ref in self._open]
        if self._following is not None:
            self._following.discard(lost)
        for ref in lost:
            del self._open[ref]
            looks = self._looks[ref] = self._looks.get(ref, 0) + 1
            self._resting[ref] = time.monotonic() + LOST_REST * 2.0 ** min(looks - 1, 10)

    async def run(self) -> None:
        """Read until cancelled. A wait that fails is begun again, and its batches rest."""
        while True:
            began = time.monotonic()
            try:
                async with self._client.follow(self._open, changes_only=False, history=self._past) as self._following:
                    async for outcome in self._following:
                        if outcome.ref in self._open:
                            await self._take(outcome)
            except Exception:
                log.exception("a wait for %d batches failed; it begins again in %.0f s", len(self._open), REST)
                self._rest_all(began)
            finally:
                self._following = None
            await asyncio.sleep(0)

    def _add(self, refs: list[BatchRef]) -> None:
        self._open |= dict.fromkeys(refs)
        if self._following is not None and refs:
            self._following.add(refs)

    def _drop(self, refs: set[BatchRef]) -> None:
        if self._following is not None:
            self._following.discard(refs.intersection(self._open))
        for ref in refs:
            self._open.pop(ref, None)
            self._ending.discard(ref)
            self._forget(ref)

    def _forget(self, ref: BatchRef) -> None:
        self._resting.pop(ref, None)
        self._read_at.pop(ref, None)
        self._looks.pop(ref, None)

    async def _take(self, outcome: Outcome) -> None:
        ref, batch = outcome.ref, outcome.batch
        await self._found(outcome)  # first: if this is cancelled, the ref is still open
        if batch is None:
            self._open.pop(ref, None)
            self._resting[ref] = time.monotonic() + REST
        elif batch.has_ended:
            self._open.pop(ref, None)
            self._ending.add(ref)
        else:
            self._read_at[ref] = time.monotonic()
            self._looks.pop(ref, None)

    def _rest_all(self, began: float) -> None:
        """Let all rest after the wait failed.

        A batch that was not read in it may have broken it: those are read last, so that none of them starves another.
        """
        now = time.monotonic()
        self._resting |= dict.fromkeys(self._open, now + REST)
        self._read_at |= {ref: now for ref in self._open if self._read_at.get(ref, 0.0) < began}
        self._open.clear()
