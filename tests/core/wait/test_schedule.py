"""Whole waits without I/O: whatever the vendors answer, and however long they take, under a virtual clock."""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from datetime import timedelta

import pytest
from batchstatus import (
    BatchState,
    EventKind,
    PollPolicy,
    ReadError,
    WaitError,
    WaitStopped,
    WaitTimeout,
)
from batchstatus._core.pacing import LATE
from batchstatus._core.wait.checkpoint import load
from batchstatus._core.wait.schedule import ENDING, MAX_ENDED_AT_ONCE, MAX_LAST_POLL, MIN_FAILURES
from hypothesis import example, given
from hypothesis import strategies as st
from schedule_model import (
    ALMOST_UP,
    ANY,
    ENDINGS,
    ENDS,
    ENOUGH,
    EPS,
    FAILING,
    KEY,
    NO_CONNECTION,
    OPEN,
    PACED,
    PENDING,
    PUNCTUAL,
    ROOMY,
    SPACING,
    START,
    THROTTLED,
    Plan,
    Reading,
    Refusal,
    Wait,
    hundredths,
    plans,
    scripts,
    utc,
)

pytestmark = pytest.mark.timeout(240)  # an example that fails is shrunk first, which takes its time


@ENOUGH
@given(ANY)
def test_each_batch_is_done_exactly_once(plan):
    """Each batch is done once and nothing is told of it after."""
    wait, kinds = Wait(plan), defaultdict(list)
    for _, event in wait.told:
        kinds[event.ref].append(event.kind)
    assert set(kinds) == set(wait.refs)
    assert all(told.index(EventKind.DONE) == len(told) - 1 for told in kinds.values())
    assert wait.schedule.open == 0


@ENOUGH
@given(ANY)
def test_a_wait_ends_in_time_and_few_steps(plan):
    """A wait is over in time and after a few steps for each read."""
    wait = Wait(plan)
    assert wait.ended <= wait.deadline + plan.late + EPS
    stopping = max(0.0, wait.ended - wait.stop_at) / ENDING
    assert wait.steps <= 6 * len(wait.attempts) + 2 * len(plan.refs) + stopping + 10


@ENOUGH
@given(ANY | THROTTLED)
def test_every_sleep_ends_by_the_deadline(plan):
    """Namely an event, or, once for each account at the most, a slot that was given up."""
    wait = Wait(plan)
    for now, rest, over, _ in wait.rests:
        assert 0 <= rest <= (ENDING if over else wait.deadline - now)
    for _, rests in itertools.groupby(wait.rests, key=lambda rest: rest[0]):
        assert sum(not rest and not told for _, rest, _, told in rests) <= len(plan.spacings)


@ENOUGH
@given(ANY)
def test_no_poll_starts_after_the_end(plan):
    """No read starts once the wait is over or may outlast the deadline."""
    wait = Wait(plan)
    for attempt in wait.attempts:
        assert attempt.at < min(wait.deadline, wait.stop_at)
        assert attempt.deadline <= min(wait.deadline, attempt.at + plan.attempt_timeout)


@ENOUGH
@given(ANY)
def test_no_batch_is_read_twice_at_once(plan):
    for attempts in Wait(plan).by_ref().values():
        assert all(one.ends <= following.at for one, following in itertools.pairwise(attempts))


@ENOUGH
@given(ANY)
def test_no_more_reads_are_under_way_than_may_be(plan):
    wait = Wait(plan)
    assert all(attempt.under_way < wait.size for attempt in wait.attempts)


@ENOUGH
@given(PACED)
def test_each_paced_poll_has_its_slot(plan):
    """Each read of a paced account has a slot of its own and starts no earlier."""
    for attempts, spacing in zip(Wait(plan).by_account(), plan.spacings, strict=True):
        assert all(attempt.at >= attempt.slot - EPS for attempt in attempts)
        for one, following in itertools.pairwise(attempts):
            assert following.slot - one.slot >= spacing - EPS


