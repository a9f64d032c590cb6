"""Whole waits without I/O: whatever the vendors answer, and however long they take, under a virtual clock."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter, defaultdict
from datetime import timedelta

import pytest
from attrs import evolve
from batchstatus import (
    AuthenticationError,
    BadRequest,
    BatchNotFound,
    BatchState,
    EventKind,
    InvalidResponse,
    PermissionDenied,
    PollPolicy,
    ReadError,
    TransportError,
    WaitError,
    WaitStopped,
    WaitTimeout,
)
from batchstatus._core.pacing import PaceState
from batchstatus._core.wait.checkpoint import load
from batchstatus._core.wait.schedule import ENDING, FROZEN, LAST_LOOK, MAX_ENDED_AT_ONCE, MAX_LAST_POLL
from hypothesis import example, given
from hypothesis import strategies as st
from schedule_model import (
    ALMOST_UP,
    ANY,
    DOWN,
    ENDS,
    ENOUGH,
    EPS,
    FAILING,
    KEY,
    LAGGING,
    LONG_HINT,
    NO_CONNECTION,
    NO_KEY,
    NOT_JSON,
    OPEN,
    PACED,
    PENDING,
    PUNCTUAL,
    REFUSED,
    ROOMY,
    SETTLING,
    SPACING,
    START,
    THROTTLED,
    TOO_LARGE,
    TOO_SLOW,
    UNKNOWN_HOST,
    Before,
    Plan,
    Reading,
    Refusal,
    Wait,
    hundredths,
    own,
    plans,
    scripts,
    utc,
)

pytestmark = pytest.mark.timeout(240)  # an example that fails is shrunk first, which takes its time

PLAIN = PollPolicy(placement=False)
ROUNDING = 0.001
"""Seconds: what a grace may lack, since times are sums of floats."""


class InARow:
    """What came in a row, and over how many seconds; what is left out proves nothing, and neither does its time."""

    def __init__(self, before=None):
        self.count, self.seconds = before or (0, 0.0)
        self.last_at = None

    def add(self, now):
        self.seconds += 0.0 if self.last_at is None else now - self.last_at
        self.count, self.last_at = self.count + 1, now

    def leave_out(self):
        self.last_at = None

    def is_long(self, count, seconds):
        return self.count >= count and self.seconds >= seconds - ROUNDING


class Believed:
    """The rules of evidence for one account, in plain terms: which failed polls end something, and what."""

    def __init__(self, wait, account):
        self.poll = wait.plan.poll
        before = wait.plan.before or Before()
        self.has_reading = before.has_reading
        self.of_key = InARow(before.account_refusals)
        """Refusals of the key, since the last reading of the account."""
        self.of_batch = {ref: InARow(before.refusals) for ref in wait.refs if wait.refs[ref] == account}
        """Refusals of each batch, since its last reading; a 401 is about the key alone."""
        self.denied = set()
        self.lasting = InARow()
        """Failures that time hardly mends, since there was anything else."""
        self.too_large = Counter()

    def hear(self, attempt, *, is_only):
        """Return what an attempt ends by failing: "batch", "account" or None."""
        ref, now = attempt.ref, attempt.ends
        if attempt.is_good:
            self.has_reading = True
            self.of_key, self.of_batch[ref], self.lasting = InARow(), InARow(), InARow()
            self.denied.clear()
            self.too_large[ref] = 0
            return None
        if not attempt.is_own_refusal:
            self.of_key.leave_out()
            self.of_batch[ref].leave_out()
        if attempt.is_throttled:
            self.lasting = InARow()
            return None
        self.too_large[ref] = self.too_large[ref] + 1 if attempt.said is TOO_LARGE else 0
        if attempt.is_own_refusal:
            self.lasting = InARow()
            return self._hear_refusal(ref, attempt.said.status, now, is_only=is_only)
        if attempt.is_lasting:
            self.lasting.add(now)
        else:
            self.lasting = InARow()
        if self.too_large[ref] == 3:
            return "batch"
        is_long = self.lasting.is_long(3, self.poll.startup_grace)
        return "account" if is_long and not self.has_reading else None

    def _hear_refusal(self, ref, status, now, *, is_only):
        if status in {401, 403}:
            self.of_key.add(now)
        if status != 401:
            self.of_batch[ref].add(now)
        if not self.has_reading:
            return self._hear_first_refusal(ref, status, is_only=is_only)
        if status in {401, 403} and self.of_key.is_long(3, self.poll.refusal_grace):
            return "account"
        return "batch" if status != 401 and self.of_batch[ref].is_long(3, self.poll.refusal_grace) else None

    def _hear_first_refusal(self, ref, status, *, is_only):
        if status == 401:
            return "account"
        if status == 403:
            self.denied.add(ref)
            return "account" if len(self.denied) > 1 or is_only else None
        if status in {400, 422}:
            return "batch"
        return "batch" if self.of_batch[ref].is_long(1, self.poll.not_found_grace) else None


class Settling:
    """When a terminal reading stands."""

    def __init__(self, plan):
        self.settle = plan.poll.settle
        self.before = plan.before.last.facts if plan.before is not None and plan.before.last is not None else None
        self.since = None
        """When the vendor first said that it has ended, if its counts contradict that."""

    def hear(self, said, now):
        """Return whether a reading ends its batch."""
        before, self.before = self.before, said.facts
        if not said.is_contradicted:
            self.since = None
            return said.state.is_terminal
        self.since = now if self.since is None else self.since
        is_old = now - self.since >= self.settle - ROUNDING
        return is_old and (before == said.facts or self.settle == 0)


def endings(wait):
    """Return for each batch the attempts that may end it before its time is up, and its settling."""
    rules = [Believed(wait, account) for account in (0, 1)]
    settling = {ref: Settling(wait.plan) for ref in wait.refs}
    attempts = {id(attempt.event): attempt for attempt in wait.attempts}
    left, found = set(wait.refs), {ref: [] for ref in wait.refs}
    for _, event in wait.told:
        if event.kind is EventKind.DONE:
            left.discard(event.ref)
        if event.kind is not EventKind.ATTEMPT:
            continue
        attempt = attempts[id(event)]
        of_account = {ref for ref in left if wait.refs[ref] == attempt.account}
        ends = rules[attempt.account].hear(attempt, is_only=of_account == {attempt.ref})
        if attempt.is_good and settling[attempt.ref].hear(attempt.said, attempt.ends):
            found[attempt.ref] = [attempt]
        for ref in {"batch": {attempt.ref}, "account": of_account}.get(ends, ()):
            found[ref].append(attempt)
    return found, settling


class Trouble:
    """What an account is asked while it is in trouble: one probe at a time, ever more seldom."""

    def __init__(self):
        self.is_about_key = False
        self.held_until = -math.inf
        self.be_well()

    def be_well(self):
        self.row, self.batches, self.is_closed = 0, set(), False
        self.probe, self.probes, self.probe_at = None, 0, START
        self.long_hint_at = None
        """When the first long hint in a row came; one in flight with it does not say it again."""

    def end(self, attempt):
        """Take the end of an attempt in; return the kind of the message that is due."""
        was_closed, was_probe = self.is_closed, attempt is self.probe
        self.probe = None if was_probe else self.probe
        if attempt.is_answer:
            self.be_well()
            return EventKind.REOPENED if was_closed else None
        if not attempt.is_throttled:
            self.row, self.is_about_key = self.row + 1, attempt.is_about_key
            self.batches.add(attempt.ref)
            self._hear_hint(attempt)
        self.is_closed = was_closed or (self.row >= 5 and len(self.batches) >= 3)
        if was_probe or self.is_closed > was_closed:
            pauses = (30, 60) if self.is_about_key else (1, 2, 4, 8, 16, 30)
            self.probe_at = attempt.ends + pauses[min(self.probes, len(pauses) - 1)]
            self.probes += 1
        return EventKind.CLOSED if self.is_closed > was_closed else None

    def _hear_hint(self, attempt):
        asked = attempt.retry_after
        is_said_again = self.long_hint_at is not None and attempt.at >= self.long_hint_at
        if asked is None or asked <= LONG_HINT:
            self.long_hint_at = None
        elif self.long_hint_at is None:
            self.long_hint_at = attempt.ends
        if asked is not None and (asked <= LONG_HINT or is_said_again):
            self.held_until = max(self.held_until, attempt.ends + asked)


def troubles(wait):
    """Return the probes, the messages that were due for each account, and those that ever were in trouble."""
    by_account, probes, due, troubled = [Trouble(), Trouble()], set(), ([], []), set()
    for is_end, attempt in wait.timeline:
        trouble = by_account[attempt.account]
        if is_end:
            if attempt is not trouble.probe:
                probes.discard(attempt)  # its account has answered meanwhile
            message = trouble.end(attempt)
            due[attempt.account].extend([] if message is None else [(message, attempt)])
        else:
            assert attempt.at >= min(trouble.held_until, wait.deadline - MAX_LAST_POLL) - EPS
            if trouble.is_closed:
                assert trouble.probe is None, "one probe at a time"
                assert attempt.at >= min(trouble.probe_at, wait.deadline - MAX_LAST_POLL) - EPS, "two at the very end"
                trouble.probe = attempt
                probes.add(attempt)
        if trouble.is_closed or trouble.held_until > START:
            troubled.add(attempt.account)
    return probes, due, troubled


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
    assert wait.ended <= plan.over_by + plan.late + EPS
    stopping = max(0.0, wait.ended - wait.stop_at) / ENDING
    assert wait.steps <= 6 * len(wait.attempts) + 2 * len(plan.refs) + stopping + 10


@ENOUGH
@given(ANY | THROTTLED)
def test_every_sleep_ends_by_the_deadline(plan):
    """Namely an event, or, once for each account at the most, a slot that was given up."""
    wait = Wait(plan)
    for now, rest, over, _ in wait.rests:
        is_last_look = over and now < wait.stop_at and plan.may_be_frozen
        assert 0 <= rest <= (LAST_LOOK + EPS if is_last_look else ENDING if over else wait.deadline - now)
    for _, rests in itertools.groupby(wait.rests, key=lambda rest: rest[0]):
        assert sum(not rest and not told for _, rest, _, told in rests) <= len(plan.spacings) + plan.may_be_frozen


@example(
    Plan(
        script=((PENDING, 0.06),), poll=PollPolicy(floor=1.0, ceiling=1.0), timeout=0.05,
        freezes=((0.0, 1.0),), is_heard_late=True, is_blocking=True,
    )
)  # fmt: skip
@ENOUGH
@given(ANY)
def test_no_poll_starts_after_the_end(plan):
    """No read starts once the wait is over or may outlast its end, which comes later after a freeze only."""
    wait = Wait(plan)
    for attempt in wait.attempts:
        assert attempt.at < wait.stop_at
        assert attempt.at < wait.deadline or plan.may_be_frozen
        end = wait.deadline if attempt.at < wait.deadline else plan.over_by
        assert attempt.said is NO_KEY or attempt.deadline <= min(end, attempt.at + plan.attempt_timeout) + EPS
    of_look = Counter(attempt.ref for attempt in wait.attempts if attempt.at >= wait.deadline)
    assert set(of_look.values()) <= {1}, "one last poll for each"


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
        keys=("test-schedule-key",), poll=PollPolicy(floor=5.0, ceiling=5.0), in_flight=32,
        timeout=5.0, attempt_timeout=60.0, stop_at=None, late=1.32,
    )
)  # fmt: skip
def test_spacing_holds_despite_late_polls(plan):
    """Reads of a paced account start hardly closer than its spacing even after late ones."""
    for attempts, spacing in zip(Wait(plan).by_account(), plan.spacings, strict=True):
        for one, following in itertools.pairwise(attempts):
            assert following.at - one.at >= (1 - PaceState.LATE) * spacing - EPS


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
@example(
    Plan(
        refs=(0,) * 20, spacings=(1.0, None), script=((PENDING, 0.0),), poll=PollPolicy(floor=2.0, ceiling=2.0),
        timeout=2.0, freezes=((0.0, 30.0),),
    )
)  # fmt: skip
def test_the_stalest_due_batch_goes_first(plan):
    """By plain rounds; those that were never read come first, in the order in which they were given."""
    wait = Wait(evolve(plan, poll=evolve(plan.poll, placement=False)))
    turns = [[], []]
    """For each account: when a batch was last read, when it was due, and when its slot was booked."""
    for place, (ref, attempts) in enumerate(wait.by_ref().items()):
        read_at = place - START
        for attempt in attempts:
            read_at = max(read_at, START) if attempt.at >= wait.deadline else read_at  # the last look
            turns[attempt.account].append((read_at, attempt.due, attempt.booked_at))
            read_at = attempt.ends
        read_at = max(read_at, START) if plan.may_be_frozen else read_at
        turns[wait.refs[ref]].append((read_at, wait.unread().get(ref, math.inf), math.inf))
    for of_account in turns:
        for (since, _, booked_at), (other_since, other_due, other_booked_at) in itertools.permutations(of_account, 2):
            if booked_at < math.inf and other_due < booked_at - EPS and other_booked_at > booked_at:
                assert since <= other_since + EPS


@ENOUGH
@given(ANY)
def test_no_batch_is_read_twice_before_another(plan):
    """By plain rounds, no other of its account is read twice while a batch waits its turn; see `test_placement`."""
    for attempts in Wait(evolve(plan, poll=evolve(plan.poll, placement=False))).by_account():
        for place, attempt in enumerate(attempts):
            passed = [one.ref for one in attempts[:place] if one.booked_at > attempt.due + EPS]
            assert len(set(passed)) == len(passed)


@ENOUGH
@given(PUNCTUAL | THROTTLED)
def test_a_due_batch_waits_for_its_pace_only(plan):
    """A batch that is due waits for nothing but its accounts pace and room."""
    wait = Wait(plan)
    _, _, troubled = troubles(wait)
    for account, attempts in enumerate(wait.by_account(wait.exchanges)):  # those that were given up used slots, too
        free = START
        for attempt in attempts if account not in troubled else ():
            free = max(free, attempt.due)
            assert attempt.asked_at <= free + EPS or wait.was_full(free, attempt.asked_at)
            assert attempt.at <= attempt.slot + EPS or wait.was_full(attempt.slot, attempt.at)
            free = attempt.at
    over = min(wait.deadline, wait.stop_at) - EPS
    for ref, due in wait.unread().items():
        is_held = wait.refs[ref] in troubled or plan.spacings[wait.refs[ref]] is not None
        assert due >= over or is_held or refused_by(wait, ref) or wait.was_full(due, over)


@ENOUGH
@given(ANY)
def test_no_poll_before_the_floor(plan):
    """A batch is read again no sooner than the floor but for a last time."""
    wait = Wait(plan)
    for attempts in wait.by_ref().values():
        for one, following in itertools.pairwise(attempts):
            if following.at >= wait.deadline:
                continue  # the last look after a freeze
            if one.event.reason == ALMOST_UP:
                assert following.at >= wait.deadline - MAX_LAST_POLL - EPS
                assert following.event.reason != ALMOST_UP
            elif one.is_good and one.said.is_contradicted:
                assert following.at - one.ends >= min(2.0, plan.poll.settle) - EPS or plan.poll.settle < 10
            else:
                assert following.at - one.ends >= max(plan.poll.floor, one.retry_after or 0) - EPS


@ENOUGH
@given(ANY)
def test_a_batch_is_due_by_the_ceiling(plan):
    """A batch is due again by the ceiling unless the vendor asks for more, or its counts have to settle."""
    for attempt in Wait(plan).attempts:
        pause = attempt.event.pause
        most = (
            5.0
            if attempt.is_good and attempt.said.is_contradicted
            else max(plan.poll.ceiling, attempt.retry_after or 0)
        )
        assert pause is None or 0 <= pause <= most + EPS
        assert pause != 0 or attempt.ends > plan.deadline, "at once only after a freeze"


def same_error(one, other):
    return (type(one), one.detail, getattr(one, "status_code", None)) == (
        type(other),
        other.detail,
        getattr(other, "status_code", None),
    )


def refused_by(wait, ref):
    """Return whether it is a refusal or a lasting failure that has ended a batch."""
    _, event = wait.done()[ref]
    return event.error is not None and not isinstance(event.error, WaitError)


@ENOUGH
@given(ANY | REFUSED | SETTLING | FAILING | DOWN)
@example(
    Plan(refs=(0, 0), script=((own(403), 0.0), (own(400), 0.0), *((own(404), 0.0),) * 99), poll=PollPolicy(ceiling=1.0))
)
@example(
    Plan(script=((PENDING, 0.0), (own(401), 0.0), (own(401), 0.0), (own(404), 0.0)), poll=PollPolicy(refusal_grace=1.0))
)
def test_a_batch_ends_by_the_rules_of_evidence(plan):
    """By an end that the vendor said and that stands, by a refusal that is believed, or once its time is up."""
    wait = Wait(plan)
    found, settling = endings(wait)
    made = wait.by_ref()
    for ref, (at, event) in wait.done().items():
        causes = found[ref]
        is_time_up = at >= min(wait.deadline, wait.stop_at)
        if causes and causes[-1].is_good:
            said, (of_last,) = causes[-1].said, [attempt.event for attempt in made[ref][-1:]]
            assert causes[-1] is made[ref][-1]
            assert (at, event.batch) == (causes[-1].ends, of_last.batch)
            assert (event.batch.ref, event.batch.state, event.batch.is_settled) == (ref, said.state, True)
            assert bool(event.batch.problems) >= said.is_contradicted
            continue
        assert causes or is_time_up
        if settling[ref].since is not None:
            assert (event.batch.state, event.batch.counts.processed, event.batch.counts.total) == settling[ref].before
            assert not event.batch.is_settled
            assert event.batch.problems
        elif isinstance(event.error, WaitError):
            assert is_time_up
            assert type(event.error) is (WaitStopped if at >= wait.stop_at else WaitTimeout)
            assert all(cause.ref != ref for cause in causes)
        else:
            assert any(same_error(event.error, cause.event.error) for cause in causes)
            assert event.error.ref == ref
        for cause in causes:
            assert all(attempt.at <= cause.ends for attempt in made[ref]), "nothing is sent after the end"
            assert cause.ref != ref or cause.ends == at


@ENOUGH
@given(ANY | REFUSED)
@example(Plan(before=Before(last=Reading(BatchState.RUNNING, 3, 10)), timeout=0.0, script=((NO_CONNECTION, 0.1),)))
def test_an_error_carries_the_state(plan):
    """A wait that ends by an error tells its last reading, its attempts and where to go on; no key is an attempt."""
    wait = Wait(plan)
    attempts = wait.by_ref()
    for ref, (at, event) in wait.done().items():
        error, made = event.error, attempts[ref]
        if not isinstance(error, (WaitError, ReadError)):
            continue
        before = plan.before or Before(attempts=0)
        total = before.attempts + len(made)
        assert (error.ref, event.elapsed, event.attempts) == (ref, at - START, len(made))
        if isinstance(error, WaitError):
            assert (error.elapsed, error.attempts) == (at - START, total)
            assert not made or error.__cause__ is made[-1].event.error
        good = [attempt for attempt in made if attempt.is_good]
        said = good[-1].said if good else before.last
        if said is not None:
            read_at = good[-1].ends if good else START - 1.0
            assert (error.last.ref, error.last.state) == (ref, said.state)
            assert (error.last.counts.processed, error.last.counts.total) == (said.processed, said.total)
            assert abs(error.last.read_at - utc(read_at)) < timedelta(milliseconds=1)
        else:
            assert error.last is None
        checkpoint = load(json.dumps(error.checkpoint))
        assert (checkpoint.ref, checkpoint.attempts, checkpoint.until) == (ref, total, set(ENDS))
        assert abs(checkpoint.deadline - utc(wait.deadline)) < timedelta(milliseconds=1)
        assert (checkpoint.last is None) == (said is None)


@ENOUGH
@given(ANY)
@example(Plan(script=((Refusal(status=408, retry_after=3), 1.4),), timeout=4.0, stop_at=0.6))
def test_an_attempt_event_has_its_times(plan):
    """A reading tells how it went and exactly when the next is due, a freeze apart."""
    wait = Wait(plan)
    done, (found, _) = wait.done(), endings(wait)
    for ref, attempts in wait.by_ref().items():
        due = START
        state = None if plan.before is None or plan.before.last is None else plan.before.last.state
        for number, attempt in enumerate(attempts, 1):
            event = attempt.event
            assert (event.attempts, event.previous_state) == (number, state)
            state = attempt.said.state if attempt.is_good else state
            assert abs(attempt.due - due) < EPS or attempt.at >= wait.deadline
            assert abs(event.queued - (attempt.at - attempt.due)) < EPS
            assert abs(event.duration - (attempt.ends - attempt.at)) < EPS
            assert event.elapsed == attempt.ends - START
            due = math.nan if event.pause is None else START + event.elapsed + event.pause
        if attempts and attempts[-1].event.pause is not None:
            assert due < wait.deadline or plan.may_be_frozen
            assert done[ref][0] >= min(wait.deadline, wait.stop_at) or found[ref]


def reason(plan, attempt, fails):
    """Return how the reason for a pause, or for none, begins, but for a last read."""
    pause, asked, remaining = attempt.event.pause, attempt.retry_after, attempt.event.remaining
    is_contradicted = attempt.is_good and attempt.said.is_contradicted
    is_asked = (
        None not in (asked, pause)
        and abs(pause - max(asked, plan.poll.floor)) < EPS
        and (asked >= pause - EPS or not (fails or is_contradicted))
    )
    reasons = {
        "the time is up": pause is None,
        "the vendor asks for it": is_asked,
        "the vendor says that it has ended": is_contradicted,
        f"{fails} failed in a row": fails,
        f"{remaining or 0:.0f} s are left by the counts": remaining is not None,
        "nothing has changed for ": True,
    }
    return next(text for text, holds in reasons.items() if holds)


@example(
    Plan(
        refs=(0,) * 8, script=((Refusal(407), 0.1), (own(503), 0.0), (own(503), 0.0), (PENDING, 2.1)),
        poll=PollPolicy(floor=2.0, ceiling=2.0, settle=0.0), in_flight=4, timeout=8.0,
    )
)  # fmt: skip
@ENOUGH
@given(ANY | FAILING | DOWN | SETTLING)
def test_an_attempt_event_has_its_reason(plan):
    """A reading tells why the next comes then or not at all; a probe makes no pause longer."""
    wait = Wait(plan)
    found, _ = endings(wait)
    probes, _, _ = troubles(wait)
    for ref, attempts in wait.by_ref().items():
        fails = 0
        for attempt in attempts:
            fails = 0 if attempt.is_good else fails + (attempt not in probes)
            event = attempt.event
            if event.reason == ALMOST_UP:
                assert wait.deadline - MAX_LAST_POLL - EPS <= attempt.ends + event.pause < wait.deadline
            elif event.pause == 0:
                assert event.reason == "the process stood still when it was made"
            elif attempt in found[ref] and attempt.ref == ref:
                assert event.reason
                assert not event.reason.startswith("the time is up")
                assert (event.reason == "this is the state that was waited for") == attempt.is_good
            else:
                assert event.reason.startswith(reason(plan, attempt, fails))


@ENOUGH
@given(DOWN | ANY | REFUSED)
@example(
    Plan(
        refs=(0, 0, 0), script=((NO_CONNECTION, 0.0),) * 5 + ((Refusal(401), 0.0),), poll=PollPolicy(ceiling=1.0),
        timeout=20.0,
    )
)  # fmt: skip
@example(Plan(refs=(0,) * 5, keys=(None,), poll=PollPolicy(ceiling=1.0), timeout=10.0))
@example(
    Plan(refs=(0,) * 3, script=((NO_CONNECTION, 0.0),) * 2 + ((TOO_LARGE, 0.0),) * 7, poll=PollPolicy(ceiling=1.0))
)
def test_an_account_in_trouble_is_probed(plan):
    """One probe at a time, ever more seldom, one message when it closes and one when it is well again."""
    wait = Wait(plan)
    _, due, _ = troubles(wait)
    found, _ = endings(wait)
    for account, messages in enumerate(due):
        told = [
            (event.kind, event.ref, event.attempts)
            for _, event in wait.told
            if event.kind in {EventKind.CLOSED, EventKind.REOPENED} and wait.refs[event.ref] == account
        ]
        expected = [(kind, attempt.ref, attempt.event.attempts) for kind, attempt in messages]
        ended = [
            cause for ref, causes in found.items() for cause in causes if wait.refs[ref] == account and cause.ref != ref
        ]
        assert told == expected or (ended and told == expected[: len(told)])


@ENOUGH
@given(DOWN | FAILING)
def test_trouble_is_told_once_a_minute(plan):
    """The first failure of an account is told, and then one a minute."""
    wait = Wait(plan)
    for account, attempts in enumerate(wait.by_account()):
        kinds = {EventKind.TROUBLE, EventKind.CLOSED}
        told = [at for at, event in wait.told if event.kind in kinds and wait.refs[event.ref] == account]
        trouble = [at for at, event in wait.told if event.kind is EventKind.TROUBLE and wait.refs[event.ref] == account]
        assert all(following - one >= 60 - EPS for one, following in itertools.pairwise(trouble))
        failed = [attempt for attempt in attempts if not attempt.is_good]
        if failed and not any(refused_by(wait, attempt.ref) for attempt in failed):
            assert min(told) == min(attempt.ends for attempt in failed)


FROZEN_PLANS = st.builds(
    lambda plan, share, longer, cut, late: evolve(
        plan,
        freezes=((plan.timeout * share, plan.timeout * (1 - share) + longer),),
        is_cut=cut,
        is_heard_late=late,
        in_flight=32,
        poll=evolve(plan.poll, in_flight=None),
    ),
    plans(
        spacings=st.just((None, None)),
        script=scripts(OPEN, hundredths(1)),
        timeout=st.integers(10, 60),
        stop_at=st.none(),
        attempt_timeout=st.just(60.0),
    ),
    hundredths(1),
    st.sampled_from([0.3, 3.0, 1000.0]),
    st.booleans(),
    st.booleans(),
)


@ENOUGH
@given(FROZEN_PLANS)
@example(Plan(script=((own(503), 0.1),), poll=PollPolicy(floor=5.0), timeout=10.0, freezes=((0.0, 10.3),), is_cut=True))
def test_after_a_freeze_there_is_one_last_look(plan):
    """No batch ends unless its last poll was made, and did not fail for want of time: before the freeze, or after."""
    wait = Wait(plan)
    _, _, troubled = troubles(wait)
    ((at, seconds),) = plan.freezes
    last_polls = wait.schedule._last_poll_at() - EPS
    for ref, (_, event) in wait.done().items():
        if not isinstance(event.error, WaitTimeout) or wait.refs[ref] in troubled:
            continue
        last = wait.by_ref()[ref][-1]
        was_made = last_polls <= last.ends <= wait.deadline + FROZEN or (last.is_good and last.at >= last_polls)
        assert was_made or last.at >= START + at + seconds - EPS


@ENOUGH
@given(ANY | THROTTLED)
def test_a_failure_is_a_throttle_or_a_retry(plan):
    """A failure is told as a throttle if it is one and as a retry if one follows."""
    wait = Wait(plan)
    told = [event for _, event in wait.told]
    places = {id(event): place for place, event in enumerate(told)}
    for attempt in wait.attempts:
        event, closed = attempt.event, attempt.closed_for
        expected = [] if closed is None else [(EventKind.THROTTLE, closed)]
        if not attempt.is_good and event.pause is not None:
            expected.append((EventKind.RETRY, event.pause))
        follow = told[places[id(event)] + 1 : places[id(event)] + 3]
        of_failure = itertools.takewhile(lambda one: one.kind in {EventKind.THROTTLE, EventKind.RETRY}, follow)
        assert [(one.kind, pytest.approx(one.pause)) for one in of_failure] == expected


@ENOUGH
@given(
    batches=st.integers(2, 12),
    spacing=SPACING,
    takes=hundredths(4),
    in_flight=st.integers(1, 16),
    rounds=st.integers(3, 10),
)
def test_pending_batches_are_read_equally_often(batches, spacing, takes, *, in_flight, rounds):
    """By plain rounds all keep their places: one read more in a round that is cut, one more as few get a last read."""
    timeout = batches * spacing * rounds + 60
    script = ((PENDING, takes),)
    options = {"script": script, "poll": PLAIN, "in_flight": in_flight, "timeout": timeout}
    plan = Plan(refs=(0,) * batches, spacings=(spacing, None), **options)
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


def test_after_stop_an_end_may_still_arrive():
    """No other is read, and what is pending still ends as stopped."""
    script = ((Reading(BatchState.SUCCEEDED), 1.1), (PENDING, 4.0))
    wait = Wait(Plan(refs=(0, 0, 0), script=script, in_flight=2, stop_at=1.0))
    ended = [(at - START, type(event.error)) for at, event in wait.done().values()]
    assert ended == [(1.0, WaitStopped), (pytest.approx(1.1), type(None)), (pytest.approx(1.25), WaitStopped)]


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


@pytest.mark.parametrize("asked", [10, 300, 4000])
@pytest.mark.parametrize("status", [202, 401, 503])
def test_a_hint_beyond_the_deadline_ends_no_wait(status, asked):
    """The next poll is the last one before the deadline then."""
    first, second = Wait(Plan(script=((Refusal(status, asked), 0.0), (PENDING, 0.0)), timeout=10.5)).attempts
    assert (first.event.reason, second.at - START) == (ALMOST_UP, 9.5)


def test_a_batch_has_one_last_read():
    script = ((PENDING, 3.0), (PENDING, 0.0), (PENDING, 0.0), (PENDING, 0.0))
    wait = Wait(Plan(script=script, timeout=10.0, poll=PollPolicy(floor=10.0)))
    assert [attempt.event.reason for attempt in wait.attempts].count(ALMOST_UP) == 1


def test_a_slowed_account_stays_slow():
    """An account that a 429 slowed down stays slow while nothing is sent."""
    keys, poll, script = (KEY, *(None,) * 30), PollPolicy(ceiling=1.0), ((Refusal(429, 1), 0.0),)
    wait = Wait(Plan(refs=(0,) * 2, spacings=(1.0, None), script=script, keys=keys, poll=poll, timeout=30.0))
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


NOT_FOUND = own(404)
LONG = {"poll": PollPolicy(ceiling=1.0), "timeout": 600.0}


def ended_at(*script, **options):
    """Return after how many seconds the wait for each batch ended, and how; the last answer is given for ever."""
    script = tuple((said, 0.0) for said in (*script, *[script[-1]] * 999))
    done = Wait(Plan(script=script, is_for_each=True, **options)).done().values()
    return [(round(at - START, 3), event.batch.state if event.batch else type(event.error)) for at, event in done]


@pytest.mark.parametrize(
    ("script", "refs", "expected"),
    [
        pytest.param((own(401),), (0, 0, 0), (0.0, AuthenticationError), id="the key"),
        pytest.param((own(403),), (0,), (0.0, PermissionDenied), id="the only batch"),
        pytest.param((own(403),), (0, 0), (0.0, PermissionDenied), id="two batches"),
        pytest.param((NOT_FOUND,), (1,), (15.0, BatchNotFound), id="a batch that may be new"),
        pytest.param((PENDING, NOT_FOUND), (0,), (61.0, BatchNotFound), id="a batch that was read"),
        pytest.param((PENDING, own(401)), (1,), (61.0, AuthenticationError), id="a key that was good"),
        pytest.param((Refusal(404),), (0,), (30.0, BatchNotFound), id="not the vendor's own"),
        pytest.param((UNKNOWN_HOST,), (0,), (30.0, TransportError), id="an unknown host"),
        pytest.param((NOT_JSON,), (1,), (30.0, InvalidResponse), id="a page"),
        pytest.param((PENDING, TOO_LARGE), (0,), (3.0, InvalidResponse), id="a body above max_body"),
        pytest.param((PENDING, Refusal(404)), (0,), (600.0, WaitTimeout), id="a read account's other refusals"),
        pytest.param((PENDING, UNKNOWN_HOST), (0,), (600.0, WaitTimeout), id="a read account's unknown host"),
        pytest.param((NO_CONNECTION,), (0, 0, 0), (600.0, WaitTimeout), id="an outage"),
        pytest.param((own(503),), (0,), (600.0, WaitTimeout), id="an outage that the vendor tells"),
        pytest.param((Refusal(407),), (0,), (600.0, WaitTimeout), id="a proxy"),
        pytest.param((*[UNKNOWN_HOST] * 30, NO_CONNECTION), (0,), (600.0, WaitTimeout), id="not the same for long"),
        pytest.param(
            (PENDING, NOT_FOUND, NOT_FOUND, *[Refusal(503)] * 30, NOT_FOUND), (0,), (92.0, BatchNotFound),
            id="an outage between"
        ),
        pytest.param((PENDING, *[NOT_FOUND] * 60, PENDING), (0,), (600.0, WaitTimeout), id="a reading between"),
    ],
)  # fmt: skip
def test_a_failure_ends_a_wait_when_it_is_believed(script, refs, expected):
    assert ended_at(*script, refs=refs, **LONG) == [expected] * len(refs)


def test_a_refused_key_is_not_used_again():
    """Two polls are in flight when the first one's refusal comes; of the other batches none is asked for."""
    wait = Wait(Plan(refs=(0,) * 9, script=((own(401), 0.5),), in_flight=2))
    assert len(wait.attempts) == 2
    assert {str(event.error.ref) for _, event in wait.done().values()} == {str(ref) for ref in wait.refs}


