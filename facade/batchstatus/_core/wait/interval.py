"""When to poll a batch next. No I/O, no clock: times come in, an interval goes out.

The best evidence decides: the vendor's Retry-After; else the end that processed and total predict; else an interval
that grows with the time waited.
"""

from __future__ import annotations

from batchstatus._core.policies import PollPolicy

from .progress import BatchProgress

SHARE_OF_REMAINING = 0.6
"""A poll at this share of the predicted rest: late by 1.0 s after 17 polls; at the whole rest it is late by 2.0 s."""
SHARE_OF_STALL = 0.25
"""If counts stand still, the interval is at least this share of the time they have."""
SHARE_OF_AGE = 0.5
PLATEAU = 12.0
"""Seconds; without counts the interval stays here from the 24th second to the tenth minute, then grows by age / 50."""
LATE_SHARE = 1 / 50


def next_interval(
    progress: BatchProgress, poll: PollPolicy, now: float, hint: float | None = None
) -> tuple[float, str]:
    """Return the seconds until the next poll, and the reason."""
    failures = progress.consecutive_failures
    if failures:
        backoff = _between(poll, poll.floor * 2.0 ** min(failures - 1, 10))
        if hint is None or hint < backoff:
            return backoff, f"{failures} failed in a row"
    if hint is not None:
        return max(hint, poll.floor), "the vendor asks for it"
    rest = remaining(progress, now)
    if rest is not None:
        stall = SHARE_OF_STALL * (now - progress.last_change_at)
        return _between(poll, max(SHARE_OF_REMAINING * rest, stall)), f"{rest:.0f} s are left by the counts"
    age = now - progress.last_change_at
    grown = min(SHARE_OF_AGE * age, max(PLATEAU, LATE_SHARE * age))
    return _between(poll, grown), f"nothing has changed for {age:.0f} s"


def remaining(progress: BatchProgress, now: float) -> float | None:
    """Return the seconds until the counts are complete at their pace since the baseline; None if that is unknown."""
    total, processed, baseline = progress.total, progress.processed, progress.baseline
    if not total or processed is None or baseline is None or processed <= baseline or now <= progress.baseline_at:
        return None
    return max(total - processed, 0) * (now - progress.baseline_at) / (processed - baseline)


def _between(poll: PollPolicy, interval: float) -> float:
    return min(max(interval, poll.floor), poll.ceiling)
