"""What one answer proves: the rules of evidence, each against a table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from batchstatus import (
    APIError,
    AuthenticationError,
    BadRequest,
    Batch,
    BatchNotFound,
    BatchRef,
    BatchState,
    ConfigurationError,
    Counts,
    InvalidResponse,
    PermissionDenied,
    PollPolicy,
    RateLimited,
    ReadError,
    ServerError,
    TransportError,
)
from batchstatus._core.wait.evidence import AccountEvidence, Doubts, Row, Verdict, is_about_account, is_own, is_refusal

REF, OTHER = BatchRef("gameball", "1"), BatchRef("gameball", "2")
POLL = PollPolicy()
CLASSES = {400: BadRequest, 401: AuthenticationError, 403: PermissionDenied, 404: BatchNotFound, 429: RateLimited}


def answered(status, code="4004"):
    """Return the error of an HTTP status; without a code it is not the vendor's own."""
    cls = CLASSES.get(status, ServerError if status >= 500 else APIError)
    return cls("text", ref=REF, status_code=status, code=code)


def failed(*, is_lasting=False):
    error = TransportError("text", ref=REF)
    error.is_lasting = is_lasting
    return error


def too_large():
    return InvalidResponse("text", ref=REF, status_code=200, is_too_large=True)


def lagging(processed=99):
    return Batch(
        ref=REF, state=BatchState.SUCCEEDED, vendor_status="completed", is_settled=False, raw=None, payload=None,
        counts=Counts(total=100, processed=processed), read_at=datetime(2025, 1, 27, tzinfo=UTC),
    )  # fmt: skip


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 422])
def test_an_own_refusal_has_the_vendors_code(status):
    assert is_refusal(answered(status))
    assert is_refusal(answered(status, None))
    assert is_own(answered(status))
    assert not is_own(answered(status, None))


@pytest.mark.parametrize("status", [407, 408, 425, 429, 500, 503])
def test_an_outage_is_no_refusal(status):
    """Whatever its body says."""
    assert not is_refusal(answered(status))
    assert not is_own(answered(status))


@pytest.mark.parametrize("error", [failed(), too_large(), ReadError("text", ref=REF), ConfigurationError("text")])
def test_what_is_no_answer_is_no_refusal(error):
    assert not is_refusal(error)
    assert not is_own(error)
    assert not is_about_account(error)


@pytest.mark.parametrize(("status", "expected"), [(401, True), (403, True), (404, False), (400, False), (503, False)])
def test_a_401_and_a_403_are_about_the_account(status, expected):
    assert is_about_account(answered(status)) is expected


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0.0, 1.0, 60.0], True),
        ([0.0, 1.0, 59.0], False),
        ([0.0, 60.0], False),
        ([1000.1, 1000.2, 1060.1], True),
        ([0.0, 1.0, None, 60.0], False),
        ([0.0, 30.0, None, 600.0, 629.0], False),
        ([0.0, 30.0, None, None, 600.0, 630.0], True),
        ([], False),
    ],
    ids=["enough", "too short", "too few", "rounded", "an outage", "short", "enough despite one", "none"],
)
def test_a_row_stands_by_number_and_time(times, expected):
    """The time of an outage, a None here, does not count."""
    row = Row()
    for at in times:
        row.interrupt() if at is None else row.add(at)
    assert row.stands(3, 60.0) is expected


def judged(*answers, has_reading=False, is_only=False, is_endless=False):
    """Return the first verdict but NOTHING, and when it came.

    Args:
        *answers: When each poll failed, its batch and why; None for a reading of the other batch.
        has_reading: Whether the account was read before.
        is_only: Whether the account has one open batch.
        is_endless: Whether the wait has no deadline.
    """
    evidence, doubts = AccountEvidence(is_endless=is_endless), {REF: Doubts(), OTHER: Doubts()}
    if has_reading:
        evidence.take_reading()
    for now, ref, error in answers:
        if error is None:
            evidence.take_reading()
            continue
        verdict, reason = evidence.judge(ref, error, doubts[ref], POLL, now, is_only=is_only)
        assert bool(reason) >= (verdict is not Verdict.NOTHING)
        if verdict is not Verdict.NOTHING:
            return now, verdict
    return None