def test_a_refused_batch_does_not_make_another_refused():
    """One is denied and the other ends; what comes for the first one then is judged by itself."""
    script = ((own(403), 0.0), (own(400), 0.0), *((NOT_FOUND, 0.0),) * 99)
    wait = Wait(Plan(refs=(0, 0), script=script, poll=PollPolicy(ceiling=1.0)))
    assert [(at - START, type(event.error)) for at, event in wait.done().values()] == [
        (0, BadRequest),
        (15, BatchNotFound),
    ]


def test_refusals_of_a_key_refuse_no_batch():
    """A batch that was answered 401 twice, and 404 once, has been refused once."""
    script = (PENDING, *[own(401)] * 2, Refusal(503, 60), NOT_FOUND, PENDING)
    assert ended_at(*script, refs=(0,), **LONG) == [(600.0, WaitTimeout)]


@pytest.mark.parametrize(
    ("script", "expected", "times"),
    [
        pytest.param((LAGGING,), BatchState.SUCCEEDED, [0, 2, 5, 10], id="it stands"),
        pytest.param((LAGGING, Reading(BatchState.SUCCEEDED, 100, 100)), BatchState.SUCCEEDED, [0, 2], id="settled"),
        pytest.param(
            [Reading(BatchState.SUCCEEDED, 90 + some, 100) for some in (1, 2, 3, 4, 5, 5)],
            BatchState.SUCCEEDED, [0, 2, 5, 10, 15, 20], id="it moves",
        ),
        pytest.param(
            (LAGGING, PENDING, LAGGING, Reading(BatchState.FAILED)),
            BatchState.FAILED, [0, 2, 3, 5], id="it goes back to open",
        ),
        pytest.param((LAGGING, TOO_SLOW), BatchState.SUCCEEDED, None, id="an outage until the deadline"),
        pytest.param((LAGGING, NOT_FOUND), BatchState.SUCCEEDED, None, id="refused"),
    ],
)  # fmt: skip
def test_an_end_that_its_counts_contradict_has_to_settle(script, expected, times):
    wait = Wait(Plan(script=tuple((said, 0.0) for said in script), poll=PollPolicy(ceiling=1.0), timeout=90.0))
    ((_, event),) = wait.done().values()
    assert (event.batch.state, event.batch.is_settled) == (expected, True)
    assert times is None or [attempt.at - START for attempt in wait.attempts] == times


