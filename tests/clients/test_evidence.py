"""What ends a wait: one odd answer does not. Each test plays a vendor's answers to both clients."""

from __future__ import annotations

import functools
import json
import threading

import pytest
from batchstatus import (
    AuthenticationError,
    BadRequest,
    BatchNotFound,
    BatchRef,
    BatchState,
    Believe,
    EventKind,
    InvalidResponse,
    PermissionDenied,
    PollPolicy,
    RetryPolicy,
    ServerError,
    TransportError,
    WaitStopped,
    WaitTimeout,
)
from batchstatus.testing import FakeVendors, failure, reading, refusal

GOES_ON = reading("processing", total=10, processed=5)
ENDED = reading("completed", total=10, processed=10)
EARLY = reading("completed", total=200, processed=150)
FINAL = reading("completed", total=200, processed=200, failed=2)
PAGE = b"<html>maintenance</html>"
REFUSALS = [400, 401, 403, 404, 407, 409, 410, 421, 422, 423, 451, 499]
REF = "gameball:1"


@pytest.fixture
def vendors():
    return FakeVendors()


@pytest.fixture
def client(reader, vendors):
    """Both clients in turn, whose vendors play scripts."""

    return functools.partial(reader, vendors=vendors)


def times(vendors):
    return [at for at, _ in vendors.reads]


def interrupt(vendors, since, until, step):
    """Let the vendors answer all with one step for some time; their scripts go on after it."""
    play = vendors.play

    def interrupted(request):
        ref, played = play(request)
        if not since <= vendors.clock.now < until:
            return ref, played
        next(script for script in vendors._scripts.values() if script.ref == ref).played -= 1
        return ref, step

    vendors.play = interrupted


# Refusals


def test_a_new_batch_may_not_be_visible_yet(client, vendors):
    vendors.script(REF, 404, GOES_ON, ENDED)
    assert client().wait(REF).state is BatchState.SUCCEEDED


@pytest.mark.parametrize("body", ["own", "page"])
@pytest.mark.parametrize("status", REFUSALS)
def test_one_refusal_in_mid_wait_ends_nothing(client, vendors, status, body):
    vendors.script(REF, GOES_ON, refusal(status, payload=None if body == "own" else PAGE), ENDED)
    assert client().wait(REF).state is BatchState.SUCCEEDED
    assert len(vendors.reads) == 3


def test_a_page_in_front_of_running_batches_ends_none(client, vendors):
    """Of 20 running batches none is given up while something answers 4xx pages for some seconds."""
    refs = [vendors.script(f"gameball:{n}", GOES_ON, GOES_ON, ENDED) for n in range(20)]
    interrupt(vendors, 3.0, 7.0, refusal(403, payload=PAGE))
    outcomes = client().wait_all(refs, timeout=900)
    assert {outcome.unwrap().state for outcome in outcomes.values()} == {BatchState.SUCCEEDED}


@pytest.mark.parametrize("status", [404, 410, 409])
def test_an_unknown_batch_is_raised_after_its_grace(client, vendors, status):
    vendors.script(REF, status)
    with pytest.raises(Exception, match=f"HTTP {status}") as caught:
        client().wait(REF)
    assert vendors.clock.now == 15.0
    assert caught.value.last is None
    assert caught.value.checkpoint["ref"] == REF


def test_the_grace_of_an_unknown_batch_is_a_policy(client, vendors):
    vendors.script(REF, 404)
    with pytest.raises(BatchNotFound):
        client(poll=PollPolicy(not_found_grace=0)).wait(REF)
    assert len(vendors.reads) == 1


@pytest.mark.parametrize(("status", "error"), [(400, BadRequest), (422, BadRequest), (401, AuthenticationError)])
def test_a_first_own_refusal_of_id_or_key_ends_it_at_once(client, vendors, status, error):
    vendors.script(REF, status)
    with pytest.raises(error):
        client().wait(REF)
    assert times(vendors) == [0.0]