@ENOUGH
@given(PACED)
@example(
    Plan(
        refs=(0, 0, 1, 1), spacings=(2.0, 2.6875), script=((Refusal(status=429, retry_after=None), 0.89),),
        keys=("test-schedule-key",), poll=PollPolicy(floor=5.0, ceiling=5.0, give_up_after=1), in_flight=32,
        timeout=5.0, attempt_timeout=60.0, stop_at=None, late=1.32, attempts_before=0,
    )
)  # fmt: skip
def test_spacing_holds_despite_late_polls(plan):
    """Reads of a paced account start hardly closer than its spacing even after late ones."""
    for attempts, spacing in zip(Wait(plan).by_account(), plan.spacings, strict=True):
        for one, following in itertools.pairwise(attempts):
            assert following.at - one.at >= (1 - LATE) * spacing - EPS


@ENOUGH
@given(ROOMY)
def test_spacing_is_exact_if_none_is_late(plan):
    """Where none is late the reads of a paced account start no closer than its spacing."""
    for attempts, spacing in zip(Wait(plan).by_account(), plan.spacings, strict=True):
        for one, following in itertools.pairwise(attempts):
            assert following.at - one.at >= spacing - EPS


@ENOUGH
@given(PACED | THROTTLED)
def test_no_paced_poll_starts_while_closed(plan):
    """No read of a paced account starts while a 429 closes it."""
    assert all(attempt.at >= attempt.closed_until - EPS for attempt in Wait(plan).attempts)


@ENOUGH
@given(ANY | THROTTLED)
def test_the_stalest_due_batch_goes_first(plan):
    """Those that were never read come first, in the order in which they were given."""
    wait = Wait(plan)
    turns = [[], []]
    """For each account: when a batch was last read, when it was due, and when its slot was booked."""
    for place, (ref, attempts) in enumerate(wait.by_ref().items()):
        read_at = place - START
        for attempt in attempts:
            turns[attempt.account].append((read_at, attempt.due, attempt.booked_at))
            read_at = attempt.ends
        turns[wait.refs[ref]].append((read_at, wait.unread().get(ref, math.inf), math.inf))
    for of_account in turns:
        for (since, _, booked_at), (other_since, other_due, other_booked_at) in itertools.permutations(of_account, 2):
            if booked_at < math.inf and other_due < booked_at - EPS and other_booked_at > booked_at:
                assert since <= other_since + EPS


@ENOUGH
@given(ANY)
def test_no_batch_is_read_twice_before_another(plan):
    """While a batch waits its turn no other of its account is read twice."""
    for attempts in Wait(plan).by_account():
        for place, attempt in enumerate(attempts):
            passed = [one.ref for one in attempts[:place] if one.booked_at > attempt.due + EPS]
            assert len(set(passed)) == len(passed)


@ENOUGH
@given(PUNCTUAL | THROTTLED)
def test_a_due_batch_waits_for_its_pace_only(plan):
    """A batch that is due waits for nothing but its accounts pace and room."""
    wait = Wait(plan)
    for attempts in wait.by_account():
        free = START
        for attempt in attempts:
            free = max(free, attempt.due)
            assert attempt.asked_at <= free + EPS or wait.was_full(free, attempt.asked_at)
            assert attempt.at <= attempt.slot + EPS or wait.was_full(attempt.slot, attempt.at)
            free = attempt.at
    over = min(wait.deadline, wait.stop_at) - EPS
    for ref, due in wait.unread().items():
        assert due >= over or plan.spacings[wait.refs[ref]] is not None or wait.was_full(due, over)


@ENOUGH
@given(ANY)
def test_no_poll_before_the_floor(plan):
    """A batch is read again no sooner than the floor but for a last time."""
    wait = Wait(plan)
    for attempts in wait.by_ref().values():
        for one, following in itertools.pairwise(attempts):
            if one.event.reason == ALMOST_UP:
                assert following.at >= wait.deadline - MAX_LAST_POLL - EPS
                assert following.event.reason != ALMOST_UP or following.retry_after is not None
            else:
                assert following.at - one.ends >= max(plan.poll.floor, one.retry_after or 0) - EPS


