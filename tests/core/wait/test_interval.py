"""When a batch is read next: rules without I/O, against jobs that never were."""

from __future__ import annotations

import bisect
import math
import random
from datetime import UTC, datetime

import pytest
from batchstatus import Batch, BatchRef, BatchState, ConfigurationError, Counts, PollPolicy, TransportError
from batchstatus._core.wait.interval import next_interval
from batchstatus._core.wait.progress import BatchProgress
from hypothesis import given
from hypothesis import strategies as st

REF = BatchRef("gameball", "1")
POLL = PollPolicy()


def reading(state=BatchState.RUNNING, **counts):
    read_at = datetime(2025, 1, 27, tzinfo=UTC)
    given = {"ref": REF, "vendor_status": state.value, "read_at": read_at, "raw": None, "payload": None}
    return Batch(state=state, counts=Counts(**counts), **given)


def followed(job, end):
    """Return how many reads find the end of a job, and how late; `job(now)` gives its counts."""
    track, now, reads = BatchProgress(REF, 0.0), 0.0, 1
    while now < end:
        track.record_poll(reading(**job(now)), now)
        now += next_interval(track, POLL, now)[0]
        reads += 1
    return reads, now - end


def average(jobs):
    reads, late = zip(*jobs, strict=True)
    return sum(reads) / len(reads), sum(late) / len(late)


def test_counts_predict_the_end():
    """Issue's numbers: at most 20 reads and 1.5 s; google-api-core's default takes 37 and 6.8."""
    draw = random.Random(1)

    def job():
        times, now, end = [], 0.0, draw.uniform(0, 600)
        for _ in range(100):
            now += max(0.0, draw.gauss(1, 0.2)) * end / 100
            times.append(now)
        return followed(lambda at: {"total": 100, "processed": bisect.bisect_right(times, at)}, times[-1])

    reads, late = average(job() for _ in range(500))
    assert reads <= 20
    assert late <= 1.5


@pytest.mark.parametrize(("spread", "most_reads", "latest"), [("uniform", 37, 6.5), ("log-uniform", 15.6, 4.5)])
def test_without_counts_it_beats_the_peers(spread, most_reads, latest):
    """The bounds are google-api-core's default schedule on the same ends."""
    draw = random.Random(2)
    ends = [
        draw.uniform(0, 600) if spread == "uniform" else math.exp(draw.uniform(0, math.log(600))) for _ in range(2000)
    ]
    reads, late = average(followed(lambda _: {}, end) for end in ends)
    assert reads <= most_reads
    assert late <= latest


COUNTS = st.none() | st.integers(0, 300)


@pytest.mark.quirk("B32")
@given(
    samples=st.lists(
        st.tuples(st.floats(0.001, 100), st.none() | st.integers(0, 300), st.none() | st.integers(0, 200))
    ),
    hint=st.none() | st.floats(0, 5000),
)
def test_an_interval_is_within_its_bounds(samples, hint):
    """A gap keeps between floor and ceiling whatever the counts do."""
    track, now = BatchProgress(REF, 0.0), 0.0
    for passed, processed, total in samples:
        now += passed
        track.record_poll(reading(processed=processed, total=total), now)
        gap, why = next_interval(track, POLL, now, hint)
        assert POLL.floor <= gap <= (POLL.ceiling if hint is None else max(hint, POLL.floor))
        assert why


def test_falling_counts_restart_the_estimate():
    """Counts that go backwards begin the prediction anew."""
    track = BatchProgress(REF, 0.0)
    for now, processed in ((0.0, 10), (10.0, 90), (20.0, 5), (30.0, 10)):
        track.record_poll(reading(total=100, processed=processed), now)
    assert next_interval(track, POLL, 30.0) == (30.0, "180 s are left by the counts")


def test_a_stalled_job_is_polled_more_rarely():
    """A job that stands still is read ever more rarely."""
    track = BatchProgress(REF, 0.0)
    for now, processed in ((0.0, 0), (10.0, 99)):
        track.record_poll(reading(total=100, processed=processed), now)
    assert next_interval(track, POLL, 11.0)[0] == 1.0
    assert next_interval(track, POLL, 90.0)[0] == 20.0


def test_a_hint_is_obeyed_and_failures_back_off():
    track = BatchProgress(REF, 0.0)
    assert next_interval(track, POLL, 0.0, 77.0)[0] == 77.0
    gaps = []
    for _ in range(8):
        track.record_failure(TransportError("text", ref=REF), 0.0)
        gaps.append(next_interval(track, POLL, 0.0)[0])
    assert gaps == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_probe_makes_no_pause_longer():
    """It is the account that fails then, not the batch."""
    track = BatchProgress(REF, 0.0)
    for counts in (True, True, False, False, False):
        track.record_failure(TransportError("text", ref=REF), 0.0, counts=counts)
    assert next_interval(track, POLL, 0.0) == (2.0, "2 failed in a row")


def test_a_ceiling_below_the_floor_is_refused():
    """A policy whose ceiling is below its floor is refused."""
    with pytest.raises(ConfigurationError, match="ceiling must be at least floor"):
        PollPolicy(floor=10, ceiling=5)