def test_a_refused_key_ends_all_of_its_account_with_one_request(client, vendors):
    refs = [vendors.script(f"gameball:{n}", 401) for n in range(40)]
    other = vendors.script("believe:1", "EXECUTED")
    outcomes = client(poll=PollPolicy(in_flight=1)).wait_all([*refs, other], timeout=900)
    assert {type(outcomes[ref].error) for ref in refs} == {AuthenticationError}
    assert [outcomes[ref].error.ref for ref in refs] == refs
    assert outcomes[other].unwrap().state is BatchState.SUCCEEDED
    assert sum(ref.vendor == "gameball" for _, ref in vendors.reads) == 1


def test_a_403_counts_for_the_account_once_two_batches_got_it(client, vendors):
    refs = [vendors.script(f"gameball:{n}", 403) for n in range(9)]
    outcomes = client(poll=PollPolicy(in_flight=1)).wait_all(refs, timeout=900)
    assert {type(outcome.error) for outcome in outcomes.values()} == {PermissionDenied}
    assert len(vendors.reads) == 2


def test_one_denied_batch_costs_the_others_nothing(client, vendors):
    denied, well = vendors.script("gameball:1", 403), vendors.script("gameball:2", GOES_ON, *[GOES_ON] * 9, ENDED)
    outcomes = client().wait_all([denied, well], timeout=900)
    assert outcomes[well].unwrap().state is BatchState.SUCCEEDED
    assert isinstance(outcomes[denied].error, PermissionDenied)


@pytest.mark.parametrize(("status", "error"), [(404, BatchNotFound), (400, BadRequest), (401, AuthenticationError)])
def test_a_batch_that_was_read_is_refused_after_a_minute_of_it(client, vendors, status, error):
    vendors.script(REF, GOES_ON, status)
    with pytest.raises(error) as caught:
        client().wait(REF)
    assert 61.0 <= vendors.clock.now < 95.0
    assert len(vendors.reads) >= 4
    assert caught.value.last.counts.processed == 5
    assert caught.value.is_retryable is False


def test_an_outage_neither_counts_nor_breaks_a_row(client, vendors):
    """Nor does its time: what was refused for two seconds before it and once after it has not been for a minute."""
    vendors.script("gameball:1", GOES_ON, 404, 404, *[503] * 5, 404, ENDED)
    assert client().wait("gameball:1").state is BatchState.SUCCEEDED
    vendors.script("gameball:2", GOES_ON, *[404] * 6, *[503] * 6, 404, 404)
    with pytest.raises(BatchNotFound):
        client().wait("gameball:2")
    assert len([ref for _, ref in vendors.reads if ref.id == "2"]) == 15


def test_a_reading_breaks_a_row(client, vendors):
    vendors.script(REF, GOES_ON, *[404, 404, GOES_ON] * 9, ENDED)
    assert client().wait(REF).state is BatchState.SUCCEEDED


def test_keys_are_asked_anew_after_each_refusal(reader, vendors):
    """A key that was replaced in mid-wait is used at the next poll."""
    keys = iter(["test-old-key", "test-old-key", "test-new-key", "test-new-key"])
    vendors.script("believe:1", "AVAILABLE_TO_QUEUE", 401, "EXECUTED")
    seen = []
    account = Believe(api_key=lambda: seen.append(next(keys)) or seen[-1])
    reader(account, vendors=vendors).wait("believe:1")
    assert seen[-1] == "test-new-key"


def test_a_deadline_before_the_grace_has_the_refusal_as_its_cause(client, vendors):
    vendors.script(REF, 404)
    with pytest.raises(WaitTimeout, match="HTTP 404") as caught:
        client().wait(REF, timeout=10)
    assert isinstance(caught.value.__cause__, BatchNotFound)


@pytest.mark.parametrize("status", [401, 404, 451])
def test_a_refusal_without_the_vendors_body_is_raised_after_its_grace(client, vendors, status):
    vendors.script(REF, refusal(status, payload=PAGE))
    with pytest.raises(Exception, match="without the vendor's error body") as caught:
        client().wait(REF)
    assert 30.0 <= vendors.clock.now < 60.0
    assert caught.value.status_code == status
    assert caught.value.is_retryable is True