def each(error, *times, ref=REF):
    return [(at, ref, error) for at in times]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param(each(answered(400), 0), (0, Verdict.BATCH), id="400"),
        pytest.param(each(answered(401), 0), (0, Verdict.ACCOUNT), id="401"),
        pytest.param(each(answered(403), 0, 20, 90), None, id="403 of one of two batches"),
        pytest.param([*each(answered(403), 0), *each(answered(403), 1, ref=OTHER)], (1, Verdict.ACCOUNT),
                     id="403 of two batches"),
        pytest.param(
            [*each(answered(403), 0), *each(answered(404), 1, ref=OTHER)], None, id="403 and 404 of two batches"
        ),
        pytest.param(each(answered(404), 0, 1, 14, 15), (15, Verdict.BATCH), id="404"),
        pytest.param(each(answered(418), 0, 15), (15, Verdict.BATCH), id="another 4xx"),
        pytest.param([*each(answered(404), 0, 10), *each(failed(), 20), *each(answered(404), 30, 34, 35)],
                     (35, Verdict.BATCH), id="an outage breaks no row"),
        pytest.param([*each(answered(404), 0), *each(failed(), 20), *each(answered(404), 300)], None,
                     id="an outage's time proves nothing"),
        pytest.param(each(answered(404, None), 0, 15, 29, 30), (30, Verdict.ACCOUNT), id="404 of another's"),
        pytest.param(each(answered(401, None), 0, 1, 30), (30, Verdict.ACCOUNT), id="401 of another's"),
        pytest.param(each(answered(404, None), 0, 40), None, id="two are not enough"),
        pytest.param(each(failed(is_lasting=True), 0, 1, 30), (30, Verdict.ACCOUNT), id="an unknown host"),
        pytest.param(each(ConfigurationError("text"), 0, 1, 30), (30, Verdict.ACCOUNT), id="a lack of keys"),
        pytest.param(each(failed(), 0, 30, 300), None, id="an outage"),
        pytest.param(each(answered(429), 0, 30, 300), None, id="429"),
        pytest.param([*each(failed(is_lasting=True), 0, 1), *each(failed(), 20),
                      *each(failed(is_lasting=True), 21, 40, 45)], None, id="something else between"),
        pytest.param([*each(failed(is_lasting=True), 0, 1), *each(answered(404), 20, ref=OTHER),
                      *each(failed(is_lasting=True), 21, 40, 45)], None, id="an answer between"),
        pytest.param([*each(failed(is_lasting=True), 0, 1), *each(answered(429), 20),
                      *each(failed(is_lasting=True), 21, 40, 45)], None, id="a 429 between"),
        pytest.param(each(too_large(), 0, 1, 2), (2, Verdict.BATCH), id="above max_body"),
        pytest.param([*each(too_large(), 0, 1), *each(failed(), 2), *each(too_large(), 3, 4)], None,
                     id="above max_body, not in a row"),
        pytest.param([*each(too_large(), 0, 1), *each(too_large(), 2, ref=OTHER)], None, id="above max_body, of two"),
    ],
)  # fmt: skip
def test_before_the_first_reading(answers, expected):
    assert judged(*answers) == expected


