"""Waits under a virtual clock, for properties: a Plan says how the vendors answer, and a Wait plays it."""

from __future__ import annotations

import heapq
import itertools
import json
import math
from datetime import UTC, datetime, timedelta

from attrs import define, evolve, field, frozen
from batchstatus import (
    Batch,
    BatchRef,
    BatchState,
    Believe,
    Counts,
    Event,
    EventKind,
    Gameball,
    InvalidResponse,
    PollPolicy,
    RequestTimeout,
    RetryPolicy,
    TransportError,
)
from batchstatus._core.pacing import NoPace, PaceState
from batchstatus._core.read.messages import Response, StepResult, TransportFailure
from batchstatus._core.wait.checkpoint import Checkpoint, RowSoFar
from batchstatus._core.wait.queue import Queue
from batchstatus._core.wait.schedule import Schedule, StartPoll
from hypothesis import strategies as st
from properties import examples

START, NOW = 1000.0, datetime(2025, 1, 27, 12, tzinfo=UTC)
EPS = 1e-6
"""Seconds: more than rounding makes of the times here, less than anything else."""
OPEN_STATES = [state for state in BatchState if not state.is_terminal]
ENDS = [state for state in BatchState if state.is_terminal]
MOST_STEPS = 5_000
HEARD_LATE = 0.01
"""Seconds after its end at which an exchange is heard after the next step."""
ALMOST_UP = "the time is almost up"
MOST_RETRY_AFTER = 3600
"""Seconds: a Retry-After that is longer counts as this."""
LONG_HINT = 60
"""Seconds: a longer Retry-After closes an account for so long only if it is said twice in a row."""


@frozen
class Reading:
    """A vendor's good answer."""

    state: BatchState
    processed: int | None = None
    total: int | None = None
    retry_after: int | None = None

    @property
    def is_contradicted(self):
        """Whether it says that the batch has succeeded, and its counts say that it is not done."""
        is_known = self.processed is not None and self.total is not None
        return self.state is BatchState.SUCCEEDED and is_known and self.processed < self.total

    @property
    def facts(self):
        """What two equal readings have in common."""
        return self.state, self.processed, self.total


@frozen
class Growing:
    """A vendor's good answer about a batch of 100 items that gets on by so many in a second."""

    rate: float

    def at(self, age):
        """Return the reading so many seconds after the beginning."""
        return Reading(BatchState.RUNNING, min(int(self.rate * age), 100), 100)


@frozen
class Refusal:
    """An answer with another status than 200, from the vendor itself or from something in between."""

    status: int
    retry_after: int | None = None
    is_own: bool = False
    """Whether its body has the vendor's error code."""
    body: bytes = b""
    """The body of one that is not the vendor's own."""

    @property
    def is_refusal(self):
        return 400 <= self.status < 500 and self.status not in {407, 408, 425, 429}


def own(status, retry_after=None):
    """Return an answer with the vendor's own error body."""
    return Refusal(status, retry_after, is_own=True)


CODES = {
    "gameball": {400: 3000, 401: "1000", 403: 8000, 404: "4004"},
    "believe": {401: "ERR_UNAUTHORIZED", 403: "ERR_KEY_SCOPES_UNAUTHORIZED", 404: "ERR_BATCH_NOT_FOUND"},
}
CODE_NAMES = {account.vendor: account.ERROR_FIELDS["code"][0] for account in (Gameball, Believe)}
OTHER_CODES = {"gameball": 9999, "believe": "ERR_OTHER"}
PENDING = Reading(BatchState.PENDING)
LAGGING = Reading(BatchState.SUCCEEDED, 99, 100)
"""An end that its counts contradict."""
NO_CONNECTION = TransportFailure(error=TransportError, reason="cannot connect")
UNKNOWN_HOST = TransportFailure(error=TransportError, reason="no such host", is_lasting=True)
TOO_SLOW = TransportFailure(error=RequestTimeout, reason="slow")
TOO_LARGE = TransportFailure(error=InvalidResponse, reason="too large; see max_body", status=200, is_too_large=True)
GZIP_CUT_SHORT = TransportFailure(error=InvalidResponse, reason="ends", status=200, cut_short=True)
BODY_CUT_SHORT, NOT_JSON, ANOTHER_BATCH = b'{"id": "', b"<html>", b'{"id": "x", "batchId": "x", "status": "pending"}'
MESSAGE_ONLY = b'{"message": "no"}'
KEY, NO_KEY = "test-schedule-key", "nothing was sent"


