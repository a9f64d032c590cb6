"""What an observer is told, and what the log says, by both clients."""

from __future__ import annotations

import itertools
import logging

import pytest
from batchstatus import (
    BatchRef,
    BatchState,
    Believe,
    ConfigurationError,
    EventKind,
    RateLimited,
    ServerError,
    WaitTimeout,
)
from batchstatus.testing import FakeClock
from batchstatus.testing.simulator import Simulator
from raw_server import response, serving

KEY = "test-believe-key"
GOOD = b'{"id": "1", "status": "EXECUTED"}'


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def moving(clock):
    """Both vendors, whose batches move with the clock of the waits."""
    with Simulator(clock=clock.monotonic, epoch=clock.utc()) as simulator:
        yield simulator


def scripted(*answers):
    """Answer one request after the other."""
    left = list(answers)
    return lambda _: [left.pop(0)]


def test_a_wait_emits_readings_and_changes(reader, moving, clock):
    """A wait tells each reading its changes and one end."""
    events = []
    client = reader(*moving.accounts(), clock=clock, on_event=events.append)
    ref = moving.add("believe", seconds=100)
    done = client.wait(ref)
    assert [event.kind.value for event in events if event.kind is not EventKind.ATTEMPT] == [
        "start",
        "change",
        "change",
        "needs_action",
        "change",
        "done",
    ]
    changes = [(event.previous_state, event.batch.state) for event in events if event.kind is EventKind.CHANGE]
    states = [None, BatchState.PENDING, BatchState.REQUIRES_ACTION, BatchState.SUCCEEDED]
    assert changes == list(itertools.pairwise(states))
    reads = [event for event in events if event.kind is EventKind.ATTEMPT]
    assert [event.attempts for event in reads] == list(range(1, len(moving.reads) + 1))
    assert events[-1].batch is done
    assert events[-1].elapsed == clock.now
    assert {event.ref for event in events} == {ref}


def test_an_event_says_when_the_next_poll_is(reader, moving, clock):
    """A reading says when the next one comes and why."""
    events = []
    client = reader(*moving.accounts(), clock=clock, on_event=events.append)
    client.wait(moving.add("gameball", seconds=100, total=200))
    reads = [event for event in events if event.kind is EventKind.ATTEMPT]
    planned = [event.elapsed + event.pause for event in reads[:-1]]
    assert planned == pytest.approx([event.elapsed for event in reads[1:]])
    assert reads[-1].pause is None
    assert {event.reason.lstrip("0123456789") for event in reads if event.remaining} >= {" s are left by the counts"}
    ahead = [event.elapsed + event.remaining for event in reads if event.remaining]
    assert min(abs(end - 100) for end in ahead) < 5, "the counts predict the end"


def test_failures_are_told_with_their_pauses(reader, clock):
    events = []
    down, slow = response(b"", "503 Down"), response(b"", "429 Slow", retry_after="7")
    with serving(scripted(down, slow, response(GOOD))) as server:
        client = reader(Believe(KEY, base_url=server.url), clock=clock, on_event=events.append)
        client.wait("believe:1")
    assert [event.kind.value for event in events] == [
        "start",
        "attempt",
        "retry",
        "trouble",
        "attempt",
        "throttle",
        "retry",
        "attempt",
        "change",
        "done",
    ]
    assert [type(event.error) for event in events[1:7]] == [ServerError] * 3 + [RateLimited] * 3
    assert (events[2].pause, events[2].reason) == (1.0, "1 failed in a row")
    assert (events[5].pause, events[6].pause, events[6].reason) == (7.0, 7.0, "the vendor asks for it")
    assert events[7].error is None
    assert clock.now == 8.0


def test_a_single_read_is_told_in_the_same_words(reader, clock):
    events = []
    with serving(scripted(response(b"", "429 Slow", retry_after="7"), response(GOOD))) as server:
        client = reader(Believe(KEY, base_url=server.url), clock=clock, on_event=events.append)
        batch = client.get("believe:1")
    assert [event.kind.value for event in events] == ["start", "attempt", "throttle", "retry", "attempt", "done"]
    assert [event.attempts for event in events] == [0, 1, 1, 1, 2, 2]
    assert events[-1].batch == batch
    assert events[-1].elapsed == 7.0


