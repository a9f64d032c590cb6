"""Waits under a virtual clock, for properties: a Plan says how the vendors answer, and a Wait plays it."""

from __future__ import annotations

import heapq
import itertools
import json
import math
from datetime import UTC, datetime, timedelta

from attrs import define, evolve, field, frozen
from batchstatus import (
    BatchRef,
    BatchState,
    Believe,
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
from batchstatus._core.wait.queue import Queue
from batchstatus._core.wait.schedule import Schedule, StartPoll
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

START, NOW = 1000.0, datetime(2025, 1, 27, 12, tzinfo=UTC)
EPS = 1e-6
"""Seconds: more than rounding makes of the times here, less than anything else."""
OPEN_STATES = [state for state in BatchState if not state.is_terminal]
ENDS = [state for state in BatchState if state.is_terminal]
MOST_STEPS = 5_000
ALMOST_UP = "the time is almost up"


@frozen
class Reading:
    """A vendor's good answer."""

    state: BatchState
    processed: int | None = None
    total: int | None = None


@frozen
class Growing:
    """A vendor's good answer about a batch of 100 items that gets on by so many in a second."""

    rate: float

    def at(self, age):
        """Return the reading so many seconds after the beginning."""
        return Reading(BatchState.RUNNING, min(int(self.rate * age), 100), 100)


@frozen
class Refusal:
    """A vendor's answer with another status than 200."""

    status: int
    retry_after: int | None = None

    @property
    def is_final(self):
        return 400 <= self.status < 500 and self.status not in {408, 425, 429}


PENDING = Reading(BatchState.PENDING)
NO_CONNECTION = TransportFailure(error=TransportError, reason="cannot connect")
TOO_SLOW = TransportFailure(error=RequestTimeout, reason="slow")
GZIP_CUT_SHORT = TransportFailure(error=InvalidResponse, reason="ends", status=200, cut_short=True)
BODY_CUT_SHORT, NOT_JSON, ANOTHER_BATCH = b'{"id": "', b"<html>", b'{"id": "x", "batchId": "x", "status": "pending"}'
KEY, NO_KEY = "test-schedule-key", "nothing was sent"


@frozen(kw_only=True)
class Plan:
    """All that a wait depends on. Account 0 is at Gameball, account 1 at Believe."""

    refs: tuple[int, ...] = (0,)
    """The account of each ref."""
    spacings: tuple[float | None, float | None] = (None, None)
    """Seconds between two slots of each account; None: no pace."""
    script: tuple[tuple[object, float], ...] = ((PENDING, 0.1),)
    """What comes of each exchange, and after how many seconds; then from the beginning again."""
    keys: tuple[str | None, ...] = (KEY,)
    """What a key function returns, likewise; None: it raises."""
    poll: PollPolicy = field(factory=PollPolicy)
    in_flight: int = 32
    timeout: float = 60.0
    attempt_timeout: float = 60.0
    stop_at: float | None = None
    late: float = 0.0
    """Seconds: how much longer each rest takes than it should."""
    attempts_before: int = 0


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
    event: Event | None = None

    @property
    def is_good(self):
        return isinstance(self.said, Reading)

    @property
    def is_end(self):
        return self.is_good and self.said.state.is_terminal

    @property
    def is_final_refusal(self):
        return isinstance(self.said, Refusal) and self.said.is_final

    @property
    def retry_after(self):
        """What is to be obeyed, if any."""
        seconds = self.said.retry_after if isinstance(self.said, Refusal) else None
        return None if seconds is None or seconds > RetryPolicy().max_retry_after else seconds

    @property
    def closes_for(self):
        is_throttled = isinstance(self.said, Refusal) and self.said.status == 429
        return (self.retry_after or RetryPolicy().first_delay) if is_throttled else None


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
    """Return what a vendor's answer looks like; one body does for both vendors."""
    if isinstance(said, TransportFailure):
        return said
    if isinstance(said, bytes):
        return Response(status=200, headers={}, body=said)
    if isinstance(said, Refusal):
        headers = {} if said.retry_after is None else {"retry-after": str(said.retry_after)}
        return Response(status=said.status, headers=headers, body=b"")
    counts = {"totalItems": said.total, "processedItems": said.processed}
    execution = {"total": said.total, "totalSuccessful": said.processed, "totalFailed": 0}
    body = {"id": ref.id, "batchId": ref.id, "status": said.state.value, **counts, "executeResult": execution}
    return Response(status=200, headers={}, body=json.dumps(body).encode())


class Wait:
    """A wait from its beginning to its end, and all that was seen of it."""

    def __init__(self, plan):
        self.plan = plan
        self.attempts = []
        self.told = []
        """Each event, with the time of its telling."""
        self.rests = []
        """Each rest: when, how long, whether the wait was over by then, and how many events the step told."""
        self.steps = 0
        self.deadline = START + plan.timeout
        self.stop_at = math.inf if plan.stop_at is None else START + plan.stop_at
        self.size = 1 if len(plan.refs) == 1 else plan.poll.in_flight or plan.in_flight
        self._keys, self._script = itertools.cycle(plan.keys), itertools.cycle(plan.script)
        self._under_way, self._closed_until = [], [-math.inf, -math.inf]
        states = {state.value: state for state in BatchState}
        accounts = Gameball(self._key, "test-gameball-secret", states=states), Believe(self._key, states=states)
        self._paces = [WatchedNoPace() if spacing is None else WatchedPace(spacing) for spacing in plan.spacings]
        queues = [Queue(account, pace) for account, pace in zip(accounts, self._paces, strict=True)]
        self.refs = {BatchRef(accounts[account].vendor, number): account for number, account in enumerate(plan.refs)}
        self.schedule = Schedule(
            {ref: queues[account] for ref, account in self.refs.items()},
            poll=plan.poll,
            retry=RetryPolicy(attempt_timeout=plan.attempt_timeout),
            in_flight=plan.in_flight,
            started=START,
            timeout=plan.timeout,
            attempts_before=plan.attempts_before,
        )
        self.ended = self._drive()

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
                self._start(step, now)
            else:
                over = now >= min(self.deadline, self.stop_at)
                self.rests.append((now, step.seconds, over, len(told)))
                wakes = [now + step.seconds, *(end for end, *_ in self._under_way[:1])]
                wakes += [self.stop_at] if self.stop_at > now else []
                now = min(wakes) + (self.plan.late if step.seconds else 0.0)
        raise AssertionError(f"the wait goes on after {MOST_STEPS} steps")

    def _start(self, read, now):
        said, takes = next(self._script)
        if now + takes > read.send.deadline:
            said, takes = TOO_SLOW, read.send.deadline - now
        if isinstance(said, Growing):
            said = said.at(now + takes - START)
        attempt = self._attempt(
            read.progress.ref, read.due, at=now, ends=now + takes, said=said, deadline=read.send.deadline
        )
        heapq.heappush(self._under_way, (attempt.ends, len(self.attempts), read, attempt))

    def _attempt(self, ref, due, *, at, ends, said, deadline):
        account = self.refs[ref]
        pace, closed_until = self._paces[account], self._closed_until[account]
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
            closed_until=closed_until,
            under_way=len(self._under_way),
        )
        self.attempts.append(attempt)
        return attempt

    def _answer(self, now):
        while self._under_way and self._under_way[0][0] <= now:
            ends, _, read, attempt = heapq.heappop(self._under_way)
            if attempt.closes_for is not None:
                closed = self._closed_until[attempt.account]
                self._closed_until[attempt.account] = max(closed, ends + attempt.closes_for)
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
        return events

    def by_ref(self):
        """Return the attempts of each ref."""
        found = {ref: [] for ref in self.refs}
        for attempt in self.attempts:
            found[attempt.ref].append(attempt)
        return found

    def by_account(self):
        """Return the attempts of each account, in the order of their starts."""
        return [[attempt for attempt in self.attempts if attempt.account == account] for account in (0, 1)]

    def done(self):
        """Return for each ref when it was done, and with which event."""
        return {event.ref: (at, event) for at, event in self.told if event.kind is EventKind.DONE}

    def unread(self):
        """Return when each batch was due that was announced to be read once more."""
        due = dict.fromkeys(self.refs, START)
        for attempt in self.attempts:
            due[attempt.ref] = math.inf if attempt.event.pause is None else attempt.ends + attempt.event.pause
        return {ref: at for ref, at in due.items() if at < math.inf}

    def was_full(self, since, until):
        """Return whether no more could have been under way at any time from one moment to the other."""
        spans = [(attempt.at, attempt.ends) for attempt in self.attempts]
        moments = [since, *(end for _, end in spans if since < end < until - 2 * EPS)]
        return all(sum(at <= moment + EPS < end for at, end in spans) >= self.size for moment in moments)