@ENOUGH
@given(ANY)
def test_a_batch_is_due_by_the_ceiling(plan):
    """A batch is due again by the ceiling unless the vendor asks for more."""
    for attempt in Wait(plan).attempts:
        pause = attempt.event.pause
        assert pause is None or 0 < pause <= max(plan.poll.ceiling, attempt.retry_after or 0) + EPS


@ENOUGH
@given(plans(script=scripts(OPEN | ENDINGS | ENDINGS | ENDINGS)))
def test_an_end_or_a_refusal_ends_a_batch(plan):
    """An end and a final refusal end a batch at once."""
    wait = Wait(plan)
    done = wait.done()
    for attempts in wait.by_ref().values():
        for attempt in attempts:
            if attempt.is_end or attempt.is_final_refusal:
                at, event = done[attempt.ref]
                assert (at, attempt) == (attempt.ends, attempts[-1])
                assert (event.batch, event.error) == (attempt.event.batch, attempt.event.error)
                if attempt.is_end:
                    assert (event.batch.ref, event.batch.state) == (attempt.ref, attempt.said.state)
                else:
                    assert event.error.status_code == attempt.said.status


@ENOUGH
@given(ANY | FAILING)
def test_nothing_else_ends_a_batch(plan):
    """Nothing else ends a batch but deadline stop and five failures for too long."""
    wait = Wait(plan)
    done = wait.done()
    for ref, attempts in wait.by_ref().items():
        (at, event), fails, good_at = done[ref], 0, START
        for attempt in attempts:
            fails, good_at = (0, attempt.ends) if attempt.is_good else (fails + 1, good_at)
            if attempt.is_end or attempt.is_final_refusal:
                break
            if fails >= MIN_FAILURES and attempt.ends - good_at >= plan.poll.give_up_after:
                assert (at, event.error) == (attempt.ends, attempt.event.error)
                assert not isinstance(event.error, ReadError) or event.error.attempts == len(attempts)
                break
            asks_too_much = attempt.retry_after is not None and attempt.ends + attempt.retry_after >= wait.deadline
            if asks_too_much and attempt.ends < wait.stop_at:
                assert (at, type(event.error), event.error.retry_after) == (
                    attempt.ends,
                    WaitTimeout,
                    attempt.retry_after,
                )
                break
        else:
            stopped = at >= wait.stop_at
            assert type(event.error) is (WaitStopped if stopped else WaitTimeout)
            assert stopped or (at >= wait.deadline and event.error.retry_after is None)
            continue
        assert attempt is attempts[-1]


@ENOUGH
@given(ANY)
def test_a_wait_error_carries_the_state(plan):
    """A read that got no key counts as one."""
    wait = Wait(plan)
    attempts = wait.by_ref()
    for ref, (at, event) in wait.done().items():
        error, made = event.error, attempts[ref]
        if not isinstance(error, WaitError):
            continue
        assert (error.ref, error.elapsed) == (ref, at - START)
        assert (error.attempts, event.attempts) == (plan.attempts_before + len(made), len(made))
        assert error.__cause__ is (made[-1].event.error if made else None)
        good = [attempt for attempt in made if attempt.is_good]
        if good:
            said, counts = good[-1].said, error.last.counts
            assert (error.last.ref, error.last.state) == (ref, said.state)
            assert (counts.processed, counts.total) == (said.processed, said.total)
            assert abs(error.last.read_at - utc(good[-1].ends)) < timedelta(milliseconds=1)
        else:
            assert error.last is None
        checkpoint = load(json.dumps(error.checkpoint))
        assert (checkpoint.ref, checkpoint.attempts, checkpoint.until) == (ref, error.attempts, set(ENDS))
        assert abs(checkpoint.deadline - utc(wait.deadline)) < timedelta(milliseconds=1)