def test_a_contradicted_end_is_told_at_once():
    wait = Wait(Plan(script=((LAGGING, 0.0),)))
    kinds = {EventKind.CHANGE, EventKind.DONE}
    told = [(at - START, event.kind, event.batch.is_settled) for at, event in wait.told if event.kind in kinds]
    assert told == [(0, EventKind.CHANGE, False), (10, EventKind.CHANGE, True), (10, EventKind.DONE, True)]


@pytest.mark.parametrize(
    ("said", "gaps"),
    [(NO_CONNECTION, [1, 2, 4, 8, 16, 30, 30, 30]), (Refusal(401), [30, 60]), (PENDING, [])],
    ids=["an outage", "a key", "well"],
)
def test_a_closed_account_is_probed(said, gaps):
    """Five failed polls close it; no probe is of the same batch as the one before."""
    poll = PollPolicy(ceiling=1.0, startup_grace=10**6)
    script = ((NO_CONNECTION, 0.0),) * 4 + ((said, 0.0),) * 20
    wait = Wait(Plan(refs=(0,) * 5, script=script, in_flight=1, poll=poll, timeout=130.0))
    probes, due, _ = troubles(wait)
    attempts = wait.attempts[4 : 5 + len(gaps)]
    assert [following.at - one.at for one, following in itertools.pairwise(attempts)] == gaps
    assert probes >= set(attempts[1:])
    assert all(one.ref != following.ref for one, following in itertools.pairwise(attempts))
    assert [kind for kind, _ in due[0]] == ([EventKind.CLOSED] if gaps else [])