def hundredths(most):
    return st.integers(0, 100).map(lambda share: share * most / 100)


COUNTS = st.none() | st.integers(0, 100)
READINGS = st.builds(Reading, st.sampled_from(OPEN_STATES), COUNTS, COUNTS)
ASKED = st.none() | st.sampled_from([0, 1, 3, 10, 50, 300, 4000])
REFUSALS = st.builds(Refusal, st.sampled_from([408, 425, 429, 429, 429, 500, 503]), ASKED)
FAULTS = st.sampled_from(
    [NO_CONNECTION, TOO_SLOW, GZIP_CUT_SHORT, BODY_CUT_SHORT, NOT_JSON, ANOTHER_BATCH, Refusal(302), Refusal(600)]
)
ENDINGS = st.builds(Reading, st.sampled_from(ENDS), COUNTS, COUNTS) | st.builds(
    Refusal, st.sampled_from([400, 401, 403, 404, 410, 418, 422]), st.none() | st.just(300)
)
GROWING = st.builds(Growing, st.sampled_from([0.1, 0.5, 2.0, 10.0]))
OPEN = st.just(PENDING) | GROWING | READINGS | REFUSALS | FAULTS
SECONDS = st.just(0.0) | hundredths(1) | hundredths(70)
SPACING = st.floats(0.05, 3)


