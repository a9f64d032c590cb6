"""When to read a batch next. No I/O, no clock: times come in, a gap goes out.

The best evidence decides: the vendor's Retry-After; else the end that processed and total predict; else a gap that
grows with the time waited.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

from ._batch import Batch, BatchRef, BatchState, Counts
from ._errors import BatchStatusError
from ._policy import PollPolicy

SHARE_OF_REMAINING = 0.6
"""A read at this share of the predicted rest: late by 1.0 s after 17 reads, where the whole rest is late by 2.0."""
SHARE_OF_STALL = 0.25
"""Where counts stand still, the gap is at least this share of the time they have."""
SHARE_OF_AGE = 0.5
PLATEAU = 12.0
"""Seconds; without counts the gap stays here from the 24th second to the tenth minute, then grows by age / 50."""
LATE_SHARE = 1 / 50


SMALL = tuple(range(1_001))
"""Counts up to this are kept as these objects: a Gameball batch has at most 1,000 items (vendor docs)."""


class Track:
    """What a wait remembers of one batch: no model, no payload; a hundred thousand of them have to fit."""

    __slots__ = (
        "error",
        "failed",
        "fails",
        "good_at",
        "mark",
        "mark_at",
        "moved_at",
        "processed",
        "read_at",
        "reads",
        "ref",
        "state",
        "succeeded",
        "total",
        "word",
    )

    def __init__(self, ref: BatchRef, now: float) -> None:
        self.ref = ref
        self.state: BatchState | None = None
        self.word = ""
        self.total: int | None = None
        self.processed: int | None = None
        self.succeeded: int | None = None
        self.failed: int | None = None
        self.reads = 0
        self.fails = 0
        """How many reads in a row have failed."""
        self.error: BatchStatusError | None = None
        """Why the last read failed, if it did."""
        self.read_at = now
        """When it was last read, well or badly, or the wait for it began."""
        self.good_at = now
        """When it was last read well, or the wait for it began."""
        self.moved_at = now
        """When state or counts last changed."""
        self.mark: int | None = None
        """Items processed at `mark_at`, from where the end is predicted."""
        self.mark_at = now

    def __lt__(self, other: Track) -> bool:
        """Return any order: a heap asks where all else is equal."""
        return self.ref.id < other.ref.id

    @property
    def counts(self) -> Counts:
        """The counts as last read."""
        return Counts(total=self.total, processed=self.processed, succeeded=self.succeeded, failed=self.failed)

    def seen(self, batch: Batch, now: float) -> bool:
        """Take a reading in; return whether state or counts have changed."""
        state, processed, before = batch.state, _shared(batch.counts.processed), self.processed
        changed = state is not self.state or batch.vendor_status != self.word or batch.counts != self.counts
        if processed is None:
            self.mark = None
        elif self.mark is None or before is None or processed < before or state is not self.state:
            self.mark, self.mark_at = processed, now  # a new beginning: nothing before it predicts
        if changed:
            self.moved_at = now
            self.state, self.word, self.processed = state, sys.intern(batch.vendor_status), processed
            self.total, self.succeeded = _shared(batch.counts.total), _shared(batch.counts.succeeded)
            self.failed = _shared(batch.counts.failed)
        self.good_at = self.read_at = now
        self.fails, self.error = 0, None
        self.reads += 1
        return changed

    def missed(self, error: BatchStatusError, now: float) -> None:
        """Take a failed read in."""
        self.error = error
        self.read_at = now
        self.fails += 1
        self.reads += 1

    def batch(self, now: float, utc: datetime) -> Batch | None:
        """Return the last reading without `raw`, `payload`, failures and results; None before the first."""
        if self.state is None:
            return None
        return Batch(
            ref=self.ref,
            state=self.state,
            vendor_status=self.word,
            counts=self.counts,
            read_at=utc - timedelta(seconds=now - self.good_at),
            raw=None,
            payload=None,
        )


def _shared(count: int | None) -> int | None:
    return SMALL[count] if count is not None and 0 <= count < len(SMALL) else count


def gap_after(track: Track, poll: PollPolicy, now: float, hint: float | None = None) -> tuple[float, str]:
    """Return the seconds until the next read, and why so many."""
    if hint is not None:
        return max(hint, poll.floor), "the vendor asks for it"
    if track.fails:
        return _between(poll, poll.floor * 2.0 ** min(track.fails - 1, 10)), f"{track.fails} failed in a row"
    rest = remaining(track, now)
    if rest is not None:
        stall = SHARE_OF_STALL * (now - track.moved_at)
        return _between(poll, max(SHARE_OF_REMAINING * rest, stall)), f"{rest:.0f} s are left by the counts"
    age = now - track.moved_at
    grown = min(SHARE_OF_AGE * age, max(PLATEAU, LATE_SHARE * age))
    return _between(poll, grown), f"nothing has changed for {age:.0f} s"


def remaining(track: Track, now: float) -> float | None:
    """Return the seconds until the counts will be complete at their pace since the mark; None where they tell none."""
    total, processed = track.total, track.processed
    if not total or processed is None or track.mark is None or processed <= track.mark or now <= track.mark_at:
        return None
    return max(total - processed, 0) * (now - track.mark_at) / (processed - track.mark)


def _between(poll: PollPolicy, gap: float) -> float:
    return min(max(gap, poll.floor), poll.ceiling)
