"""Steps: a wait whose pauses are another program's polls when a wait would, and ends as it would."""

from __future__ import annotations

import json

import pytest
from batchstatus import (
    BatchNotFound,
    BatchState,
    BatchStatusError,
    ConfigurationError,
    RetryPolicy,
    TransportError,
    WaitTimeout,
)
from batchstatus.testing import FakeVendors, failure, reading, refusal

REF = "gameball:1"
GOES_ON = reading("processing", total=10, processed=5)
LATER = reading("processing", total=10, processed=8)
ENDED = reading("completed", total=10, processed=10)
EARLY = reading("completed", total=200, processed=150)

STORIES = {
    "an end": [GOES_ON, LATER, ENDED],
    "nothing known for long": [*["processing"] * 9, "completed"],
    "counts that lag behind": [GOES_ON, EARLY, EARLY, EARLY, EARLY, EARLY, EARLY],
    "counts that come": [EARLY, EARLY, reading("completed", total=200, processed=200)],
    "an outage": [GOES_ON, 503, TransportError, 503, refusal(429, retry_after=7), 502, ENDED],
    "unknown at first": [404, 404, GOES_ON, ENDED],
    "never known": [404],
    "refused for long": [GOES_ON, refusal(403, payload=b"<html>"), *[404] * 20],
    "refused with an outage": [GOES_ON, 404, 404, 503, 404, 404, *[404] * 20],
    "a host that is not there": [failure(is_lasting=True)],
    "bodies that are too large": [GOES_ON, *[b" " * 2_000] * 3],
    "a hint": [reading("processing", retry_after=40), ENDED],
    "a key that is refused": [401],
    "an id that is refused": [400],
}


@pytest.fixture
def client(reader):
    """Both clients in turn, with vendors that play one script."""

    def make(*script, **options):
        vendors = FakeVendors()
        vendors.script(REF, *script)
        return vendors, reader(vendors=vendors, **options)

    return make


def stepped(vendors, client, **options):
    """Go through steps to the end, as an engine does: each checkpoint as text, each pause slept."""
    step = client.step(REF, **options)
    while not step.is_over:
        vendors.clock.sleep(step.pause)
        step = client.step(REF, resume=json.dumps(step.checkpoint))
    return step


def facts(batch):
    return batch and (batch.state, batch.is_settled, batch.counts, batch.problems)


@pytest.mark.parametrize("story", STORIES)
def test_steps_poll_and_end_as_a_wait_does(client, story):
    script, retry = STORIES[story], RetryPolicy(max_body=1_000)
    vendors, waiting = client(*script, retry=retry)
    batch = error = None
    try:
        batch = waiting.wait(REF, timeout=10**6)
    except BatchStatusError as raised:
        error = raised
    others, stepping = client(*script, retry=retry)
    step = stepped(others, stepping)
    assert [at for at, _ in others.reads] == pytest.approx([at for at, _ in vendors.reads], abs=1e-3)
    assert (facts(step.batch), type(step.error)) == (facts(batch), type(error))


def test_a_failed_poll_is_in_its_step(client):
    vendors, one = client(503, GOES_ON)
    step = one.step(REF)
    assert (step.batch, step.error.status_code, step.is_over) == (None, 503, False)
    assert step.pause == pytest.approx(1.0)
    assert (step.reason, len(vendors.reads)) == ("1 failed in a row", 1)


def test_a_refusal_that_is_believed_is_the_last_step(client):
    vendors, one = client(404)
    step = stepped(vendors, one)
    assert isinstance(step.error, BatchNotFound)
    assert (step.pause, vendors.clock.now) == (None, 15.0)


def test_steps_end_in_a_state_that_was_asked_for(client):
    """The checkpoint keeps the states."""
    vendors, one = client("pending", "processing", "completed")
    step = stepped(vendors, one, until={BatchState.RUNNING})
    assert step.batch.state is BatchState.RUNNING


def test_a_step_for_which_the_pace_has_no_slot_sends_nothing(client):
    vendors, one = client(GOES_ON)
    one.step(REF)
    step = one.step(REF, timeout=0.001)
    assert (step.batch, step.error, step.is_over, len(vendors.reads)) == (None, None, False, 1)
    assert step.reason.startswith("nothing was sent")
    vendors.clock.sleep(step.pause)
    assert one.step(REF, timeout=0.001).batch is not None


@pytest.mark.parametrize("resume", ["", "{}", {"batchstatus_checkpoint": 2}], ids=repr)
def test_what_is_no_checkpoint_is_refused(client, resume):
    vendors, one = client(GOES_ON)
    with pytest.raises(ConfigurationError, match="resume takes"):
        one.step(REF, resume=resume)
    assert vendors.reads == []


def test_a_checkpoint_of_another_batch_is_refused(client):
    _, one = client(GOES_ON)
    made = one.step(REF).checkpoint
    with pytest.raises(ConfigurationError, match="about gameball:1, not gameball:2"):
        one.step("gameball:2", resume=made)


def test_a_wait_takes_up_a_step(client):
    vendors, one = client(GOES_ON, ENDED)
    made = one.step(REF).checkpoint
    assert one.wait(REF, resume=made).state is BatchState.SUCCEEDED
    assert len(vendors.reads) == 2


def test_a_step_takes_up_a_wait(client):
    _, one = client(GOES_ON, ENDED)
    with pytest.raises(WaitTimeout) as caught:
        one.wait(REF, timeout=0.5)
    assert one.step(REF, resume=caught.value.checkpoint).is_over


def test_a_wait_tells_its_checkpoints(client):
    """After each poll, failed ones included; any of them can be taken up."""
    vendors, one = client(GOES_ON, 503, LATER, ENDED)
    told = []
    assert one.wait(REF, on_checkpoint=told.append).state is BatchState.SUCCEEDED
    assert (
        [made["attempts"] for made in json.loads(json.dumps(told))]
        == [1, 2, 3, 4]
        == [*range(1, len(vendors.reads) + 1)]
    )
    assert [made["failures"] for made in told] == [0, 1, 0, 0]
    assert one.wait(REF, resume=told[1]).state is BatchState.SUCCEEDED