def scripts(answers, takes=SECONDS, least=1):
    return st.lists(st.tuples(answers, takes), min_size=least, max_size=12).map(tuple)


DRAWN = {
    "refs": st.integers(1, 20).flatmap(lambda size: st.tuples(*[st.integers(0, 1)] * size)),
    "spacings": st.tuples(st.none() | SPACING, st.none() | SPACING),
    "script": scripts(OPEN) | scripts(OPEN | ENDINGS) | scripts(GROWING | REFUSALS),
    "keys": st.just((KEY,)) | st.lists(st.sampled_from([KEY, KEY, "", None]), min_size=1, max_size=5).map(tuple),
    "in_flight": st.integers(1, 8) | st.just(32),
    "attempt_timeout": st.just(60.0) | st.floats(0.1, 60),
    "stop_at": st.none() | hundredths(60),
    "late": st.just(0.0),
    "attempts_before": st.integers(0, 3),
}


@st.composite
def plans(draw, **chosen):
    floor = draw(st.floats(0.2, 5))
    poll = PollPolicy(
        floor=floor,
        ceiling=floor * draw(st.integers(1, 30)),
        give_up_after=draw(st.integers(1, 60)),
        in_flight=draw(st.none() | st.integers(1, 8)),
    )
    drawn = {name: draw(values) for name, values in {**DRAWN, **chosen}.items()}
    return Plan(
        **{
            "poll": poll,
            "timeout": floor * draw(st.floats(0.05, 4) | st.integers(4, 40) | st.integers(20, 40)),
            **drawn,
        }
    )


PUNCTUAL = plans()
ANY = plans(late=st.just(0.0) | hundredths(3))
PACED = plans(spacings=st.tuples(SPACING, SPACING), late=st.just(0.0) | hundredths(3))
FAILING = plans(
    script=scripts(GROWING | REFUSALS | FAULTS | FAULTS | FAULTS, hundredths(1), 6),
    refs=st.sampled_from([(0,), (1,), (0, 1), (0, 1, 1)]),
)
THROTTLED = plans(
    spacings=st.tuples(st.floats(0.2, 1), st.none()),
    script=scripts(
        st.just(PENDING) | st.builds(Refusal, st.just(429), st.sampled_from([None, 1, 3])), hundredths(1), 4
    ),
    refs=st.integers(5, 20).map(lambda size: (0,) * size),
    keys=st.just((KEY,)),
    stop_at=st.none(),
    timeout=st.integers(10, 60),
)
ROOMY = PACED.map(lambda plan: evolve(plan, late=0.0, in_flight=32, poll=evolve(plan.poll, in_flight=None)))
ENOUGH = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
