"""When to poll a batch next. No I/O, no clock: times come in, an interval goes out.

The best evidence decides: the vendor's Retry-After; else the end that processed and total predict; else how long
batches like it took, once that is known; else an interval that grows with the time waited.
"""

from __future__ import annotations

from collections.abc import Callable

from batchstatus._core.policies import PollPolicy

from .durations import AgeTable
from .progress import BatchProgress

SHARE_OF_REMAINING = 0.6
"""A poll at this share of the predicted rest: late by 1.0 s after 17 polls; at the whole rest it is late by 2.0 s."""
SHARE_OF_STALL = 0.25
"""If counts stand still, the interval is at least this share of the time they have."""
SHARE_OF_AGE = 0.5
PLATEAU = 12.0
"""Seconds; without counts the interval stays here from the 24th second to the tenth minute, then grows by age / 50."""
LATE_SHARE = 1 / 50
ALIVE = 0.02
"""Batches that take longer than all but this share of the others do not count for the number of polls."""
MAX_POLLS = 200
HALVINGS = 16
"""Of the range of prices, in logarithms, from a thousandth of the floor to the ceiling."""


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
    table = progress.durations
    if table is not None and table.is_known:
        age = max(now - progress.since, 0.0)
        return _learned(table, age, poll, _price(table, poll)), f"as other batches end that are {age:.0f} s old"
    age = now - progress.last_change_at
    return _grown(age, poll), f"nothing has changed for {age:.0f} s"


def expected_rest(progress: BatchProgress, now: float) -> float | None:
    """Return the seconds until the end, by the counts, else by what is known of other batches; None if nothing is."""
    rest, table = remaining(progress, now), progress.durations
    if rest is None and table is not None and table.is_known:
        return table.remaining(max(now - progress.since, 0.0))
    return rest


def remaining(progress: BatchProgress, now: float) -> float | None:
    """Return the seconds until the counts are complete at their pace since the baseline; None if that is unknown."""
    total, processed, baseline = progress.total, progress.processed, progress.baseline
    if not total or processed is None or baseline is None or processed <= baseline or now <= progress.baseline_at:
        return None
    return max(total - processed, 0) * (now - progress.baseline_at) / (processed - baseline)


def _grown(age: float, poll: PollPolicy) -> float:
    return _between(poll, min(SHARE_OF_AGE * age, max(PLATEAU, LATE_SHARE * age)))


def _learned(table: AgeTable, age: float, poll: PollPolicy, price: float) -> float:
    return _between(poll, table.solve(age, price, poll.ceiling, poll.ceiling))


def _price(table: AgeTable, poll: PollPolicy) -> float:
    """Return the price at which a batch takes as many polls as by an interval that grows with its age."""
    if table.own >= table.price_until:
        most = _polls(table, lambda age: _grown(age, poll))
        low, high = poll.floor / 1_000, poll.ceiling
        for _ in range(HALVINGS):
            middle = (low * high) ** 0.5
            if _polls(table, lambda age, price=middle: _learned(table, age, poll, price)) > most:  # type: ignore[misc]
                low = middle
            else:
                high = middle
        table.price, table.price_until = high, max(table.own + 20, table.own * 3 // 2)
    return table.price


def _polls(table: AgeTable, interval: Callable[[float], float]) -> float:
    """Return how many polls a batch takes on average."""
    age, alive, polls = 0.0, 1.0, 0
    expected = 0.0
    while alive > ALIVE and polls < MAX_POLLS:
        expected += alive
        later = age + interval(age)
        alive *= table.alive(age, later)
        age, polls = later, polls + 1
    return expected


def _between(poll: PollPolicy, interval: float) -> float:
    return min(max(interval, poll.floor), poll.ceiling)