def test_a_single_read_has_no_grace(client, vendors):
    """The vendor's own refusal is raised after one attempt; another one is retried first."""
    vendors.script("gameball:1", 404)
    vendors.script("gameball:2", refusal(404, payload=PAGE), ENDED)
    with pytest.raises(BatchNotFound) as caught:
        client().get("gameball:1")
    assert (caught.value.attempts, caught.value.is_retryable) == (1, False)
    assert client().get("gameball:2").attempts == 2


# Ends


def test_a_terminal_word_before_the_final_counts_is_no_end(client, vendors):
    vendors.script(REF, EARLY, FINAL)
    batch = client().wait(REF)
    assert (batch.counts.processed, batch.counts.failed, batch.has_failures) == (200, 2, True)
    assert batch.has_ended
    assert batch.problems == ()
    assert times(vendors) == [0.0, 2.0]


def test_counts_that_stay_wrong_stand_with_a_problem(client, vendors):
    vendors.script(REF, EARLY)
    batch = client().wait(REF)
    assert times(vendors) == [0.0, 2.0, 5.0, 10.0]
    assert batch.has_ended
    assert batch.problems == ("counts: it has succeeded with 150 of 200 items processed",)


def test_counts_may_stand_still_before_they_are_final(client, vendors):
    vendors.script(REF, EARLY, EARLY, EARLY, FINAL)
    assert client().wait(REF).counts.failed == 2


def test_counts_that_still_move_are_looked_at_again(client, vendors):
    vendors.script(REF, *(reading("completed", total=200, processed=150 + n) for n in range(6)), FINAL)
    assert client().wait(REF).counts.failed == 2
    assert times(vendors) == [0.0, 2.0, 5.0, 10.0, 15.0, 20.0, 25.0]


def test_an_end_that_goes_back_to_open_resumes_the_wait(client, vendors):
    vendors.script(REF, EARLY, GOES_ON, GOES_ON, ENDED)
    assert client().wait(REF).counts.total == 10
    vendors.assert_played()


def test_an_unsettled_end_is_the_result_at_the_deadline(client, vendors):
    vendors.script(REF, EARLY)
    batch = client().wait(REF, timeout=6)
    assert (batch.state, batch.counts.processed, batch.has_ended) == (BatchState.SUCCEEDED, 150, False)
    assert "150 of 200" in batch.problems[0]


def test_an_unsettled_end_is_shown_at_once_and_told_again_as_final(client, vendors):
    vendors.script(REF, EARLY, FINAL)
    outcomes = client().watch(REF, timeout=900)
    assert [(found.batch.counts.processed, found.batch.has_ended) for found in outcomes] == [(150, False), (200, True)]


def test_get_does_not_wait_for_counts(client, vendors):
    vendors.script(REF, EARLY)
    batch = client().get(REF)
    assert (batch.is_terminal, batch.is_settled, batch.has_ended, len(vendors.reads)) == (True, False, False, 1)


def test_settling_is_a_policy(client, vendors):
    vendors.script(REF, EARLY)
    assert client(poll=PollPolicy(settle=0)).wait(REF).has_ended
    assert len(vendors.reads) == 1


@pytest.mark.parametrize("word", ["canceled", "Cancelled", "CANCELED"])
def test_an_end_is_heard_in_other_spellings(client, vendors, word):
    vendors.script(REF, {"batchId": "1", "status": "in_progress"}, {"batchId": "1", "status": word})
    assert client().wait(REF).state is BatchState.CANCELLED


# Outages


def test_only_the_timeout_ends_a_wait_through_an_outage(client, vendors):
    vendors.script(REF, GOES_ON, *[503] * 20, ENDED)
    assert client().wait(REF, timeout=7200).state is BatchState.SUCCEEDED
    assert vendors.clock.now > 400