@frozen(kw_only=True)
class Before:
    """What a wait that is resumed has seen before: of refusals, how many in a row and over how many seconds."""

    attempts: int = 1
    has_reading: bool = False
    last: Reading | None = None
    refusals: tuple[int, float] | None = None
    account_refusals: tuple[int, float] | None = None


@frozen(kw_only=True)
class Plan:
    """All that a wait depends on. Account 0 is at Gameball, account 1 at Believe."""

    refs: tuple[int, ...] = (0,)
    """The account of each ref."""
    spacings: tuple[float | None, float | None] = (None, None)
    """Seconds between two slots of each account; None: no pace."""
    script: tuple[tuple[object, float], ...] = ((PENDING, 0.1),)
    """What comes of each exchange, and after how many seconds; then from the beginning again."""
    is_for_each: bool = False
    """Whether each batch has the script for itself."""
    keys: tuple[str | None, ...] = (KEY,)
    """What a key function returns, likewise; None: it raises."""
    poll: PollPolicy = field(factory=PollPolicy)
    in_flight: int = 32
    timeout: float = 60.0
    attempt_timeout: float = 60.0
    stop_at: float | None = None
    late: float = 0.0
    """Seconds: how much longer each rest takes than it should."""
    freezes: tuple[tuple[float, float], ...] = ()
    """When the process stands still, and for how many seconds."""
    is_cut: bool = False
    """Whether an exchange that is under way then fails, if its time is up afterwards."""
    is_heard_late: bool = False
    """Whether its end is heard only after the next step."""
    is_blocking: bool = False
    """Whether a driver that has one exchange at a time performs it before it takes the next step."""
    before: Before | None = None
    """Of a wait for one batch that is resumed."""

    @property
    def deadline(self):
        return START + max(self.timeout, 0.0)

    def thawed(self, now):
        """Return when the process runs again that would have run at a moment."""
        for at, seconds in sorted(self.freezes):
            if START + at < now < START + at + seconds:
                now = START + at + seconds
        return now

    @property
    def may_be_frozen(self):
        """Whether the driver may be much too late by the deadline."""
        across = any(at < self.timeout + self.late and self.timeout <= at + seconds for at, seconds in self.freezes)
        return across or self.late > 0.25 or self.timeout <= 0

    @property
    def over_by(self):
        """The latest moment at which the wait may be over, lateness of the last rest apart."""
        latest = self.thawed(self.deadline + self.late) + (HEARD_LATE if self.is_heard_late else 0.0)
        return self.thawed(latest + 5.0 + self.late) if self.may_be_frozen else latest


@define(eq=False, kw_only=True)
class Attempt:
    """One exchange, or one that came to nothing for want of a key."""

    ref: BatchRef
    account: int
    due: float
    at: float
    ends: float
    said: object
    deadline: float
    asked_at: float
    """When its account's pace was first asked for a slot; a slot that a 429 has closed is given up for another."""
    booked_at: float
    slot: float
    closed_until: float
    """Until when a 429 had closed its account when it started."""
    under_way: int
    """How many others were under way when it started."""
    closed_for: float | None = None
    """Seconds for which its account is closed by this answer, a 429."""
    event: Event | None = None

    @property
    def is_good(self):
        return isinstance(self.said, Reading)

    @property
    def is_refusal(self):
        return isinstance(self.said, Refusal) and self.said.is_refusal

    @property
    def is_own_refusal(self):
        return self.is_refusal and self.said.is_own

    @property
    def is_about_key(self):
        return self.is_refusal and self.said.status in {401, 403}

    @property
    def is_throttled(self):
        return isinstance(self.said, Refusal) and self.said.status == 429

    @property
    def is_lasting(self):
        """Whether time hardly mends it."""
        if isinstance(self.said, Refusal):
            return 300 <= self.said.status < 400 or (self.is_refusal and not self.said.is_own)
        return self.said in (NO_KEY, UNKNOWN_HOST, NOT_JSON)

    @property
    def is_answer(self):
        """Whether the vendor has answered about the batch."""
        return self.is_good or (self.is_own_refusal and not self.is_about_key)

    @property
    def retry_after(self):
        """What is to be obeyed, if any."""
        seconds = getattr(self.said, "retry_after", None)
        return None if seconds is None else min(seconds, MOST_RETRY_AFTER)


