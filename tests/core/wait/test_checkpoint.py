"""A wait as plain JSON: it round-trips with its evidence, and what is not one is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from batchstatus import Batch, BatchRef, BatchState, BatchStatusError, ConfigurationError, Counts, PollPolicy
from batchstatus._core.values import TERMINAL
from batchstatus._core.wait import checkpoint
from batchstatus._core.wait.evidence import AccountEvidence
from batchstatus._core.wait.progress import BatchProgress
from hypothesis import given
from hypothesis import strategies as st

REF = BatchRef("believe", "550e8400-e29b-41d4-a716-446655440000", "acme")
UTC_NOW = datetime(2025, 1, 27, 12, tzinfo=UTC)
NOW = 1000.0
LATER = timedelta(hours=1)
COUNTS = st.none() | st.integers(0, 2**63 - 1)


def reading(state=BatchState.RUNNING, **counts):
    return Batch(
        ref=REF, state=state, vendor_status="Running", counts=Counts(**counts), raw=None, payload=None,
        read_at=UTC_NOW - timedelta(seconds=5),
    )  # fmt: skip


def dumped(progress=None, evidence=None):
    progress = progress or BatchProgress(REF, NOW - 60.0)
    deadline = UTC_NOW + timedelta(seconds=30)
    return checkpoint.dump(
        progress, evidence or AccountEvidence(), attempts=7, until=TERMINAL, deadline=deadline, now=NOW, utc=UTC_NOW
    )


def taken_up(fields, *, after=LATER, goes_on=False):
    """Return what a wait in another process, an hour later, takes up."""
    progress, evidence = BatchProgress(REF, 5.0), AccountEvidence()
    found = checkpoint.load(json.dumps(fields))
    checkpoint.take_up(found, progress, evidence, 5.0, UTC_NOW + after, goes_on=goes_on)
    return progress, evidence


def test_a_new_wait_has_no_evidence():
    found = checkpoint.load(json.dumps(dumped()))
    assert (found.ref, found.until, found.attempts) == (REF, TERMINAL, 7)
    assert found.deadline == UTC_NOW + timedelta(seconds=30)
    assert (found.has_reading, found.last, found.baseline, found.settling_for) == (False, None, None, None)
    assert (found.refusals, found.account_refusals, found.lasting) == (None, None, None)


@given(
    state=st.sampled_from(BatchState),
    counts=st.fixed_dictionaries(dict.fromkeys(("total", "processed", "succeeded", "failed"), COUNTS)),
)
def test_a_reading_round_trips(state, counts):
    """With its age, so that it is as old for the wait that takes it up."""
    progress = BatchProgress(REF, NOW - 60.0)
    progress.record_poll(reading(state, **counts), NOW - 5.0)
    fields = dumped(progress)
    assert checkpoint.load(fields).last == reading(state, **counts)
    resumed, _ = taken_up(fields)
    assert resumed.batch(5.0, UTC_NOW + LATER) == reading(state, **counts)
    assert not resumed.record_poll(reading(state, **counts), 6.0), "nothing has changed"


@given(
    has_reading=st.booleans(),
    refusals=st.lists(st.floats(NOW - 1e6, NOW), max_size=4).map(sorted),
    of_account=st.lists(st.floats(NOW - 1e6, NOW), max_size=4).map(sorted),
)
def test_evidence_round_trips(has_reading, refusals, of_account):
    """Rows of refusals go on; the time between the two waits proves nothing."""
    progress, evidence = BatchProgress(REF, NOW - 60.0), AccountEvidence()
    evidence.has_reading = has_reading
    for at in refusals:
        progress.doubt().refusals.add(at)
    for at in of_account:
        evidence.refusals.add(at)
    resumed, found = taken_up(dumped(progress, evidence))
    assert found.has_reading is has_reading
    for times, row in ((refusals, resumed.doubt().refusals), (of_account, found.refusals)):
        assert row.count == len(times)
        row.add(5.0)
        assert row.seconds == pytest.approx(times[-1] - times[0] if times else 0.0)


@given(times=st.lists(st.floats(NOW - 1e6, NOW), min_size=1, max_size=4).map(sorted), gap=st.floats(0.0, 1e6))
def test_the_pause_of_a_step_belongs_to_its_rows(times, gap):
    """Unless an outage came last."""
    progress, evidence = BatchProgress(REF, NOW - 60.0), AccountEvidence()
    for at in times:
        for row in (progress.doubt().refusals, evidence.refusals, evidence.lasting):
            row.add(at)
    evidence.lasting.interrupt()
    after = timedelta(seconds=gap)
    resumed, found = taken_up(dumped(progress, evidence), after=after, goes_on=True)
    for row in (resumed.doubt().refusals, found.refusals):
        row.add(5.0)
        assert row.seconds == pytest.approx(NOW + gap - times[0], abs=1e-3)
    found.lasting.add(5.0)
    assert found.lasting.seconds == pytest.approx(times[-1] - times[0])


def test_a_step_takes_up_what_decides_the_next_poll():
    progress = BatchProgress(REF, NOW - 60.0)
    progress.record_poll(reading(total=10, processed=2), NOW - 50.0)
    progress.record_poll(
        attrs.evolve(reading(BatchState.SUCCEEDED, total=10, processed=6), is_settled=False), NOW - 8.0
    )
    progress.doubt().settle(reading(BatchState.SUCCEEDED), False, NOW - 8.0, PollPolicy())
    progress.record_failure(BatchStatusError("no"), NOW - 4.0)
    progress.doubt().too_large = 2
    resumed, _ = taken_up(dumped(progress), after=timedelta(seconds=20), goes_on=True)
    assert (resumed.consecutive_failures, resumed.baseline, resumed.doubts.too_large) == (1, progress.baseline, 2)
    ages = resumed.last_change_at, resumed.baseline_at, resumed.doubts.settling_since
    was = progress.last_change_at, progress.baseline_at, progress.doubts.settling_since
    assert [5.0 - at for at in ages] == pytest.approx([NOW + 20.0 - at for at in was])
    assert (resumed.doubts.unsettled.state, resumed.doubts.unsettled.is_settled) == (BatchState.SUCCEEDED, False)


def test_a_clock_that_was_set_back_makes_nothing_older():
    progress = BatchProgress(REF, NOW)
    progress.record_poll(reading(), NOW)
    resumed = BatchProgress(REF, 5.0)
    checkpoint.take_up(checkpoint.load(dumped(progress)), resumed, AccountEvidence(), 5.0, UTC_NOW - LATER)
    assert resumed.last_success_at == 5.0


GOOD = {
    "batchstatus_checkpoint": 3,
    "ref": str(REF),
    "until": ["succeeded", "failed", "cancelled"],
    "at": "2025-01-27T12:00:00+00:00",
    "deadline": "2025-01-27T12:00:30+00:00",
    "attempts": 7,
    "failures": 1,
    "too_large": 0,
    "has_reading": True,
    "last": {
        "state": "running", "vendor_status": "Running", "counts": {"total": 3}, "read_at": "2025-01-27T11:59:55+00:00",
    },
    "unchanged_for": 5.0,
    "baseline": {"processed": 2, "ago": 20.0},
    "settling_for": None,
    "refusals": {"count": 2, "seconds": 60.0, "ago": None},
    "account_refusals": None,
    "lasting": None,
}  # fmt: skip


def test_a_good_one_is_good():
    found = checkpoint.load(json.dumps(GOOD))
    assert (found.last, found.refusals) == (reading(total=3), checkpoint.RowSoFar(2, 60.0, None))


@pytest.mark.parametrize("bad", ["", "{", "[]", "null", "7", '"text"', "[" * 100_000, b"{}", None, 7, [], {}, [1]])
def test_what_is_no_checkpoint_is_refused(bad):
    with pytest.raises(ConfigurationError, match="resume takes a checkpoint"):
        checkpoint.load(bad)


@pytest.mark.parametrize("name", GOOD)
def test_every_field_is_needed(name):
    with pytest.raises(ConfigurationError, match=name):
        checkpoint.load({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("ref", "no ref"), ("ref", 7), ("until", ["soon"]), ("until", 7), ("until", [[]]),
        ("deadline", "tomorrow"), ("deadline", "2025-01-27T12:00:30"), ("deadline", 7), ("at", None), ("at", "noon"),
        ("attempts", -1), ("attempts", 1.5), ("attempts", None), ("attempts", float("nan")),
        ("last", {}), ("last", "text"), ("last", [1]), ("last", {**GOOD["last"], "state": "soon"}),
        ("last", {**GOOD["last"], "counts": {"other": 1}}), ("last", {**GOOD["last"], "counts": None}),
        ("last", {**GOOD["last"], "read_at": "noon"}),
        ("refusals", {}), ("refusals", {"count": "many", "seconds": 60.0}),
        ("refusals", {"count": 2, "seconds": -1}), ("account_refusals", 7), ("lasting", {"count": 1, "seconds": 1.0}),
        ("refusals", {"count": 2, "seconds": 1.0, "ago": -1}), ("failures", None), ("too_large", -1),
        ("unchanged_for", None), ("unchanged_for", -1.0), ("baseline", {"processed": 2}), ("baseline", 2),
        ("settling_for", "long"), ("settling_for", -1),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_is_refused(name, bad):
    with pytest.raises(ConfigurationError, match="resume takes a checkpoint"):
        checkpoint.load({**GOOD, name: bad})


def test_one_of_another_version_is_named_as_that():
    """The first version had none of the evidence."""
    old = {name: GOOD[name] for name in ("ref", "until", "deadline", "attempts")}
    with pytest.raises(ConfigurationError, match="it is of version 1, not 3"):
        checkpoint.load({"batchstatus_checkpoint": 1, **old})