def test_an_outage_from_the_beginning_ends_by_the_timeout(client, vendors):
    vendors.script(REF, TransportError)
    with pytest.raises(WaitTimeout) as caught:
        client().wait(REF, timeout=3600)
    assert vendors.clock.now == 3600.0
    assert isinstance(caught.value.__cause__, TransportError)


@pytest.mark.parametrize(
    ("step", "error"), [(failure(is_lasting=True), TransportError), (PAGE, InvalidResponse), (302, InvalidResponse)]
)
def test_what_time_does_not_mend_is_raised_after_its_grace(client, vendors, step, error):
    vendors.script(REF, step)
    with pytest.raises(error):
        client().wait(REF, timeout=1800)
    assert 30.0 <= vendors.clock.now < 60.0


def test_what_time_does_not_mend_ends_nothing_once_the_account_was_read(client, vendors):
    vendors.script(REF, GOES_ON, *[PAGE] * 9, ENDED)
    assert client().wait(REF, timeout=7200).state is BatchState.SUCCEEDED


def test_an_outage_is_told_at_once_and_once_a_minute(client, vendors, caplog):
    vendors.script(REF, 503)
    with pytest.raises(WaitTimeout):
        client().wait(REF, timeout=600)
    told = [record.getMessage() for record in caplog.records if "the wait goes on" in record.getMessage()]
    assert 8 <= len(told) <= 10


def test_a_body_above_max_body_is_raised_after_three(client, vendors):
    vendors.script(REF, {"batchId": "1", "status": "completed", "results": ["x" * 200]})
    with pytest.raises(InvalidResponse, match="max_body") as caught:
        client(retry=RetryPolicy(max_body=100)).wait(REF)
    assert len(vendors.reads) == 3
    assert caught.value.is_too_large
    vendors.script("gameball:2", {"batchId": "2", "status": "completed", "results": ["x" * 200]})
    assert client(retry=RetryPolicy(max_body=1000)).wait("gameball:2").has_ended


# Accounts


def test_a_revoked_key_costs_few_requests_and_lines(client, vendors, caplog):
    """400 running batches whose key is revoked: they end after a minute of it, and the vendor is hardly asked."""
    refs = [vendors.script(f"gameball:{n}", GOES_ON, 401) for n in range(400)]
    outcomes = client(poll=PollPolicy(floor=5.0)).wait_all(refs, timeout=3600)
    assert {type(outcome.error) for outcome in outcomes.values()} == {AuthenticationError}
    assert len(vendors.reads) - 400 < 50
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) <= 6


def test_an_account_in_trouble_is_probed_and_soon_well_again(client, vendors):
    """After 50 minutes of 503 it is polled again within half a minute."""
    refs = [vendors.script(f"believe:{n}", *["AVAILABLE_TO_QUEUE"], "EXECUTED") for n in range(30)]
    interrupt(vendors, 20.0, 3020.0, refusal(503))
    events = []
    client(on_event=events.append, poll=PollPolicy(floor=30.0)).wait_all(refs, timeout=7200)
    during = [at for at in times(vendors) if 20.0 <= at < 3020.0]
    assert len(during) < 130
    assert min(at for at in times(vendors) if at >= 3020.0) <= 3051.0
    kinds = [event.kind for event in events]
    assert kinds.count(EventKind.CLOSED) == kinds.count(EventKind.REOPENED) == 1


def test_each_probe_is_of_another_batch(client, vendors):
    refs = [vendors.script(f"believe:{n}", 503) for n in range(8)]
    client().wait_all(refs, timeout=300)
    probed = [ref for at, ref in vendors.reads if at > 2]
    assert len(set(probed[:7])) == 7