def test_a_probe_that_gets_no_key_is_a_probe():
    """Keys fail for a minute; batches are not tried one after another then."""
    poll = PollPolicy(ceiling=1.0, startup_grace=10**6)
    wait = Wait(Plan(refs=(0,) * 5, keys=(None,), poll=poll, timeout=60.0))
    assert [attempt.at - START for attempt in wait.attempts] == [0, 0, 0, 0, 0, 1, 3, 7, 15, 31, 55, 59]


def test_a_long_hint_said_twice_ends_no_wait():
    """It holds a closed account until the last probe before the deadline."""
    wait = Wait(Plan(refs=(0,) * 5, script=((Refusal(503, 4000), 0.5),) * 5 + ((PENDING, 0.0),), timeout=100.0))
    late = [attempt.at - START for attempt in wait.attempts[5:]]
    assert late == [99.0] * 5


def test_an_account_that_closes_by_a_last_failure_says_so():
    """The fifth failed poll ends its own batch, and closes the account for the others."""
    script = ((NO_CONNECTION, 0.0),) * 2 + ((TOO_LARGE, 0.0),) * 7
    wait = Wait(Plan(refs=(0,) * 3, script=script, poll=PollPolicy(ceiling=1.0), timeout=30.0))
    messages = [event.kind for _, event in wait.told if event.kind in {EventKind.CLOSED, EventKind.REOPENED}]
    assert messages == [EventKind.CLOSED]