@ENOUGH
@given(ANY)
@example(Plan(script=((Refusal(status=408, retry_after=3), 1.4),), timeout=4.0, stop_at=0.6))
def test_an_attempt_event_has_its_times(plan):
    """A reading tells how it went and exactly when the next is due."""
    wait = Wait(plan)
    done = wait.done()
    for ref, attempts in wait.by_ref().items():
        due, state = START, None
        for number, attempt in enumerate(attempts, 1):
            event = attempt.event
            assert (event.attempts, event.previous_state) == (number, state)
            state = attempt.said.state if attempt.is_good else state
            assert abs(attempt.due - due) < EPS
            assert abs(event.queued - (attempt.at - attempt.due)) < EPS
            assert abs(event.duration - (attempt.ends - attempt.at)) < EPS
            assert event.elapsed == attempt.ends - START
            due = math.nan if event.pause is None else START + event.elapsed + event.pause
        if attempts and attempts[-1].event.pause is not None:
            assert due < wait.deadline
            error = done[ref][1].error
            assert isinstance(error, WaitError), "what is announced comes, unless the wait is over first"


def reason(plan, attempt, fails, deadline):
    """Return how the reason for a pause, or for none, begins, but for a last read."""
    pause, asked, remaining = attempt.event.pause, attempt.retry_after, attempt.event.remaining
    reasons = {
        "this is the state that was waited for": attempt.is_end,
        "a later poll cannot help": attempt.is_final_refusal,
        "the vendor asks for more time than is left": asked is not None and attempt.ends + asked >= deadline,
        "the time is up": pause is None,
        "the vendor asks for it": asked is not None and abs((pause or 0) - max(asked, plan.poll.floor)) < EPS,
        f"{fails} failed in a row": fails,
        f"{remaining or 0:.0f} s are left by the counts": remaining is not None,
        "nothing has changed for ": True,
    }
    return next(text for text, holds in reasons.items() if holds)


@ENOUGH
@given(ANY | FAILING)
def test_an_attempt_event_has_its_reason(plan):
    """A reading tells why the next comes then or not at all."""
    wait = Wait(plan)
    for attempts in wait.by_ref().values():
        fails, good_at = 0, START
        for attempt in attempts:
            fails, good_at = (0, attempt.ends) if attempt.is_good else (fails + 1, good_at)
            given_up = fails >= MIN_FAILURES and attempt.ends - good_at >= plan.poll.give_up_after
            event = attempt.event
            if event.reason == ALMOST_UP:
                assert wait.deadline - MAX_LAST_POLL - EPS <= attempt.ends + event.pause < wait.deadline
            elif given_up and not attempt.is_final_refusal:
                assert event.reason.startswith("none has succeeded for ")
            else:
                assert event.reason.startswith(reason(plan, attempt, fails, wait.deadline))


@ENOUGH
@given(ANY)
def test_a_failure_is_a_throttle_or_a_retry(plan):
    """A failure is told as a throttle if it is one and as a retry if one follows."""
    wait = Wait(plan)
    told = [event for _, event in wait.told]
    places = {id(event): place for place, event in enumerate(told)}
    for attempt in wait.attempts:
        event, closed = attempt.event, attempt.closes_for
        expected = [] if closed is None else [(EventKind.THROTTLE, closed)]
        if not attempt.is_good and event.pause is not None:
            expected.append((EventKind.RETRY, event.pause))
        follow = told[places[id(event)] + 1 : places[id(event)] + 3]
        of_failure = itertools.takewhile(lambda one: one.kind in {EventKind.THROTTLE, EventKind.RETRY}, follow)
        assert [(one.kind, one.pause) for one in of_failure] == expected