class Throttle:
    """When a 429 closes an account that has a pace."""

    def __init__(self):
        self.until = -math.inf
        self._long = 0

    def hear(self, attempt):
        """Take an answer in; return for how many seconds the account is closed, if it is a 429."""
        if not attempt.is_throttled:
            is_transport = isinstance(attempt.said, TransportFailure) and attempt.said.error is not InvalidResponse
            self._long = self._long if is_transport else 0
            return None
        asked = attempt.retry_after or RetryPolicy().first_delay
        if attempt.ends >= self.until:
            self._long = self._long + 1 if asked > LONG_HINT else 0
        asked = asked if self._long > 1 else min(asked, LONG_HINT)
        self.until = max(self.until, attempt.ends + asked)
        return self.until - attempt.ends


class Watched:
    """A pace that keeps the slots it has handed out until they are used: when each was asked for, and when it is.

    One that was refused a slot, as none came before the deadline, may get one later: a pace that a 429 slowed down
    recovers with each response.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.slots = []
        self.asked_at = None

    def reserve(self, now, before):
        self.asked_at = now if self.asked_at is None else self.asked_at
        wait = super().reserve(now, before)
        if wait is not None:
            self.slots.append((now, now + wait))
        return wait


class WatchedPace(Watched, PaceState):
    """A pace, watched."""


class WatchedNoPace(Watched, NoPace):
    """No pace, watched."""


def utc(now):
    return NOW + timedelta(seconds=now - START)


def outcome(said, ref):
    """Return what an answer looks like; one body does for the readings of both vendors."""
    if isinstance(said, TransportFailure):
        return said
    if isinstance(said, bytes):
        return Response(status=200, headers={}, body=said)
    headers = {} if said.retry_after is None else {"retry-after": str(said.retry_after)}
    if isinstance(said, Refusal):
        code = CODES[ref.vendor].get(said.status, OTHER_CODES[ref.vendor])
        body = json.dumps({CODE_NAMES[ref.vendor]: code}).encode() if said.is_own else said.body
        return Response(status=said.status, headers=headers, body=body)
    counts = {"totalItems": said.total, "processedItems": said.processed}
    execution = {"total": said.total, "totalSuccessful": said.processed, "totalFailed": 0}
    body = {"id": ref.id, "batchId": ref.id, "status": said.state.value, **counts, "executeResult": execution}
    return Response(status=200, headers=headers, body=json.dumps(body).encode())


class Wait:
    """A wait from its beginning to its end, and all that was seen of it."""

    def __init__(self, plan):
        self.plan = plan
        self.attempts = []
        self.timeline = []
        """Each start and each end of an attempt, as they came: whether it is an end, and the attempt."""
        self.told = []
        """Each event, with the time of its telling."""
        self.rests = []
        """Each rest: when, how long, whether the wait was over by then, and how many events the step told."""
        self.steps = 0
        self.deadline = plan.deadline
        self.stop_at = math.inf if plan.stop_at is None else START + plan.stop_at
        self.size = 1 if len(plan.refs) == 1 else plan.poll.in_flight or plan.in_flight
        self._keys, self._under_way = itertools.cycle(plan.keys), []
        states = {state.value: state for state in BatchState}
        accounts = Gameball(self._key, "test-gameball-secret", states=states), Believe(self._key, states=states)
        self._paces = [WatchedNoPace() if spacing is None else WatchedPace(spacing) for spacing in plan.spacings]
        self._throttles = [None if spacing is None else Throttle() for spacing in plan.spacings]
        queues = [Queue(account, pace) for account, pace in zip(accounts, self._paces, strict=True)]
        self.refs = {BatchRef(accounts[account].vendor, number): account for number, account in enumerate(plan.refs)}
        common = itertools.cycle(plan.script)
        self._scripts = {ref: itertools.cycle(plan.script) if plan.is_for_each else common for ref in self.refs}
        self.schedule = Schedule(
            {ref: queues[account] for ref, account in self.refs.items()},
            poll=plan.poll,
            retry=RetryPolicy(attempt_timeout=plan.attempt_timeout),
            in_flight=plan.in_flight,
            started=START,
            timeout=plan.timeout,
            resume=None if plan.before is None else self._checkpoint(plan.before),
            utc=utc(START),
        )
        self.ended = self._drive()
        self.exchanges = self.attempts
        # Of polls that a stopped wait gave up in flight nothing is told.
        self.given_up = {attempt.ref for attempt in self.attempts if attempt.event is None}
        self.attempts = [attempt for attempt in self.attempts if attempt.event is not None]

    def _checkpoint(self, before):
        (ref,) = self.refs

        last = before.last and Batch(
            ref=ref,
            state=before.last.state,
            vendor_status=before.last.state.value,
            counts=Counts(total=before.last.total, processed=before.last.processed),
            read_at=utc(START - 1.0),
            raw=None,
            payload=None,
        )
        return Checkpoint(
            ref=ref,
            until=frozenset(ENDS),
            deadline=utc(self.deadline),
            attempts=before.attempts,
            has_reading=before.has_reading,
            last=last,
            refusals=before.refusals and RowSoFar(*before.refusals, 0.0),
            account_refusals=before.account_refusals and RowSoFar(*before.account_refusals, 0.0),
            at=utc(START),
            failures=0,
            too_large=0,
            unchanged_for=0.0,
            baseline=None,
            settling_for=None,
            lasting=None,
        )

    def _key(self):
        key = next(self._keys)
        if key is None:
            raise LookupError("no key")
        return key

    def _drive(self):
        now = START
        while self.steps < MOST_STEPS:
            self._answer(now)
            if now >= self.stop_at:
                self.schedule.stop()
            self.steps += 1
            step = self.schedule.step(now, utc(now))
            told = self._hear(now)
            if step is None:
                return now
            if isinstance(step, StartPoll):
                ends = self._start(step, now)
                now = ends if self.plan.is_blocking and self.size == 1 else now
            else:
                over = now >= min(self.deadline, self.stop_at)
                self.rests.append((now, step.seconds, over, len(told)))
                wakes = [now + step.seconds, *(end for end, *_ in self._under_way[:1])]
                wakes += [self.stop_at] if self.stop_at > now else []
                now = self.plan.thawed(min(wakes) + (self.plan.late if step.seconds else 0.0))
        raise AssertionError(f"the wait goes on after {MOST_STEPS} steps")

    def _start(self, read, now):
        said, takes = next(self._scripts[read.progress.ref])
        if now + takes > read.send.deadline:
            said, takes = TOO_SLOW, read.send.deadline - now
        ends = self.plan.thawed(now + takes)
        if ends > now + takes:
            said = TOO_SLOW if self.plan.is_cut and ends > read.send.deadline else said
            ends += HEARD_LATE if self.plan.is_heard_late else 0.0
        if isinstance(said, Growing):
            said = said.at(ends - START)
        attempt = self._attempt(read.progress.ref, read.due, at=now, ends=ends, said=said, deadline=read.send.deadline)
        heapq.heappush(self._under_way, (attempt.ends, len(self.attempts), read, attempt))
        return ends

    def _attempt(self, ref, due, *, at, ends, said, deadline):
        account = self.refs[ref]
        pace, throttle = self._paces[account], self._throttles[account]
        asked_at, (booked_at, slot) = pace.asked_at, pace.slots[-1]
        pace.slots.clear()
        pace.asked_at = None
        attempt = Attempt(
            ref=ref,
            account=account,
            due=due,
            at=at,
            ends=ends,
            said=said,
            deadline=deadline,
            asked_at=asked_at,
            booked_at=booked_at,
            slot=slot,
            closed_until=-math.inf if throttle is None else throttle.until,
            under_way=len(self._under_way),
        )
        self.attempts.append(attempt)
        self.timeline.append((False, attempt))
        return attempt

    def _answer(self, now):
        while self._under_way and self._under_way[0][0] <= now:
            ends, _, read, attempt = heapq.heappop(self._under_way)
            throttle = self._throttles[attempt.account]
            if throttle is not None:
                attempt.closed_for = throttle.hear(attempt)
            elif attempt.is_throttled:
                attempt.closed_for = attempt.retry_after or RetryPolicy().first_delay
            self.schedule.take_result(read, StepResult(outcome(attempt.said, attempt.ref), ends, utc(ends)))
            self._hear(ends, attempt)

    def _hear(self, now, attempt=None):
        events = [*self.schedule.events]
        self.schedule.events.clear()
        self.told += [(now, event) for event in events]
        for event in events:
            if event.kind is EventKind.ATTEMPT:
                attempt = attempt or self._attempt(
                    event.ref, now - event.queued, at=now, ends=now, said=NO_KEY, deadline=now
                )
                attempt.event = event
                self.timeline.append((True, attempt))
        return events

    def by_ref(self):
        """Return the attempts of each ref."""
        found = {ref: [] for ref in self.refs}
        for attempt in self.attempts:
            found[attempt.ref].append(attempt)
        return found

    def by_account(self, attempts=None):
        """Return the attempts of each account, in the order of their starts; those that nothing is told of if given."""
        attempts = self.attempts if attempts is None else attempts
        return [[attempt for attempt in attempts if attempt.account == account] for account in (0, 1)]

    def done(self):
        """Return for each ref when it was done, and with which event."""
        return {event.ref: (at, event) for at, event in self.told if event.kind is EventKind.DONE}

    def unread(self):
        """Return when each batch was due that was announced to be read once more."""
        due = dict.fromkeys(self.refs, START)
        for attempt in self.attempts:
            due[attempt.ref] = math.inf if attempt.event.pause is None else attempt.ends + attempt.event.pause
        return {ref: at for ref, at in due.items() if at < math.inf and ref not in self.given_up}

    def was_full(self, since, until):
        """Return whether no more could have been under way at any time from one moment to the other."""
        spans = [(attempt.at, attempt.ends) for attempt in self.exchanges]
        moments = [since, *(end for _, end in spans if since < end < until - 2 * EPS)]
        return all(sum(at <= moment + EPS < end for at, end in spans) >= self.size for moment in moments)


def hundredths(most):
    return st.integers(0, 100).map(lambda share: share * most / 100)


COUNTS = st.none() | st.integers(0, 100)
HINTS = st.none() | st.sampled_from([0, 1, 3, 10, 50, 300, 4000])
READINGS = st.builds(Reading, st.sampled_from(OPEN_STATES), COUNTS, COUNTS, HINTS)
OUTAGES = st.builds(Refusal, st.sampled_from([407, 408, 425, 429, 429, 429, 500, 503]), HINTS) | st.builds(
    own, st.just(503), HINTS
)
STATUSES = st.sampled_from([400, 401, 403, 404, 404, 410, 418, 422])
OWN = st.builds(own, STATUSES, st.none() | st.sampled_from([1, 300]))
NOT_OWN = st.builds(Refusal, STATUSES, HINTS, st.just(False), st.sampled_from([b"", NOT_JSON, MESSAGE_ONLY]))
LASTING = (
    st.sampled_from([UNKNOWN_HOST, NOT_JSON, ANOTHER_BATCH, Refusal(302), Refusal(600), Refusal(202, 3)]) | NOT_OWN
)
FAULTS = st.sampled_from([NO_CONNECTION, TOO_SLOW, GZIP_CUT_SHORT, BODY_CUT_SHORT, TOO_LARGE]) | LASTING
ENDINGS = st.builds(Reading, st.sampled_from(ENDS), COUNTS, COUNTS)
CONTRADICTED = st.sampled_from([LAGGING, LAGGING, Reading(BatchState.SUCCEEDED, 50, 100)])
GROWING = st.builds(Growing, st.sampled_from([0.1, 0.5, 2.0, 10.0]))
OPEN = st.just(PENDING) | GROWING | READINGS | OUTAGES | FAULTS
SECONDS = st.just(0.0) | hundredths(1) | hundredths(70)
SPACING = st.floats(0.05, 3)
GRACES = st.sampled_from([0.0, 2.0, 5.0])
AGES = st.sampled_from([0.0, 1.0, 30.0, 100.0])
ROWS = st.none() | st.tuples(st.integers(1, 4), AGES)
BEFORE = st.builds(
    Before,
    attempts=st.integers(1, 3),
    has_reading=st.booleans(),
    last=st.none() | READINGS,
    refusals=ROWS,
    account_refusals=ROWS,
)


def scripts(answers, takes=SECONDS, least=1):
    return st.lists(st.tuples(answers, takes), min_size=least, max_size=12).map(tuple)


DRAWN = {
    "refs": st.integers(1, 20).flatmap(lambda size: st.tuples(*[st.integers(0, 1)] * size)),
    "spacings": st.tuples(st.none() | SPACING, st.none() | SPACING),
    "script": scripts(OPEN) | scripts(OPEN | ENDINGS | CONTRADICTED | OWN) | scripts(GROWING | OUTAGES),
    "is_for_each": st.booleans(),
    "keys": st.just((KEY,)) | st.lists(st.sampled_from([KEY, KEY, "", None]), min_size=1, max_size=5).map(tuple),
    "in_flight": st.integers(1, 8) | st.just(32),
    "attempt_timeout": st.just(60.0) | st.floats(0.1, 60),
    "stop_at": st.none() | hundredths(60),
    "late": st.just(0.0),
    "is_blocking": st.booleans(),
}


@st.composite
def plans(draw, *, freezes=False, **chosen):
    floor = draw(st.floats(0.2, 5))
    poll = PollPolicy(
        floor=floor,
        ceiling=floor * draw(st.integers(1, 30)),
        settle=draw(GRACES | st.just(10.0)),
        not_found_grace=draw(GRACES | st.just(15.0)),
        startup_grace=draw(GRACES | st.just(30.0)),
        refusal_grace=draw(GRACES | st.just(60.0)),
        in_flight=draw(st.none() | st.integers(1, 8)),
    )
    drawn = {name: draw(values) for name, values in {**DRAWN, **chosen}.items()}
    drawn.setdefault("timeout", floor * draw(st.floats(0.05, 4) | st.integers(4, 40) | st.integers(20, 40)))
    plan = Plan(poll=poll, **drawn)
    if len(plan.refs) == 1 and draw(st.booleans()):
        plan = evolve(plan, before=draw(BEFORE))
    if freezes and draw(st.booleans()):
        at, seconds = draw(hundredths(120)) * plan.timeout / 100, draw(st.sampled_from([0.2, 1.0, 30.0, 1000.0]))
        plan = evolve(plan, freezes=((at, seconds),), is_cut=draw(st.booleans()), is_heard_late=draw(st.booleans()))
    return plan


LATE_ONES = st.just(0.0) | hundredths(3)
PUNCTUAL = plans()
ANY = plans(late=LATE_ONES, freezes=True)
PACED = plans(spacings=st.tuples(SPACING, SPACING), late=LATE_ONES, freezes=True)
REFUSED = plans(
    refs=st.sampled_from([(0,), (1,), (0, 0), (0, 1), (0, 0, 1, 1, 1)]),
    script=scripts(st.just(PENDING) | OWN | OWN | OUTAGES, hundredths(1))
    | scripts(OWN, hundredths(1))
    | scripts(LASTING | LASTING | OWN | st.just(NO_CONNECTION) | st.just(TOO_LARGE), hundredths(1)),
    keys=st.just((KEY,)),
    stop_at=st.none(),
    freezes=True,
)
SETTLING = plans(
    refs=st.sampled_from([(0,), (1,), (0, 1)]),
    script=scripts(CONTRADICTED | CONTRADICTED | CONTRADICTED | OPEN | ENDINGS | OWN, hundredths(1)),
    keys=st.just((KEY,)),
    freezes=True,
)
FAILING = plans(
    script=scripts(GROWING | OUTAGES | FAULTS | FAULTS | FAULTS, hundredths(1), 6),
    refs=st.sampled_from([(0,), (1,), (0, 1), (0, 1, 1)]),
)
DOWN = plans(
    script=scripts(FAULTS | OUTAGES | OWN | st.sampled_from([NO_CONNECTION, NO_CONNECTION, PENDING]), hundredths(1), 6),
    refs=st.integers(3, 12).flatmap(lambda size: st.tuples(*[st.integers(0, 1)] * size)),
    late=LATE_ONES,
    freezes=True,
    timeout=st.integers(20, 200),
)
THROTTLED = plans(
    spacings=st.tuples(st.floats(0.2, 1), st.none()),
    script=scripts(
        st.just(PENDING) | st.builds(Refusal, st.just(429), st.sampled_from([None, 1, 3, 70])), hundredths(1), 4
    ),
    refs=st.integers(5, 20).map(lambda size: (0,) * size),
    keys=st.just((KEY,)),
    stop_at=st.none(),
    timeout=st.integers(10, 60),
)
ROOMY = PACED.map(lambda plan: evolve(plan, late=0.0, freezes=(), in_flight=32, poll=evolve(plan.poll, in_flight=None)))
ENOUGH = examples(40)