def test_a_read_that_fails_is_done_with_its_error(reader, clock):
    events = []
    with serving(lambda _: [response(b"", "503 Down")]) as server:
        client = reader(Believe(KEY, base_url=server.url), clock=clock, on_event=events.append)
        with pytest.raises(ServerError) as caught:
            client.get("believe:1")
    assert [event.kind for event in events].count(EventKind.ATTEMPT) == 4
    assert [event.kind for event in events].count(EventKind.RETRY) == 3
    assert (events[-1].kind, events[-1].error) == (EventKind.DONE, caught.value)
    assert events[-2].reason == "all 4 attempts have failed"


def test_each_ref_of_many_is_done_once(reader, moving, clock):
    """Each ref of many is done once whatever becomes of it."""
    events = []
    client = reader(*moving.accounts(), clock=clock, on_event=events.append)
    refs = [moving.add("gameball", seconds=20), moving.add("believe", status="FINALIZED"), BatchRef("believe", "none")]
    outcomes = client.wait_all([*refs, refs[0]], timeout=60)
    done = {event.ref: event.outcome for event in events if event.kind is EventKind.DONE}
    assert done == outcomes
    assert len([event for event in events if event.kind is EventKind.DONE]) == 3
    assert isinstance(outcomes[refs[1]].error, WaitTimeout)


def test_an_unknown_word_is_told_once(reader, moving, clock):
    """An unknown word is told once for each word."""
    events = []
    client = reader(*moving.accounts(), clock=clock, on_event=events.append)
    for status in ("paused", "paused", "held"):
        client.get(moving.add("gameball", status=status))
    unknown = [event.batch.vendor_status for event in events if event.kind is EventKind.UNKNOWN_WORD]
    assert unknown == ["paused", "held"]


def test_a_failing_observer_loses_nothing(reader, moving, clock, caplog):
    """An observer that fails is logged and loses nothing."""

    def fail(event):
        raise LookupError(event.kind)

    client = reader(*moving.accounts(), clock=clock, on_event=fail)
    assert client.wait(moving.add("gameball", seconds=0)).state is BatchState.SUCCEEDED
    assert [record.levelname for record in caplog.records if "on_event failed" in record.message] == ["ERROR"] * 4


async def coroutine(event):
    """No observer."""


@pytest.mark.parametrize("wrong", [coroutine, "print", 7], ids=["coroutine function", "text", "number"])
def test_a_wrong_observer_is_refused(reader, wrong):
    """An observer that cannot be called is refused."""
    with pytest.raises(ConfigurationError, match="on_event is a plain function"):
        reader(Believe(KEY), on_event=wrong)


def test_the_log_has_readings_and_no_body(reader, moving, clock, caplog):
    """The log has a line for each read and each new state and never a body."""
    caplog.set_level(logging.DEBUG, "batchstatus")
    reader(*moving.accounts(), clock=clock).wait(moving.add("gameball", seconds=60, total=200, failed=3))
    levels = [record.levelname for record in caplog.records if record.name == "batchstatus"]
    assert levels.count("DEBUG") == len(moving.reads)
    assert levels.count("INFO") == len(["pending", "processing", "completed"])
    assert levels.count("WARNING") == 0
    assert "refused" not in caplog.text, "the items of a body are no part of the log"
    assert "; attempt 1 took 0.000 s, next in 1.0 s: nothing has changed for 0 s" in caplog.text


def test_a_log_line_stays_one_line(reader, clock, caplog):
    """A line of the log stays one line whatever the vendor says."""
    caplog.set_level(logging.DEBUG, "batchstatus")
    body = b'{"id": "1", "status": "BAD\\nforged: INFO"}'
    with serving(lambda _: [response(body)]) as server:
        reader(Believe(KEY, base_url=server.url), clock=clock).get("believe:1")
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_events_show_no_key(reader, moving, clock):
    events = []
    client = reader(*moving.accounts(), clock=clock, on_event=events.append)
    client.wait(moving.add("gameball", seconds=30))
    assert not any("test-gameball" in f"{event} {event!r}" for event in events)