def test_the_only_batch_that_is_denied_ends_the_account():
    assert judged(*each(answered(403), 0), is_only=True) == (0, Verdict.ACCOUNT)
    assert judged(*each(answered(404), 0), is_only=True) is None


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param(each(answered(404), 0, 1, 59, 60), (60, Verdict.BATCH), id="404"),
        pytest.param(each(answered(404), 0, 90), None, id="404 twice"),
        pytest.param(each(answered(400), 0, 1, 60), (60, Verdict.BATCH), id="400"),
        pytest.param([*each(answered(401), 0), *each(answered(401), 1, 60, ref=OTHER)], (60, Verdict.ACCOUNT),
                     id="401"),
        pytest.param([*each(answered(401), 0, 1), (30, OTHER, None), *each(answered(401), 60)], None,
                     id="401, and a reading between"),
        pytest.param([*each(answered(401), 0, 1), (30, OTHER, None), *each(answered(404), 60)], None,
                     id="401s are not about the batch"),
        pytest.param([*each(answered(403), 0, 1), (30, OTHER, None), *each(answered(403), 60)], (60, Verdict.BATCH),
                     id="403 of one batch"),
        pytest.param([*each(answered(403), 0, 1), *each(answered(403), 60, ref=OTHER)], (60, Verdict.ACCOUNT),
                     id="403 of two"),
        pytest.param([*each(answered(404), 0, 30), *each(answered(503), 31), *each(answered(404), 600, 630)],
                     (630, Verdict.BATCH), id="an outage breaks no row"),
        pytest.param([*each(answered(404), 0, 1), *each(answered(429), 2), *each(answered(404), 600)], None,
                     id="an outage's time proves nothing"),
        pytest.param(each(answered(404, None), 0, 60, 900), None, id="404 of another's"),
        pytest.param(each(failed(is_lasting=True), 0, 60, 900), None, id="an unknown host"),
        pytest.param(each(too_large(), 0, 1, 2), (2, Verdict.BATCH), id="above max_body"),
    ],
)  # fmt: skip
def test_after_a_reading(answers, expected):
    assert judged(*answers, has_reading=True) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (answered(404), (60, Verdict.BATCH)), (answered(401), None), (answered(403), None),
        (answered(404, None), None), (failed(is_lasting=True), None), (too_large(), None),
    ],
    ids=["404", "401", "403", "404 of another's", "an unknown host", "above max_body"],
)  # fmt: skip
def test_an_endless_wait_ends_by_the_batch_alone(error, expected):
    assert judged(*each(error, 0, 1, 60, 600), is_endless=True) == expected


@pytest.mark.parametrize(
    ("settle", "readings", "expected"),
    [
        (10.0, [(0, 99), (2, 99), (5, 99), (10, 99)], [2, 3, 5, None]),
        (10.0, [(0, 97), (2, 98), (5, 99), (10, 99)], [2, 3, 5, None]),
        (10.0, [(0, 97), (10, 98), (15, 99), (20, 99)], [2, 5, 5, None]),
        (10.0, [(0, 99), (7, 99), (40, 99)], [2, 3, None]),
        (3.0, [(0, 99), (2, 99), (3, 99)], [2, 1, None]),
        (1.0, [(0, 99), (1, 99)], [1, None]),
        (0.0, [(0, 99)], [None]),
    ],
    ids=["it stands", "it moved at first", "it moves on", "late looks", "a short settle", "one second", "not at all"],
)  # fmt: skip
def test_a_contradicted_end_is_looked_at_again(settle, readings, expected):
    """The seconds until the next look, and None where it stands."""
    doubts, before, found = Doubts(), None, []
    for now, processed in readings:
        found.append(doubts.settle(lagging(processed), processed == before, now, PollPolicy(settle=settle)))
        before = processed
    assert found == expected


def test_a_reading_dispels_doubts():
    """Those about refusals; those about an end only if it is not contradicted again."""
    doubts = Doubts()
    doubts.refusals.add(0.0)
    doubts.settle(lagging(), is_equal=False, now=0.0, poll=POLL)
    assert doubts.after_reading(lagging()) is doubts
    assert doubts.refusals.count == 0
    assert doubts.after_reading(Batch(
        ref=REF, state=BatchState.RUNNING, vendor_status="running", read_at=lagging().read_at, raw=None, payload=None,
    )) is None  # fmt: skip
