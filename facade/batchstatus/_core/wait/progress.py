"""Per-batch polling state."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

import attrs

from batchstatus._core.errors import BatchStatusError
from batchstatus._core.values import Batch, BatchRef, BatchState, Counts

from .durations import AgeTable
from .evidence import Doubts

# CPython keeps one object for each integer up to 256 only. Batches often have at most 1,000 items, a vendor's limit, so
# sharing the integers up to that saves 28 bytes a count: of 100,000 batches with three counts each, 8 MB.
_SHARED_COUNTS = tuple(range(1_001))


class BatchProgress:
    """Per-batch polling state. Kept small so that 100,000 batches fit in memory: no model, no payload."""

    __slots__ = (
        "baseline",
        "baseline_at",
        "consecutive_failures",
        "doubts",
        "durations",
        "error",
        "failed",
        "is_discarded",
        "last_change_at",
        "last_success_at",
        "polls",
        "processed",
        "read_at",
        "ref",
        "since",
        "spread",
        "state",
        "succeeded",
        "total",
        "vendor_status",
    )

    def __init__(self, ref: BatchRef, now: float) -> None:
        self.ref = ref
        self.durations: AgeTable | None = None
        """How long batches of its kind take; None if that is not learned."""
        self.since = now
        """When its age counts from: when it was created, as the vendor says, else when the wait for it began."""
        self.spread = 0.0
        """Seconds after a reading in which an end is so likely that it is worth a poll; see `placement`."""
        self.is_discarded = False
        self.state: BatchState | None = None
        self.vendor_status = ""
        self.total: int | None = None
        self.processed: int | None = None
        self.succeeded: int | None = None
        self.failed: int | None = None
        self.polls = 0
        self.consecutive_failures = 0
        self.doubts: Doubts | None = None
        self.error: BatchStatusError | None = None
        """Why the last poll failed, if it did."""
        self.read_at = now
        """When the last poll ended, well or badly; before the first, when the wait for it began."""
        self.last_success_at = now
        """When the last good poll ended; before the first, when the wait for it began."""
        self.last_change_at = now
        """When state or counts last changed."""
        self.baseline: int | None = None
        """Items processed at `baseline_at`, from which the end is predicted."""
        self.baseline_at = now

    def __lt__(self, other: BatchProgress) -> bool:
        """Tie-breaker for the heap."""
        return self.ref.id < other.ref.id

    def _has(self, counts: Counts) -> bool:
        """Return whether these are the counts of the last reading."""
        return (
            counts.processed == self.processed
            and counts.total == self.total
            and counts.succeeded == self.succeeded
            and counts.failed == self.failed
        )

    @property
    def counts(self) -> Counts:
        """The counts of the last reading."""
        return Counts(total=self.total, processed=self.processed, succeeded=self.succeeded, failed=self.failed)

    def record_poll(self, batch: Batch, now: float) -> bool:
        """Record a reading; return whether state or counts have changed."""
        state, processed, before = batch.state, _shared(batch.counts.processed), self.processed
        changed = state is not self.state or batch.vendor_status != self.vendor_status or not self._has(batch.counts)
        if processed is None:
            self.baseline = None
        elif self.baseline is None or before is None or processed < before or state is not self.state:
            self.baseline, self.baseline_at = processed, now  # restart the estimate from here
        if changed:
            self.last_change_at = now
            self.state, self.vendor_status, self.processed = state, sys.intern(batch.vendor_status), processed
            self.total, self.succeeded = _shared(batch.counts.total), _shared(batch.counts.succeeded)
            self.failed = _shared(batch.counts.failed)
        if batch.created_at is not None and not self.polls:
            self.since = now - max((batch.read_at - batch.created_at).total_seconds(), 0.0)
        self.last_success_at = self.read_at = now
        self.consecutive_failures, self.error = 0, None
        self.polls += 1
        if self.doubts is not None:
            self.doubts = self.doubts.after_reading(batch)
        return changed

    def record_failure(self, error: BatchStatusError, now: float, *, counts: bool = True) -> None:
        """Record a failed poll.

        Args:
            error: Why it failed.
            now: The time now.
            counts: Whether it makes the pauses longer.
        """
        self.error = error
        self.read_at = now
        self.consecutive_failures += counts
        self.polls += 1

    def doubt(self) -> Doubts:
        """Return the doubts, which are made if there are none."""
        self.doubts = self.doubts or Doubts()
        return self.doubts

    def take_up(self, last: Batch, read_at: float) -> None:
        """Take up a reading from before this wait."""
        self.state, self.vendor_status, counts = last.state, sys.intern(last.vendor_status), last.counts
        self.total, self.processed, self.succeeded, self.failed = attrs.astuple(counts)
        self.last_success_at = read_at

    def batch(self, now: float, utc: datetime) -> Batch | None:
        """Return the last reading without `raw`, `payload`, failures and results; None before the first."""
        if self.state is None:
            return None
        return Batch(
            ref=self.ref,
            state=self.state,
            vendor_status=self.vendor_status,
            counts=self.counts,
            read_at=utc - timedelta(seconds=now - self.last_success_at),
            raw=None,
            payload=None,
        )


def _shared(count: int | None) -> int | None:
    return _SHARED_COUNTS[count] if count is not None and 0 <= count < len(_SHARED_COUNTS) else count