def test_a_long_retry_after_of_one_answer_holds_one_batch(client, vendors):
    one = vendors.script("gameball:1", GOES_ON, refusal(503, retry_after=7200), ENDED)
    others = [vendors.script(f"gameball:{n}", GOES_ON, GOES_ON, ENDED) for n in range(2, 6)]
    client().wait_all([one, *others], timeout=8000)
    assert max(at for at, ref in vendors.reads if ref in others) < 60
    assert max(at for at, ref in vendors.reads if ref == one) >= 3600


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_above_the_maximum_counts_as_the_maximum(client, vendors, status):
    vendors.script(REF, refusal(status, retry_after=7200), ENDED)
    client().wait(REF, timeout=8000)
    assert times(vendors) == [0.0, 3600.0]


def test_a_hint_ends_no_wait(client, vendors):
    """One that leads past the deadline moves the next poll to the last one before it."""
    vendors.script(REF, GOES_ON, refusal(503, retry_after=500), ENDED)
    assert client().wait(REF, timeout=60).state is BatchState.SUCCEEDED
    assert 55 <= vendors.clock.now < 60


# Time


def test_a_freeze_across_the_deadline_gives_one_last_poll(client, vendors):
    """The process stood still, and the batch ended meanwhile."""
    vendors.script(REF, GOES_ON, ENDED)
    frozen = []

    def freeze(event):
        if event.kind is EventKind.ATTEMPT and not frozen:
            frozen.append(vendors.clock.sleep(5000.0))

    assert client(on_event=freeze).wait(REF, timeout=60).state is BatchState.SUCCEEDED


def test_after_a_freeze_the_stalest_are_polled_first_within_five_seconds(client, vendors):
    refs = [vendors.script(f"gameball:{n}", GOES_ON) for n in range(200)]
    events = []

    def freeze(event):
        events.append(event)
        if sum(one.kind is EventKind.ATTEMPT for one in events) == 200:
            vendors.clock.sleep(5000.0)

    outcomes = client(on_event=freeze).wait_all(refs, timeout=60)
    assert {type(outcome.error) for outcome in outcomes.values()} == {WaitTimeout}
    late = [(at, ref) for at, ref in vendors.reads if at > 100]
    assert 30 < len(late) < 60
    assert late[-1][0] - late[0][0] <= 5.0
    assert [ref for _, ref in late] == [ref for _, ref in vendors.reads[: len(late)]]


def test_resuming_after_the_deadline_gives_one_last_poll(client, vendors):
    vendors.script(REF, GOES_ON, GOES_ON, ENDED)
    with pytest.raises(WaitTimeout) as caught:
        client(poll=PollPolicy(floor=30.0, ceiling=30.0)).wait(REF, timeout=20)
    vendors.clock.sleep(1000.0)
    assert client().wait(REF, resume=json.dumps(caught.value.checkpoint)).state is BatchState.SUCCEEDED


def test_a_checkpoint_carries_the_evidence(client, vendors):
    """Refusals before it count, as does that the batch was read."""
    vendors.script(REF, GOES_ON, 404)
    with pytest.raises(WaitTimeout) as caught:
        client().wait(REF, timeout=40)
    again = client()
    with pytest.raises(BatchNotFound) as ended:
        again.wait(REF, timeout=900, resume=caught.value.checkpoint)
    assert vendors.clock.now == pytest.approx(61.0, abs=31)
    assert ended.value.last.counts.processed == 5
    assert ended.value.last.state is BatchState.RUNNING


def test_a_reading_knows_when_its_request_was_sent(client, vendors):
    vendors.script(REF, reading("processing", seconds=3.0))
    first, second = client().get(REF), client().get(REF)
    assert (first.asked_at.seconds, second.asked_at.seconds) == (0.0, 3.0)
    assert first.asked_at.is_before(second.asked_at)
    assert not second.asked_at.is_before(first.asked_at)


def test_an_error_that_ends_a_wait_says_whether_a_later_one_may_succeed(client, vendors):
    """`is_retryable` says what the rules know."""
    found = {}
    steps = {"own": 404, "not own": refusal(404, payload=PAGE), "503": 503, "407": 407, "429": 429, "page": PAGE}
    for number, (name, step) in enumerate(steps.items(), 1):
        ref = vendors.script(f"gameball:{number}", step)
        outcome = client().get_many([ref], timeout=90)[BatchRef.parse(ref)]
        found[name] = outcome.error.is_retryable
    assert found == {"own": False, "not own": True, "503": True, "407": True, "429": True, "page": False}


