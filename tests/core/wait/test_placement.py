"""Placed polls: what holds whatever was learned, and what is learned.

That no slot stays empty while a batch is due is in `test_schedule`, whose waits place their polls.
"""

from __future__ import annotations

import itertools
import math
import random

import pytest
from attrs import evolve
from batchstatus import BatchRef, BatchState, ConfigurationError, Durations, PollPolicy, RetryPolicy
from batchstatus._core.pacing import PaceState
from batchstatus._core.wait.durations import AgeTable, RestTable
from batchstatus._core.wait.interval import next_interval
from batchstatus._core.wait.placement import FAR, Placement
from batchstatus._core.wait.progress import BatchProgress
from batchstatus._core.wait.queue import Queue
from batchstatus._core.wait.schedule import Schedule
from hypothesis import given
from hypothesis import strategies as st
from schedule_model import ENOUGH, EPS, PACED, ROOMY, Plan, Reading, Wait

AGES = st.floats(0.0, 1e6)
GAPS = st.lists(st.tuples(AGES, st.floats(0.001, 1e5), st.booleans()), max_size=60)


def table_of(gaps, kind=AgeTable):
    table = kind()
    for start, width, has_ended in gaps:
        (table.record_end if has_ended else table.record_open)(start, start + width)
    return table


class TestSpread:
    @given(GAPS, AGES, st.floats(1e-6, 1e4), st.floats(0.01, 1e4), st.floats(1.0, 3.0))
    def test_it_is_within_its_bound(self, gaps, age, price, near, times):
        """Whatever a table has seen, no spread is 0, and none is longer than the bound."""
        for kind in (AgeTable, RestTable):
            assert 0.0 < table_of(gaps, kind).solve(age, price, near, near * times) <= near * times * (1 + 1e-9)

    @given(GAPS, AGES, st.floats(1e-6, 1e4), st.floats(0.01, 1e4))
    def test_a_higher_price_makes_it_no_shorter(self, gaps, age, price, near):
        table = table_of(gaps)
        assert table.solve(age, price, near, near) <= table.solve(age, 2 * price, near, near) * (1 + 1e-9)

    def test_it_reaches_beyond_the_bound_only_if_much_was_learned(self):
        """A batch is left alone for longer if its end is improbable, by ends of the wait itself."""
        table = Durations([600.0] * 300).table()
        assert table.solve(60.0, 50.0, 100.0, 200.0) == 100.0
        for _ in range(400):
            table.record_open(0.0, 595.0)
            table.record_end(595.0, 605.0)
        assert table.solve(60.0, 50.0, 100.0, 200.0) == 200.0
        assert table.solve(590.0, 5.0, 100.0, 200.0) < 50.0

    def test_the_price_settles_where_the_rate_is(self):
        """With constant hazards the spreads come to as many polls as there are slots."""
        placement, progress = Placement(), [BatchProgress(BatchRef("believe", str(n)), 0.0) for n in range(100)]
        for each in progress:
            each.durations = placement.table(None)
            each.durations.record_open(0.0, 1e6)
        for poll in range(20_000):
            now = poll * 0.1
            placement.take_start(now - 5.0, now)
            placement.spread(progress[poll % 100], now, 100)
        wanted = sum(1 / each.spread for each in progress)
        assert 0.4 < wanted * 0.1 < 1.2
        assert all(each.spread <= FAR * 10.0 + EPS for each in progress)


class TestOrder:
    @ENOUGH
    @given(PACED | ROOMY)
    def test_no_batch_is_polled_twice_before_one_that_waits(self, plan):
        """Once a due batch has waited for the bound of 2 rounds, each other one goes before it once at most."""
        wait = Wait(plan)
        bound = FAR * len(plan.refs) * max(spacing or 1.0 for spacing in plan.spacings) * 4  # gaps up to 4 times
        for of_account in wait.by_account():
            for attempt in of_account:
                read_at = max((one.ends for one in of_account if one.ref == attempt.ref and one.ends <= attempt.at),
                              default=-math.inf)  # fmt: skip
                since = max(attempt.due, read_at + bound)
                before = [one.ref for one in of_account if since + EPS < one.booked_at and one.at < attempt.at - EPS]
                assert all(before.count(ref) <= 1 for ref in before)

    def test_without_congestion_nothing_changes(self):
        """Until other batches have ended, poll times are those of plain rounds."""
        script = ((Reading(BatchState.RUNNING, 1, 100), 0.1), (Reading(BatchState.PENDING), 0.2))
        plan = Plan(refs=(0, 1, 0), spacings=(0.01, 0.01), script=script, timeout=300.0)
        placed, plain = Wait(plan), Wait(evolve(plan, poll=PollPolicy(placement=False)))
        assert [(a.ref, a.at) for a in placed.attempts] == [(a.ref, a.at) for a in plain.attempts]

    def test_a_batch_near_its_end_goes_first(self):
        """Of two that are due, the one whose counts are almost complete, although it was read later."""
        queue = Queue(object(), PaceState(1.0))
        early, late = (BatchProgress(BatchRef("believe", name), 0.0) for name in ("early", "late"))
        early.read_at, early.spread = 10.0, 60.0
        late.read_at, late.spread = 30.0, 2.0
        queue.add(early, 20.0)
        queue.add(late, 32.0)
        queue.next_due(40.0)
        queue.book(40.0)
        assert queue.depart() == (32.0, late)


