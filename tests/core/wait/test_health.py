"""When the trouble of an account closes it, and when it is asked again: rules without I/O."""

from __future__ import annotations

import math

import pytest
from batchstatus import BatchRef, PermissionDenied, RetryPolicy, ServerError, TransportError
from batchstatus._core.wait.health import Health
from batchstatus._core.wait.progress import BatchProgress

RETRY = RetryPolicy()
REFS = [BatchRef("gameball", number) for number in range(5)]


def failed(retry_after=None):
    return ServerError("text", ref=REFS[0], status_code=503, retry_after=retry_after)


def closed(error=None, now=0.0):
    """Return the health of an account that has just been closed by its fifth failure."""
    health = Health()
    for ref in REFS:
        health.take_failure(ref, error or failed(), now, RETRY)
    assert health.is_closed
    return health


@pytest.mark.parametrize(
    ("numbers", "closes"),
    [([0, 1, 2, 3, 4], True), ([0, 1, 2, 0, 1], True), ([0, 1, 0, 1, 0, 1, 0], False), ([0] * 9, False)],
    ids=["five batches", "three batches", "two batches", "one batch"],
)
def test_five_failures_of_three_batches_close_it(numbers, closes):
    health = Health()
    told = [health.take_failure(REFS[number], failed(), 0.0, RETRY) for number in numbers]
    assert told == [False] * (len(numbers) - 1) + [closes]
    assert health.is_closed is closes


def test_an_answer_begins_the_row_anew():
    health = Health()
    for ref in REFS[:4]:
        health.take_failure(ref, failed(), 0.0, RETRY)
    assert not health.take_answer()
    assert not any(health.take_failure(ref, failed(), 0.0, RETRY) for ref in REFS[:4])


@pytest.mark.parametrize(
    ("error", "pauses"),
    [
        (failed(), [1, 2, 4, 8, 16, 30, 30]),
        (PermissionDenied("text", ref=REFS[0], status_code=403), [30, 60, 60]),
        (TransportError("text", ref=REFS[0]), [1, 2, 4]),
    ],
    ids=["an outage", "a refused key", "no connection"],
)
def test_probes_come_ever_more_seldom(error, pauses):
    health, now = closed(error), 0.0
    for pause in pauses:
        assert health.opens_at() == now + pause
        now = health.opens_at()
        health.take_failure(REFS[0], error, now, RETRY)
        health.plan_probe(now)


def test_the_last_failure_decides_on_the_pause():
    """An account whose key is refused after an outage is asked like one whose key is refused."""
    health = closed()
    health.take_failure(REFS[0], PermissionDenied("text", ref=REFS[0], status_code=403), 1.0, RETRY)
    health.plan_probe(1.0)
    assert health.opens_at() == 61.0


def test_one_probe_at_a_time():
    health = closed()
    health.probe = BatchProgress(REFS[0], 0.0)
    assert health.opens_at() == math.inf


def test_an_answer_opens_it():
    """Another poll may bring it while the probe is under way; the next trouble begins from the first pause."""
    health = closed()
    health.probe = BatchProgress(REFS[0], 0.0)
    assert health.take_answer()
    assert (health.is_closed, health.probe, health.error, health.opens_at()) == (False, None, None, -math.inf)
    for ref in REFS:
        health.take_failure(ref, failed(), 50.0, RETRY)
    assert health.opens_at() == 51.0


@pytest.mark.parametrize(
    ("hints", "held_until"),
    [
        ([20], 20), ([20, 10], 20), ([60], 60), ([61], -math.inf), ([61, 20, 61], 20), ([300, 400], 400),
        ([9999, 9999], 3600), ([None], -math.inf),
    ],
    ids=["20 s", "the longer one", "60 s", "long once", "long, not in a row", "long twice", "above the most", "none"],
)  # fmt: skip
def test_a_hint_holds_the_account(hints, held_until):
    """A long one does only if it is said twice in a row."""
    health = Health()
    for hint in hints:
        health.take_failure(REFS[0], failed(hint), 0.0, RETRY)
    assert health.opens_at() == held_until
    assert health.opens_at(last=5.0) == min(held_until, 5.0)


def test_an_answer_between_makes_a_long_hint_the_first():
    health = Health()
    health.take_failure(REFS[0], failed(300), 0.0, RETRY)
    health.take_failure(REFS[1], failed(300), 1.0, RETRY, duration=1.5)
    assert health.held_until < 0.0, "the two were in flight together"
    health.take_answer()
    health.take_failure(REFS[0], failed(300), 0.0, RETRY)
    assert health.opens_at() == -math.inf


def test_a_hint_puts_off_a_probe_until_the_last_polls():
    health = closed(failed(300))
    assert health.opens_at() == 300.0
    assert health.opens_at(last=50.0) == 50.0
    assert health.opens_at(last=0.5) == 1.0, "the probe has its own pause"


def test_trouble_is_told_once_a_minute():
    health = Health()
    assert [health.is_worth_telling(now) for now in (0.0, 1.0, 59.0, 60.0, 61.0, 130.0)] == [
        True, False, False, True, False, True,
    ]  # fmt: skip