@ENOUGH
@given(
    batches=st.integers(2, 12),
    spacing=SPACING,
    takes=hundredths(4),
    in_flight=st.integers(1, 16),
    rounds=st.integers(3, 10),
)
def test_pending_batches_are_read_equally_often(batches, spacing, takes, *, in_flight, rounds):
    """All keep their places in the queue: one read more in a round that is cut, one more as few get a last read."""
    timeout = batches * spacing * rounds + 60
    script = ((PENDING, takes),)
    plan = Plan(refs=(0,) * batches, spacings=(spacing, None), script=script, in_flight=in_flight, timeout=timeout)
    reads = [len(attempts) for attempts in Wait(plan).by_ref().values()]
    assert max(reads) - min(reads) <= 2


@ENOUGH
@given(
    busy=st.integers(1, 15),
    others=st.integers(1, 5),
    busy_first=st.booleans(),
    spacing=st.none() | SPACING,
    in_flight=st.integers(1, 6),
    takes=st.lists(hundredths(8).map(lambda some: some + 0.01), min_size=1, max_size=8),
)
def test_a_busy_account_starves_no_other(busy, others, busy_first, *, spacing, in_flight, takes):
    """What is due and has its slot goes first as soon as there is room again."""
    refs = (0,) * busy + (1,) * others if busy_first else (1,) * others + (0,) * busy
    poll = PollPolicy(floor=0.2, ceiling=0.4)
    script = tuple((PENDING, some) for some in takes)
    wait = Wait(Plan(refs=refs, spacings=(None, spacing), script=script, poll=poll, in_flight=in_flight, timeout=20.0))
    free, passed = START, []
    for attempt in wait.attempts:
        if attempt.account == 0:
            passed.append(attempt.at)
        else:
            ready = max(free, attempt.due, attempt.slot)
            assert sum(at >= ready - EPS for at in passed) <= in_flight
            free, passed = attempt.at, []


def test_a_wait_for_nothing_is_over_at_once():
    assert Wait(Plan(refs=())).steps == 1


@pytest.mark.parametrize(("stop_at", "error"), [(None, WaitTimeout), (2.5, WaitStopped)])
def test_ends_are_told_in_chunks(stop_at, error):
    """Two thousand batches that end together are told in chunks."""
    wait = Wait(Plan(refs=(0, 1) * 1000, spacings=(0.1, None), timeout=5.0, stop_at=stop_at))
    assert {type(event.error) for _, event in wait.done().values()} == {error}
    chunks = [told for *_, over, told in wait.rests if over and told]
    assert max(chunks) == MAX_ENDED_AT_ONCE
    assert len(chunks) <= 2000 // MAX_ENDED_AT_ONCE + 1
    assert len(wait.done()) == 2000


def test_after_stop_a_hint_ends_as_stopped():
    """A hint beyond the deadline after the stop ends as stopped."""
    wait = Wait(Plan(script=((Refusal(429, 3000), 2.0),), stop_at=1.0))
    assert [type(event.error) for _, event in wait.done().values()] == [WaitStopped]


def test_after_stop_an_end_may_still_arrive():
    """No other is read, and what is pending still ends as stopped."""
    script = ((Reading(BatchState.SUCCEEDED), 3.0), (PENDING, 4.0))
    wait = Wait(Plan(refs=(0, 0, 0), script=script, in_flight=2, stop_at=1.0))
    ended = [(at - START, type(event.error)) for at, event in wait.done().values()]
    assert ended == [(1.0, WaitStopped), (3.0, type(None)), (4.0, WaitStopped)]


@pytest.mark.parametrize(("give_up_after", "given_up_at"), [(2.0, 14.0), (5.5, 15.0)])
def test_a_failing_batch_is_given_up(give_up_after, given_up_at):
    """With readings in the seconds 0 to 9 and none after; at 14 the fifth in a row has failed."""
    poll = PollPolicy(floor=1.0, ceiling=1.0, give_up_after=give_up_after)
    wait = Wait(Plan(script=((PENDING, 0.0),) * 10 + ((NO_CONNECTION, 0.0),) * 50, poll=poll))
    assert wait.ended == START + given_up_at