@pytest.mark.parametrize("is_heard_late", [False, True])
@pytest.mark.parametrize("is_blocking", [False, True])
@pytest.mark.parametrize("refs", [(0,), (0, 0, 0)])
@pytest.mark.parametrize("at", [0.05, 5.0], ids=["in an exchange", "at rest"])
def test_a_frozen_wait_hears_of_an_end(at, refs, *, is_blocking, is_heard_late):
    """The batches end while the process stands still across the deadline."""
    script = ((PENDING, 0.1), *((Reading(BatchState.SUCCEEDED), 0.1),) * 9)
    options = {"is_cut": True, "is_blocking": is_blocking, "is_heard_late": is_heard_late, "is_for_each": True}
    wait = Wait(Plan(refs=refs, script=script, poll=PollPolicy(floor=20.0), freezes=((at, 500.0),), **options))
    assert [event.batch.state for _, event in wait.done().values()] == [BatchState.SUCCEEDED] * len(refs)
    assert [len(attempts) for attempts in wait.by_ref().values()] == [2] * len(refs)


def test_a_wait_resumed_past_its_deadline_polls_once():
    wait = Wait(Plan(timeout=-100.0, before=Before(last=PENDING)))
    assert [attempt.at for attempt in wait.attempts] == [START]
    assert type(next(iter(wait.done().values()))[1].error) is WaitTimeout


def test_a_resumed_wait_keeps_its_evidence():
    """Two refusals over a minute, and the next one, make three."""
    before = Before(has_reading=True, last=PENDING, refusals=(2, 60.0))
    wait = Wait(Plan(script=((NOT_FOUND, 0.0),), before=before))
    ((at, event),) = wait.done().values()
    assert (at, type(event.error), event.error.last.state) == (START, BatchNotFound, BatchState.PENDING)