class TestDurations:
    def test_it_gives_the_distribution_back(self):
        draw = random.Random(1)
        known = Durations(draw.lognormvariate(math.log(300), 0.3) for _ in range(2_000))
        assert known.batches == 2_000
        assert known.share_ended(300) == pytest.approx(0.5, abs=0.05)
        assert known.share_ended(600) == pytest.approx(0.99, abs=0.02)
        assert known.remaining() == pytest.approx(300, rel=0.1)
        assert known.remaining(400.0) < 120

    def test_few_say_nothing(self):
        assert Durations([60.0] * 19).remaining() is None
        assert Durations([60.0] * 20).remaining() == pytest.approx(60, rel=0.3)

    def test_ends_between_readings_become_sharp(self):
        """All end after 100 s, and are read at random: the table finds that out."""
        draw, known = random.Random(2), Durations()
        for _ in range(500):
            first = draw.uniform(0.0, 100.0)
            known.add(draw.uniform(100.0, 200.0), earliest=first)
        assert known.share_ended(85.0) < 0.2
        assert known.share_ended(115.0) > 0.7

    @given(st.lists(st.floats(0.001, 1e9), max_size=50))
    def test_it_survives_json(self, seconds):
        known = Durations(seconds)
        again = Durations.from_dict(known.to_dict())
        assert again.batches == len(seconds)
        for age in (0.5, 10.0, 1e3, 1e6):
            assert again.share_ended(age) == pytest.approx(known.share_ended(age), abs=0.01)

    def test_old_ends_are_forgotten(self):
        """After a change of the vendor's, a few hundred ends are enough."""
        known = Durations([1_000.0] * 5_000)
        for _ in range(1_500):
            known.add(100.0)
        assert known.remaining() < 150

    @pytest.mark.parametrize("seconds", [0, -1.0, math.nan, math.inf, "60", None, True, 1e10])
    def test_what_is_not_a_duration_is_refused(self, seconds):
        with pytest.raises(ConfigurationError, match="a duration is a positive number of seconds"):
            Durations([seconds])

    @pytest.mark.parametrize(
        "fields",
        [{}, {"bins": 1}, {"bins": [[1, -1]], "batches": 1, "weight": 1}, {"bins": [[0, 0]] * 57, "batches": 1},
         {"bins": [[1, math.inf]], "batches": 1, "weight": 1}, None],
    )  # fmt: skip
    def test_what_is_not_its_json_is_refused(self, fields):
        with pytest.raises(ConfigurationError, match=r"these are not the values of Durations\.to_dict"):
            Durations.from_dict(fields)


class TestInterval:
    def test_it_follows_what_was_learned(self):
        """Far from an end seldom, near it often."""
        draw = random.Random(3)
        progress = BatchProgress(BatchRef("believe", "1"), 0.0)
        progress.durations = Durations(draw.lognormvariate(math.log(300), 0.1) for _ in range(300)).table()
        gaps = {age: next_interval(progress, PollPolicy(), age)[0] for age in (10.0, 100.0, 300.0)}
        assert min(gaps[10.0], gaps[100.0]) > 3 * gaps[300.0]

    @given(st.lists(st.floats(0.1, 1e5), min_size=20, max_size=40), AGES)
    def test_it_stays_between_floor_and_ceiling(self, seconds, age):
        progress, poll = BatchProgress(BatchRef("believe", "1"), 0.0), PollPolicy(floor=2.0, ceiling=20.0)
        progress.durations = Durations(seconds).table()
        assert 2.0 <= next_interval(progress, poll, age)[0] <= 20.0

    def test_a_hint_is_obeyed_as_before(self):
        progress = BatchProgress(BatchRef("believe", "1"), 0.0)
        progress.durations = Durations([60.0] * 100).table()
        assert next_interval(progress, PollPolicy(), 59.0, 45.0) == (45.0, "the vendor asks for it")


def test_refs_are_taken_between_polls():
    """The first polls start before the last refs were asked for."""
    taken = 0
    queue = Queue(object(), PaceState(0.001))

    def more():
        nonlocal taken
        for taken in range(1, 1_001):
            yield BatchRef("believe", f"b{taken}"), queue

    first = {BatchRef("believe", "a"): queue}
    options = {"poll": PollPolicy(), "retry": RetryPolicy(), "in_flight": 8, "started": 0.0, "timeout": 60.0}
    wait = Schedule(first, more=more(), **options)
    queue.account = Account()
    seen = list(itertools.islice(iter(lambda: (wait.step(0.0, None), taken), None), 1))
    assert seen[0][1] < 100
    while wait._more is not None:
        wait.step(0.0, None)
    assert (taken, wait.open) == (1_000, 1_001)


class Account:
    """As much of an account as a poll takes to start."""

    vendor = "believe"

    def request(self, batch_id):
        return batch_id