@pytest.mark.parametrize("takes", [0.0, 0.5, 2.0])
def test_a_batch_is_read_just_before_the_deadline(takes):
    wait = Wait(Plan(script=((PENDING, takes),)))
    assert wait.deadline - MAX_LAST_POLL <= wait.attempts[-1].at
    assert wait.attempts[-1].is_good


def test_a_closed_account_starts_no_poll():
    """No read starts while a 429 closes its account."""
    wait = Wait(Plan(refs=(0, 0), spacings=(1.0, None), script=((Refusal(429, 10), 0.5), (PENDING, 0.1))))
    assert wait.attempts[1].at >= wait.attempts[1].closed_until


def test_spacing_holds_after_a_lack_of_room():
    """Reads of a paced account start no closer than its spacing after a lack of room."""
    script = ((PENDING, 0.0), (PENDING, 5.0), (PENDING, 0.1))
    wait = Wait(Plan(refs=(0, 0, 0, 1), spacings=(1.0, None), script=script, in_flight=1))
    paced, _ = wait.by_account()
    assert all(following.at - one.at >= 1.0 - EPS for one, following in itertools.pairwise(paced))


def test_spacing_holds_after_a_long_rest():
    """Reads of a paced account start no closer than its spacing after a rest that was too long."""
    wait = Wait(Plan(refs=(0, 0, 0), spacings=(1.0, None), script=((PENDING, 0.0),), late=3.0))
    assert all(following.at - one.at >= 1.0 - EPS for one, following in itertools.pairwise(wait.attempts))


def test_a_late_retry_after_is_obeyed():
    """A retry after is obeyed in the last seconds too."""
    first, second = Wait(Plan(script=((Refusal(503, 10), 0.0), (PENDING, 0.0)), timeout=10.5)).attempts[:2]
    assert second.at - first.ends >= 10.0


def test_a_batch_has_one_last_read():
    script = ((PENDING, 3.0), (PENDING, 0.0), (PENDING, 0.0), (PENDING, 0.0))
    wait = Wait(Plan(script=script, timeout=10.0, poll=PollPolicy(floor=10.0)))
    assert [attempt.event.reason for attempt in wait.attempts].count(ALMOST_UP) == 1


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (((Refusal(404, 300), 0.1),), "a later poll cannot help"),
        (((NO_CONNECTION, 0.1),) * 4 + ((Refusal(503, 300), 0.1),), "none has succeeded for 16 s"),
    ],
    ids=["a refusal", "given up"],
)
def test_the_last_reason_says_why_it_ended(script, why):
    """The reason for no further read is what ended the batch."""
    assert Wait(Plan(script=script, poll=PollPolicy(give_up_after=1.0))).attempts[-1].event.reason == why


def test_a_slowed_account_stays_slow():
    """An account that a 429 slowed down stays slow while nothing is sent."""
    keys, poll, script = (KEY, *(None,) * 30), PollPolicy(ceiling=1.0), ((Refusal(429, 1), 0.0),)
    wait = Wait(Plan(refs=(0,) * 4, spacings=(1.0, None), script=script, keys=keys, poll=poll, timeout=30.0))
    slots = [attempt.slot for attempt in wait.attempts[1:]]
    assert [following - one for one, following in itertools.pairwise(slots)] == pytest.approx([2.0] * (len(slots) - 1))


def test_a_short_retry_after_costs_no_last_read():
    first = Wait(Plan(script=((Refusal(503, 1), 0.0),), timeout=8.0, poll=PollPolicy(floor=10.0))).attempts[0].event
    assert (first.pause, first.reason) == (7.0, ALMOST_UP)


def test_one_last_poll_despite_a_retry_after():
    """A batch has one last read even if the vendor asks for more."""
    script = ((PENDING, 3.0), *((Refusal(503, 1), 0.0),) * 9)
    wait = Wait(Plan(script=script, timeout=12.0, poll=PollPolicy(floor=5.0)))
    assert [attempt.event.reason for attempt in wait.attempts].count(ALMOST_UP) == 1