def test_a_stopped_wait_carries_the_last_reading(vendors):
    stop = threading.Event()
    vendors.script(REF, GOES_ON)

    def stop_after_reading(event):
        if event.kind is EventKind.ATTEMPT:
            stop.set()

    with vendors.client(on_event=stop_after_reading) as client, pytest.raises(WaitStopped) as caught:
        client.wait(REF, stop=stop)
    assert caught.value.last.counts.processed == 5


def test_an_outage_of_a_server_is_the_cause_of_a_timeout(client, vendors):
    vendors.script(REF, 503)
    with pytest.raises(WaitTimeout) as caught:
        client().wait(REF, timeout=5)
    assert isinstance(caught.value.__cause__, ServerError)


def test_an_answer_from_before_a_freeze_is_not_the_last_one(client, vendors):
    """The process stood still while a poll was under way, whose answer is as old: it is asked once more."""
    vendors.script(REF, GOES_ON, GOES_ON, ENDED)
    play, polls = vendors.play, []

    def frozen(request):
        polls.append(vendors.clock.now)
        found = play(request)
        if len(polls) == 2:
            vendors.clock.sleep(5000.0)
        return found

    vendors.play = frozen
    assert client().wait(REF, timeout=60).state is BatchState.SUCCEEDED


def test_a_closed_account_is_probed_once_more_before_the_deadline(client, vendors):
    """So that an outage that ends in the last half minute costs no end."""
    refs = [vendors.script(f"gameball:{n}", ENDED) for n in range(3)]
    interrupt(vendors, 0.0, 100.0, refusal(503))
    outcomes = client().wait_all(refs, timeout=120)
    assert {outcome.unwrap().state for outcome in outcomes.values()} == {BatchState.SUCCEEDED}


def test_an_unsettled_end_leaves_a_watch_with_an_outcome(client, vendors):
    """Even if refusals end it."""
    vendors.script(REF, EARLY, 404)
    outcomes = client().watch(REF, timeout=1800)
    assert [found.batch.has_ended for found in outcomes] == [False, False]
    assert vendors.clock.now < 100


@pytest.mark.parametrize("step", [refusal(202, retry_after=10), {"batchId": "1"}, {"batchId": "2", "status": "failed"}])
def test_an_answer_that_may_be_early_is_waited_through(client, vendors, step):
    """Accepted, no status yet, or a mix-up: time mends that."""
    vendors.script(REF, *[step] * 9, ENDED)
    assert client().wait(REF).state is BatchState.SUCCEEDED


def test_a_short_hint_makes_no_storm(client, vendors):
    vendors.script(REF, refusal(503, retry_after=0))
    with pytest.raises(WaitTimeout):
        client().wait(REF, timeout=3000)
    assert len(vendors.reads) < 120


def test_a_hint_counts_while_counts_settle(client, vendors):
    vendors.script(REF, reading("completed", total=200, processed=150, retry_after=60), FINAL)
    client().wait(REF)
    assert times(vendors) == [0.0, 60.0]


def test_a_long_429_is_told(client, vendors, caplog):
    vendors.script(REF, refusal(429, retry_after=30))
    with pytest.raises(WaitTimeout):
        client().wait(REF, timeout=1800)
    told = [record for record in caplog.records if record.levelname == "WARNING"]
    assert 15 <= len(told) <= 31


def test_an_error_says_how_long_it_was_doubted(client, vendors):
    vendors.script(REF, 404)
    with pytest.raises(BatchNotFound, match="the vendor has refused it for 15 s"):
        client().wait(REF)


def test_a_long_number_may_be_an_id(client, vendors):
    vendors.script("gameball:12345678901234567890", {"batchId": 12345678901234567890, "status": "completed"})
    assert client().get("gameball:12345678901234567890").has_ended
