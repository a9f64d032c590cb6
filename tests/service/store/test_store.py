"""The store: what is tracked, what has changed, who reads it, and when an account may be asked."""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import math
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from batchstatus import (
    BatchClient,
    BatchRef,
    BatchState,
    Believe,
    ConfigurationError,
    Counts,
    ItemFailure,
    Moment,
    Pace,
    PaceState,
    RateLimit,
)
from batchstatus.service.store import Change, Store, StorePace, Tracked, default_path, leases
from batchstatus.service.store import clock as clock_module
from batchstatus.service.store import store as store_module
from batchstatus.service.store import tracking as refs_module
from batchstatus.service.store.pace import BLOCK_SECONDS
from batchstatus.service.store.schema import APPLICATION_ID, TABLES, VERSION
from batchstatus.service.store.store import SUMMARY
from batchstatus.testing.simulator import Simulator
from hypothesis import given
from hypothesis import strategies as st
from leftovers import open_files
from properties import examples
from readings import NOW, reading
from waiting import LONG


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "store.sqlite3"


@pytest.fixture
def store(path):
    with Store(path) as store:
        store.serve("hook")
        yield store


def names(changes):
    return [f"{change.ref}#{change.sequence}" for change in changes]


def id_of(store, name):
    return next(change.id for change in store.changes() if names([change]) == [name])


def python(code, *arguments):
    """Start another process."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


# Tracking


def test_what_is_tracked_is_told_with_its_labels(store):
    assert store.track(["gameball:1", "believe/acme:2"], labels={"campaign": "spring"}) == 2
    assert store.track(["gameball:3"]) == 1
    (first, second, third) = store.tracked()
    assert [str(found.ref) for found in (first, second, third)] == ["gameball:1", "believe/acme:2", "gameball:3"]
    assert (first.labels, third.labels) == ({"campaign": "spring"}, {})
    assert (first.state, first.vendor_status, first.counts, first.sequence) == (None, None, Counts(), 0)
    assert (first.changed_at, first.read_at, first.ended, first.error) == (None, None, False, None)
    assert datetime.now(UTC) - first.added_at < timedelta(minutes=1)


def test_a_ref_is_new_once(store):
    assert store.track(["gameball:1", "gameball:1"]) == 1
    assert store.track([BatchRef("gameball", "1"), "gameball:2"]) == 1
    assert len(store.tracked()) == 2


def test_a_wrong_ref_tracks_nothing(store):
    """Nothing is tracked where one ref cannot be one."""
    with pytest.raises(ConfigurationError, match="a ref is written vendor:id"):
        store.track(["gameball:1", "nonsense"])
    assert store.tracked() == []


def test_labels_are_added_and_select(store):
    store.track(["gameball:1", "gameball:2"], labels={"campaign": "spring", "team": "a"})
    store.track(["gameball:2", "gameball:3"], labels={"campaign": "autumn"})
    assert store.tracked()[1].labels == {"campaign": "autumn", "team": "a"}

    def selected(**labels):
        return [found.ref.id for found in store.tracked(labels=labels)]

    assert selected() == ["1", "2", "3"]
    assert selected(campaign="autumn") == ["2", "3"]
    assert selected(campaign="autumn", team="a") == ["2"]
    assert selected(campaign="winter") == []


@pytest.mark.parametrize("labels", [{"a": 1}, {1: "a"}, ["a"], "a"], ids=repr)
def test_labels_are_text(store, labels):
    with pytest.raises(ConfigurationError, match="labels map text to text"):
        store.track(["gameball:1"], labels)


def test_an_untracked_ref_keeps_its_history(store):
    """An untracked ref is neither told nor changed and keeps its history."""
    store.track(["gameball:1", "gameball:2"])
    store.record(reading("gameball:1"))
    assert store.untrack(["gameball:1", "gameball:9"]) == 1
    assert store.untrack(["gameball:1"]) == 0
    assert store.record(reading("gameball:1", BatchState.SUCCEEDED)) is None
    assert store.record_refusal("gameball:1", "gone") is None
    assert [found.ref.id for found in store.tracked()] == ["2"]
    assert names(store.history("gameball:1")) == ["gameball:1#1"]


def test_ids_go_on_where_a_ref_is_tracked_again(store):
    """A consumer that drops known ids would drop a second #1."""
    store.track(["gameball:1"], labels={"campaign": "spring"})
    store.record(reading("gameball:1"))
    store.untrack(["gameball:1"])
    assert store.track(["gameball:1"]) == 1
    assert store.tracked()[0].labels == {}
    assert store.record(reading("gameball:1")) is None
    assert names([store.record(reading("gameball:1", processed=4))]) == ["gameball:1#2"]


def test_open_are_those_that_have_not_ended(store):
    store.track(["gameball:1", "gameball:2", "gameball:3"])
    store.record(reading("gameball:1", BatchState.SUCCEEDED))
    store.record_refusal("gameball:2", "gone")
    assert [found.ref.id for found in store.tracked(open_only=True)] == ["2", "3"]
    assert [found.ended for found in store.tracked()] == [True, False, False]


# Changes


def test_a_change_is_stored_and_in_the_outbox(store):
    """A change is told stored and in the outbox."""
    store.track(["believe/acme:1"])
    batch = reading("believe/acme:1", processed=2, failures=(ItemFailure(message="no"),), results=({"a": [1, None]},))
    change = store.record(batch)
    assert isinstance(change, Change)
    assert (str(change), change.ref, change.sequence) == ("believe/acme:1 #1", batch.ref, 1)
    assert (change.kind, change.error, change.batch) == (
        "change",
        None,
        batch.to_dict() | {"results": None, "failures": None},
    )
    assert store.history("believe/acme:1") == store.changes() == store.undelivered("hook") == [change]


def test_results_are_kept_with_the_end_alone(store):
    """They grow with each change: all of them in each would take a square of them."""
    store.track(["gameball:1"])
    before = store.record(reading("gameball:1", processed=2, results=({"a": 1},)))
    after = store.record(reading("gameball:1", state=BatchState.SUCCEEDED, results=({"a": 1}, {"a": 2})))
    assert (before.batch["results"], after.batch["results"]) == (None, [{"a": 1}, {"a": 2}])


def test_retry_now_makes_all_due(store):
    """What was put off is due at once where somebody asks."""
    store.track(["gameball:1"])
    change = store.record(reading("gameball:1"))
    store.postpone("hook", change.id, clock_module.now() + 60, "no")
    assert store.undelivered("hook") == []
    store.retry_now("hook")
    assert store.undelivered("hook") == [change]


def test_a_change_is_ready_for_json(store):
    store.track(["gameball:1"])
    change = store.record(reading("gameball:1", processed=2, created_at=NOW))
    said = change.to_dict()
    assert json.loads(json.dumps(said)) == said
    assert said | {"batch": None} == {
        "schema": 1,
        "id": change.id,
        "store": store.id,
        "ref": "gameball:1",
        "sequence": 1,
        "kind": "change",
        "at": change.at.isoformat(),
        "labels": {},
        "batch": None,
        "error": None,
    }
    assert json.loads(json.dumps(store.tracked()[0].to_dict()))["counts"]["processed"] == 2


def test_an_equal_reading_is_not_a_change(store):
    """The same reading again is no change but notes its time."""
    store.track(["gameball:1"])
    store.record(reading("gameball:1", processed=2))
    assert store.record(reading("gameball:1", processed=2, at=5)) is None
    (found,) = store.tracked()
    assert (found.sequence, found.read_at, found.state) == (1, NOW + timedelta(seconds=5), BatchState.RUNNING)
    assert (found.vendor_status, found.counts) == ("processing", Counts(total=8, processed=2))


@pytest.mark.parametrize(
    "other",
    [
        reading("gameball:1", BatchState.PENDING, 2),
        reading("gameball:1", processed=3),
        reading("gameball:1", BatchState.UNKNOWN, 2),
    ],
    ids=["state", "counts", "word"],
)
def test_state_counts_and_word_make_a_change(store, other):
    store.track(["gameball:1"])
    store.record(reading("gameball:1", processed=2))
    assert names([store.record(other)]) == ["gameball:1#2"]


def test_the_end_comes_once_and_nothing_after_it(store):
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    assert store.record(reading("gameball:1", BatchState.FAILED)).kind == "ended"
    assert store.record(reading("gameball:1", BatchState.SUCCEEDED)) is None
    assert store.record(reading("gameball:1")) is None
    assert store.record_refusal("gameball:1", "gone") is None
    assert store.tracked()[0].state is BatchState.FAILED


def test_a_late_reading_changes_nothing(store):
    """Two watchers may read a batch in turn, and the slower answer is the older one."""
    store.track(["gameball:1"])
    store.record(reading("gameball:1", processed=5, at=30))
    assert store.record(reading("gameball:1", processed=4, at=29)) is None
    assert store.tracked()[0].counts.processed == 5


def test_a_clock_set_back_loses_no_change(store):
    """Which reading is newer does not depend on the wall clock."""
    store.track(["gameball:1"])
    store.record(reading("gameball:1", processed=1, at=3600))
    late = attrs.evolve(reading("gameball:1", processed=2, at=0), asked_at=Moment("test-boot", 3601.0))
    assert names([store.record(late)]) == ["gameball:1#2"]


def test_a_reading_after_another_start_of_the_machine_is_newer(store):
    store.track(["gameball:1"])
    store.record(reading("gameball:1", processed=1, at=3600))
    late = attrs.evolve(reading("gameball:1", processed=2), asked_at=Moment("another-boot", 1.0))
    assert names([store.record(late)]) == ["gameball:1#2"]


def test_readings_that_come_late_never_take_changes_back(store):
    """Two clients read one batch in turn, and their answers are stored in any order."""
    store.track(["gameball:1"])
    readings = [reading("gameball:1", processed=number, at=number) for number in range(50)]
    random.Random(11).shuffle(readings)
    store.record_all(readings)
    processed = [change.batch["counts"]["processed"] for change in store.history("gameball:1")]
    assert processed == sorted(processed)
    assert processed[-1] == 49


# Batches that the vendor denies


@pytest.fixture
def wall(monkeypatch):
    """The wall clock of the store's changes."""
    clock = types.SimpleNamespace(now=NOW.timestamp())
    monkeypatch.setattr(refs_module.time, "time", lambda: clock.now)
    return clock


def denied(store, wall, *, times=3, over=600.0, ref="gameball:1"):
    """Refuse a batch so many times over so many seconds; return the changes."""
    found = []
    for number in range(times):
        wall.now += over / (times - 1) if number else 0.0
        found.append(store.record_refusal(ref, ConfigurationError("not found \ud800")))
    return [change for change in found if change is not None]


@pytest.mark.parametrize(("times", "over", "kinds"), [(3, 600.0, ["lost"]), (9, 599.0, []), (2, 900.0, [])])
def test_a_batch_is_lost_after_three_refusals_over_ten_minutes(store, wall, times, over, kinds):
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    assert [change.kind for change in denied(store, wall, times=times, over=over)] == kinds
    (found,) = store.tracked()
    assert (found.ended, found.state, found.error) == (False, BatchState.RUNNING, "not found \\ud800")
    assert (found.lost_since is not None) == bool(kinds)


def test_a_lost_batch_is_told_once_with_the_vendors_words(store, wall):
    store.track(["gameball:1"])
    (change,) = denied(store, wall, times=30, over=6000.0)
    assert (change.kind, change.batch, change.error) == ("lost", None, "not found \\ud800")
    assert names([change]) == ["gameball:1#1"]
    assert store.history("gameball:1") == [change]
    assert store.lost([change.ref, BatchRef("gameball", "2")]) == {change.ref}
    assert store.check()["lost"] == 1


def test_a_time_in_which_nothing_was_asked_loses_no_batch(store, wall):
    """Two refusals, three days without a service, and one more; or an outage between them."""
    store.track(["gameball:1"])
    for gap in (0.0, 1.0, 259_200.0):
        wall.now += gap
        assert store.record_refusal("gameball:1", "not found") is None
    store.record_error("gameball:1", "HTTP 503")
    wall.now += 3600.0
    assert store.record_refusal("gameball:1", "not found") is None


def test_a_retried_batch_is_claimed_anew(store, wall):
    store.track(["gameball:1"])
    denied(store, wall)
    claim = store.claim("one")
    assert store.claim("one", since=claim.move).new == []
    store.retry(["gameball:1"])
    assert store.renew("one")
    assert store.claim("one", since=claim.move).new == [BatchRef("gameball", "1")]


def test_readings_without_a_known_start_are_stored_as_they_come(store):
    store.track(["gameball:1"])
    store.record(attrs.evolve(reading("gameball:1", processed=1), asked_at=Moment("", 500_000.0)))
    late = attrs.evolve(reading("gameball:1", processed=2), asked_at=Moment("", 120.0))
    assert names([store.record(late)]) == ["gameball:1#2"]


def test_a_reading_breaks_a_row_of_refusals(store, wall):
    store.track(["gameball:1"])
    for at in range(4):
        assert denied(store, wall, times=2, over=900.0) == []
        store.record(reading("gameball:1", at=at))
    assert [change.kind for change in store.history("gameball:1")] == ["change"]


@pytest.mark.parametrize(("state", "kind"), [(BatchState.RUNNING, "found"), (BatchState.SUCCEEDED, "ended")])
def test_a_lost_batch_is_found_by_a_reading(store, wall, state, kind):
    """Even by one that is equal to the last one before."""
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    denied(store, wall)
    assert store.record(reading("gameball:1", state, at=1)).kind == kind
    (found,) = store.tracked()
    assert (found.lost_since, found.error) == (None, None)


def test_a_batch_that_was_lost_for_a_day_rests_until_retried(store, wall):
    store.track(["gameball:1", "gameball:2"])
    denied(store, wall)
    assert len(store.claim("one").new) == 2
    wall.now += 86_400.0
    store.record_refusal("gameball:1", "not found")
    assert store.renew("one")
    assert [ref.id for ref in store.claim("one").new] == ["2"]
    assert store.tracked()[0].resting
    assert store.retry(["gameball:1", "gameball:2"]) == 1
    assert store.renew("one")
    assert len(store.claim("one").new) == 2
    store.record_refusal("gameball:1", "not found")
    assert not store.tracked()[0].resting


def test_a_lost_batch_can_be_tracked_anew(store, wall):
    store.track(["gameball:1", "gameball:2"])
    denied(store, wall)
    store.record(reading("gameball:2", BatchState.SUCCEEDED))
    assert store.track(["gameball:1", "gameball:2"]) == 0
    store.untrack(["gameball:1", "gameball:2"])
    assert store.track(["gameball:1", "gameball:2"]) == 2
    assert [(found.ended, found.error, found.lost_since) for found in store.tracked()] == [
        (False, None, None),
        (True, None, None),
    ]
    assert names([store.record(reading("gameball:1", BatchState.SUCCEEDED))]) == ["gameball:1#2"]


# Ends that their counts contradict


def test_an_unsettled_end_is_a_change_and_its_final_counts_the_end(store):
    store.track(["gameball:1"])
    early = reading("gameball:1", BatchState.SUCCEEDED, processed=5, is_settled=False)
    assert store.record(early).kind == "change"
    assert store.record(reading("gameball:1", BatchState.SUCCEEDED, processed=8, at=1)).kind == "ended"


def test_an_unsettled_end_that_stays_the_same_stands(store, wall):
    """So a cron job that reads once each time sees the end, too."""
    store.track(["gameball:1"])
    store.record(reading("gameball:1", BatchState.SUCCEEDED, processed=5, is_settled=False))
    wall.now += 9.0
    assert store.record(reading("gameball:1", BatchState.SUCCEEDED, processed=5, is_settled=False, at=1)) is None
    wall.now += 1.0
    stood = store.record(reading("gameball:1", BatchState.SUCCEEDED, processed=5, is_settled=False, at=2))
    assert (stood.kind, stood.batch["has_ended"]) == ("ended", True)


def test_trouble_is_told_until_the_next_reading(store):
    store.track(["gameball:1", "gameball:2"])
    for change in (reading("gameball:1"), reading("gameball:2", processed=1)):
        store.record(change)
    for ref in ("gameball:1", "gameball:2"):
        store.record_error(ref, "the key is refused")
    assert [found.error for found in store.tracked(open_only=True)] == ["the key is refused"] * 2
    assert store.check()["troubled"] == 2
    store.record(reading("gameball:1", at=1))
    store.record(reading("gameball:2", processed=2, at=1))
    assert [found.error for found in store.tracked()] == [None, None]


def test_many_readings_are_stored_at_once(store):
    store.track(f"gameball:{number}" for number in range(100))
    found = store.record_all(reading(f"gameball:{number}") for number in range(0, 200, 2))
    assert names(found) == [f"gameball:{number}#1" for number in range(0, 100, 2)]


def test_changes_come_in_stored_order(store, monkeypatch):
    """Changes are told in the order in which they were stored."""
    store.track(["gameball:1", "gameball:2#3"])
    clock = iter(range(1_000, 2_000))
    monkeypatch.setattr(refs_module.time, "time", lambda: float(next(clock)))
    for processed in range(3):
        for ref in ("gameball:1", "gameball:2#3"):
            store.record(reading(ref, processed=processed))
    everything = ["gameball:1#1", "gameball:2#3#1", "gameball:1#2", "gameball:2#3#2", "gameball:1#3", "gameball:2#3#3"]
    assert names(store.changes()) == everything
    assert names(store.changes(limit=2)) == everything[:2]
    assert names(store.changes(after=id_of(store, "gameball:2#3#1"), limit=3)) == everything[2:5]
    assert names(store.changes(after=id_of(store, everything[-1]))) == []
    assert names(store.changes(since=store.changes()[4].at)) == everything[4:]
    assert names(store.changes(since=store.changes()[1].at, after=id_of(store, "gameball:1#2"))) == everything[3:]


@pytest.mark.parametrize(
    "unknown",
    [
        "gameball:1#2",
        "gameball:9#1",
        "gameball:1",
        "gameball:1#x",
        "",
        f"gameball:1#{'9' * 5_000}",
        "gameball:\ud800#1",
    ],
)
def test_an_id_that_there_is_not_is_refused(store, unknown):
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    with pytest.raises(ConfigurationError, match="the store has no change"):
        store.changes(after=unknown)
    with pytest.raises(ConfigurationError, match=r"no change with the id .* waits for the destination 'hook'"):
        store.delivered("hook", unknown)


def test_a_watcher_stores_what_it_still_has_alone(store):
    """One that stood still for longer than its lease has lost its batches; its late answers change nothing."""
    store.track(["gameball:1", "gameball:2"])
    store.claim("late", seconds=-1.0)
    assert len(store.claim("other").new) == 2
    assert store.record_all([reading("gameball:1"), reading("gameball:2")], owner="late") == []
    store.record_error("gameball:1", "late", owner="late")
    assert store.record_refusal("gameball:2", "late", owner="late") is None
    assert [(found.state, found.error) for found in store.tracked()] == [(None, None)] * 2
    assert names(store.record_all([reading("gameball:1")], owner="other")) == ["gameball:1#1"]
    assert names([store.record(reading("gameball:1", processed=2, at=1))]) == ["gameball:1#2"]


def test_a_watcher_delivers_what_it_still_has_alone(store):
    store.track(["gameball:1"])
    store.claim("late", seconds=30.0)
    change = store.record(reading("gameball:1"))
    assert store.undelivered("hook", owner="late") == [change]
    assert store.holds("late", "hook", change.id)
    store.claim("late", seconds=-1.0)
    store.claim("other")
    assert not store.holds("late", "hook", change.id)
    assert store.undelivered("hook", owner="other") == [change]
    store.delivered("hook", change.id)
    assert not store.holds("other", "hook", change.id)


def test_a_change_is_stored_once(store, monkeypatch):
    """Between the look at what is stored and the transaction."""
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    monkeypatch.setattr(refs_module, "is_change", lambda *_: True)
    assert store.record(reading("gameball:1", at=1)) is None
    assert store.tracked()[0].sequence == 1


def test_threads_share_a_store(store):
    refs = [f"gameball:{number}" for number in range(40)]
    store.track(refs)
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda ref: store.record(reading(ref)), refs * 5))
    assert sorted(names(filter(None, found))) == sorted(f"{ref}#1" for ref in refs)


RACE = """
    import sys
    from datetime import datetime, UTC
    from batchstatus import Batch, BatchRef, BatchState, Counts, Moment
    from batchstatus.service.store import Store

    with Store(sys.argv[1]) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for processed in range(100):
            counts, at = Counts(total=100, processed=processed), datetime.fromtimestamp(processed / 10, UTC)
            ref, state = BatchRef("gameball", "1"), BatchState.RUNNING
            asked = Moment("test-boot", processed)
            store.record(Batch(ref=ref, state=state, vendor_status="x", counts=counts, read_at=at, asked_at=asked,
                               raw=0, payload=0))
"""


def test_racing_processes_store_one_row(store):
    """Processes that observe one change at once make one row of it."""
    store.track(["gameball:1"])
    others = [python(RACE, store.path) for _ in range(3)]
    for other in others:
        assert other.stdout.readline() == "ready\n"
    for other in others:
        other.stdin.write("go\n")
        other.stdin.flush()
    for other in others:
        other.communicate(timeout=LONG)
        assert other.returncode == 0
    history = store.history("gameball:1")
    assert [change.sequence for change in history] == [*range(1, len(history) + 1)]
    processed = [change.batch["counts"]["processed"] for change in history]
    assert processed == sorted(set(processed))
    assert processed[-1] == 99


# Kills

KILLED = """
    import os, signal, sqlite3, sys
    from datetime import datetime, UTC
    from batchstatus import Batch, BatchRef, BatchState, RateLimit
    from batchstatus.service.store import Store

    folder, connect = sys.argv[1], sqlite3.connect

    def use(path):
        state = {"running": BatchState.RUNNING, "completed": BatchState.SUCCEEDED}
        with Store(path) as store:
            store.track(["gameball:1", "gameball:2"])
            store.serve("hook")
            store.claim("victim")
            for word, at in (("running", 0.0), ("running", 1.0), ("completed", 2.0)):
                at = datetime.fromtimestamp(at, UTC)
                ref = BatchRef("gameball", "1")
                store.record(Batch(ref=ref, state=state[word], vendor_status=word, read_at=at, raw=0, payload=0))
                for change in store.undelivered("hook", owner="victim"):
                    store.delivered("hook", change.id)
            store.record_refusal("gameball:2", "not found")
            store.renew("victim")
            store.untrack(["gameball:1"])
            pace = store.pace("x", RateLimit(10))
            pace.reserve(0.0, 1e9)
            pace.refused(0.0, 1.0)

    def dying_at(last):
        count = 0
        def traced(statement):
            nonlocal count
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)
        def connected(*arguments, **options):
            connection = connect(*arguments, **options)
            connection.set_trace_callback(traced)
            return connection
        sqlite3.connect = connected

    def died(number):
        if (child := os.fork()) == 0:
            dying_at(number)
            use(f"{folder}/{number}.sqlite3")
            os._exit(0)
        return child

    ends = [os.waitpid(child, 0)[1] for child in [died(number) for number in range(1, 301)]]
    assert set(ends) == {0, signal.SIGKILL}
    print(ends.index(0))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_kill_leaves_no_half_change(tmp_path):
    """A kill before any statement leaves no half change."""
    victim = python(KILLED, tmp_path)
    statements = int(victim.communicate(timeout=LONG)[0])
    assert statements > 60
    with ThreadPoolExecutor(16) as threads:
        changes = set(
            threads.map(changes_if_whole, [tmp_path / f"{number}.sqlite3" for number in range(1, statements)])
        )
    assert changes == {0, 1, 2}


def changes_if_whole(path):
    """Return how many changes a victim has left behind; its heir takes over."""
    with Store(path) as store:
        checked = store.check()
        assert checked["integrity_check"] == "ok"
        assert checked["changes"] == checked["outbox"]
        for ref, sequence, ended in store._work.rows("SELECT ref, sequence, ended FROM refs"):
            history = store.history(ref)
            assert [change.sequence for change in history] == [*range(1, sequence + 1)]
            assert ended == any(change.kind == "ended" for change in history)
        assert len(store.claim("heir").new) == checked["open"]
        return checked["changes"]


def test_what_a_store_has_told_survives_a_kill(store):
    store.track(["gameball:1"])
    code = RACE.replace('print("ready", flush=True)', "").replace("sys.stdin.readline()", "")
    killed = python(code + "            print(processed, flush=True)\n", store.path)
    told = [killed.stdout.readline() for _ in range(20)][-1]
    killed.kill()
    killed.communicate(timeout=LONG)
    assert len(store.history("gameball:1")) > int(told)


def test_a_change_is_on_disk_first(store):
    """After a power failure an id that was delivered must not name another change."""
    with store._changes.exclusive() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# The file


def test_the_store_is_its_owners_alone(path):
    with Store(path) as store:
        store.track(["gameball:1"])
        store.claim("me")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys((path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}.me.lock"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_default_is_in_the_state_folder(monkeypatch, tmp_path):
    """The default is in the xdg folder for state."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert default_path() == tmp_path / "state" / "batchstatus" / "store.sqlite3"
    for other in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", other)
        assert default_path() == tmp_path / ".local" / "state" / "batchstatus" / "store.sqlite3"
    with Store() as store:
        assert store.path == default_path()
        assert store.path.exists()


def test_a_store_keeps_what_it_has(path):
    with Store(path) as store:
        store.track(["gameball:1"], labels={"a": "b"})
        store.record(reading("gameball:1", processed=3))
        before = store.tracked()
    with Store(path) as store:
        assert store.tracked() == before
        assert isinstance(before[0], Tracked)
        assert store.check() | {"path": ""} == {
            "path": "",
            "integrity_check": "ok",
            "version": VERSION,
            "id": store.id,
            "tracked": 1,
            "open": 1,
            "unclaimed": 1,
            "lost": 0,
            "resting": 0,
            "troubled": 0,
            "changes": 1,
            "outbox": 0,
            "destinations": 0,
            "undelivered": 0,
            "failed_deliveries": 0,
            "set_aside": 0,
            "watchers": 0,
        }


def test_a_closed_store_says_so(path):
    store = Store(path)
    store.close()
    store.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        store.tracked()


def test_a_store_of_a_newer_version_is_refused(path):
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(ConfigurationError, match=r"newer batchstatus.*upgrade"):
        Store(path)


def test_a_store_from_before_the_first_release_is_refused(path):
    with Store(path) as store:
        store.track(["gameball:1"])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"before the first release.*name another file"):
        Store(path)
    assert path.read_bytes() == before


def test_a_store_upgraded_meanwhile_is_refused(path, monkeypatch):
    """A store that another process upgrades meanwhile is refused."""

    def upgraded(connection, _):
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")

    monkeypatch.setattr("batchstatus.service.store.schema._use_wal", upgraded)
    with pytest.raises(ConfigurationError, match="newer batchstatus"):
        Store(path)


def test_a_creation_that_fails_leaves_no_table(path, monkeypatch):
    monkeypatch.setattr("batchstatus.service.store.schema.TABLES", (*TABLES, "NONSENSE"))
    with pytest.raises(ConfigurationError, match=r"cannot be used as a store.*syntax error"):
        Store(path)
    monkeypatch.undo()
    with Store(path) as store:
        assert store.check()["version"] == VERSION


def test_ids_are_unique_for_ever(tmp_path):
    """Two stores with the same history have no id in common."""
    found = []
    for name in ("one", "other"):
        with Store(tmp_path / name) as store:
            store.track(["gameball:1"])
            store.record_all([reading("gameball:1"), reading("gameball:1", processed=2)])
            found += [change.id for change in store.changes()] + [store.id]
            assert {change.store for change in store.changes()} == {store.id}
        with Store(tmp_path / name) as store:
            assert store.id == found[-1]
    assert len(set(found)) == 6


def test_another_database_is_left_alone(tmp_path):
    """Another programs database is refused and left alone."""
    path = tmp_path / "other.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="another program's database"):
        Store(path)
    assert path.read_bytes() == before


def test_a_file_of_another_kind_is_left_alone(tmp_path):
    """A file that is no database is refused and left alone."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database\n" * 100)
    with pytest.raises(ConfigurationError, match="cannot be used as a store: file is not a database"):
        Store(path)
    assert path.read_text() == "not a database\n" * 100


def test_a_path_that_cannot_be_a_file_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot be opened: it is not a readable and writable file"):
        Store(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"cannot be opened: (Not a directory|File exists)"):
        Store(tmp_path / "file" / "store")


def test_an_sqlite_that_is_too_old_is_named(path, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(ConfigurationError, match=r"needs SQLite 3\.37"):
        Store(path)


TRACKS = (
    "import sys; from batchstatus.service.store import Store; Store(sys.argv[1]).track([f'gameball:{sys.argv[2]}'])"
)


def test_processes_may_make_one_store_at_once(path):
    for other in [python(TRACKS, path, number) for number in range(8)]:
        other.communicate(timeout=LONG)
        assert other.returncode == 0
    with Store(path) as store:
        assert sorted(found.ref.id for found in store.tracked()) == [*"01234567"]
        assert store._work.rows("PRAGMA application_id") == [(APPLICATION_ID,)]


def test_a_second_store_takes_no_lock(path, store):
    """Closing any descriptor of a file drops the process's locks on it: another process then takes the log away."""
    store.track(["gameball:1"])
    Store(path).close()
    for number in (2, 3):
        python(TRACKS, path, number).communicate(timeout=LONG)
        assert store.track([f"gameball:{number}0"]) == 1
    assert sorted(found.ref.id for found in store.tracked()) == ["1", "2", "20", "3", "30"]


def test_a_deleted_file_is_told_of(path, store):
    """What is written to it would be lost; a new one in its place is another store."""
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    for file in path.parent.iterdir():
        file.unlink()
    for use in (store.tracked, lambda: store.track(["gameball:2"])):
        with pytest.raises(sqlite3.OperationalError, match="unable to open"):
            use()
    assert not path.exists()
    with Store(path) as successor:
        for use in (store.tracked, lambda: store.track(["gameball:2"])):
            with pytest.raises(ConfigurationError, match="was replaced by another file while it was in use"):
                use()
        assert successor.tracked() == []


def test_a_newer_program_ends_the_work_of_an_older_one(path, store):
    store.track(["gameball:1"])
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(ConfigurationError, match="written by a newer batchstatus"):
        store.record(reading("gameball:1"))


def test_a_column_more_breaks_nothing(store, wall):
    """Of a newer program that has left the version as it was: columns are named in every INSERT."""
    with store._work.transaction() as connection:
        for table in ("store", "watchers", "refs", "shares", "changes", "destinations", "outbox", "paces", "work"):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN later TEXT")
    store.track(["gameball:1", "gameball:2"])
    store.serve("later")
    assert len(store.claim("me").new) == 2
    assert store.record(reading("gameball:1", BatchState.SUCCEEDED)).kind == "ended"
    assert [change.kind for change in denied(store, wall, ref="gameball:2")] == ["lost"]
    assert len(store.undelivered("later", owner="me")) == 2
    assert store.pace("x", RateLimit(10)).reserve(0.0, math.inf) == 0.0
    assert store.check()["integrity_check"] == "ok"


def test_the_summary_reads_each_table_once(store):
    with store._work.exclusive() as connection:
        plans = [row[3] for query in SUMMARY for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    scans = [plan.split()[1] for plan in plans if plan.startswith(("SCAN", "SEARCH")) and "CONSTANT ROW" not in plan]
    assert sorted(scans) == ["changes", "destinations", "outbox", "refs", "watchers"]


def test_a_damaged_row_costs_no_other(store, caplog):
    """It is left out, and told of once."""
    store.track([f"gameball:{number}" for number in range(6)], labels={"a": "b"})
    store.record_all(reading(f"gameball:{number}") for number in range(6))
    store.claim("me")
    damage = (
        "UPDATE refs SET ref = 'nonsense' WHERE ref = 'gameball:1'",
        "UPDATE refs SET reading = '[\"no state\", \"\", {}]' WHERE ref = 'gameball:2'",
        "UPDATE refs SET labels = '{' WHERE ref = 'gameball:3'",
        "UPDATE changes SET batch = '{' WHERE ref = (SELECT n FROM refs WHERE ref = 'gameball:4')",
    )
    with store._work.transaction() as connection:
        for statement in damage:
            assert connection.execute(statement).rowcount == 1
    for _ in range(3):
        assert [found.ref.id for found in store.tracked()] == ["0", "4", "5"]
        assert [ref.id for ref in store.claim("me").new] == ["0", "2", "3", "4", "5"]
        assert [change.ref.id for change in store.changes()] == ["0", "2", "3", "5"]
        assert store.history("gameball:4") == []
    assert [change.ref.id for change in store.undelivered("hook", limit=1_000)] == ["0", "2", "3", "5"]
    assert caplog.text.count("a row of the store is damaged") == 6
    assert store.track(["gameball:3"], labels={"c": "d"}) == 0
    assert [found.labels for found in store.tracked() if found.ref.id == "3"] == [{"c": "d"}]


@pytest.mark.parametrize(
    ("place", "mode", "cure"),
    [("file", 0o644, "chmod 600"), ("file", 0o660, "chmod 600"), ("folder", 0o777, "chmod go-w")],
)
def test_a_store_that_is_open_to_others_is_refused(path, place, mode, cure):
    """Its folder, too, as they could lay another file over it; that others may read the folder does no harm."""
    Store(path).close()
    path.parent.chmod(0o755)
    Store(path).close()
    (path if place == "file" else path.parent).chmod(mode)
    with pytest.raises(ConfigurationError, match=f"others may open or replace the store .*: {cure}"):
        Store(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_opens_the_store_anew(path, store):
    """It may use the same object; the lock of its parent ends with the parent, not with the child."""
    store.track(["gameball:1"])
    assert len(store.claim("parent").new) == 1
    child = os.fork()
    if child == 0:
        code = 1
        with suppress(BaseException):
            store.track(["gameball:2"])
            code = int(len(store.tracked()) != 2 or any(file.endswith(".lock") for file in open_files()))
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [found.ref.id for found in store.tracked()] == ["1", "2"]
    assert store.check()["integrity_check"] == "ok"
    with Store(path) as other:
        assert other.claim("other").new == [BatchRef("gameball", "2")] or not other.claim("other").new


def test_many_refs_are_added_and_removed_in_turns(store, wall, monkeypatch):
    """2,000 rows in one transaction at most, and time between two in which others write."""
    statements = []
    monkeypatch.setattr(time, "sleep", lambda seconds: statements.append(f"sleep {seconds:.2f}"))
    with store._changes.exclusive() as connection:
        connection.set_trace_callback(statements.append)
    refs = [f"gameball:{number}" for number in range(4_500)]
    assert (store.track(refs), store.track(refs[:100]), store.untrack(refs)) == (4_500, 0, 4_500)
    once = [text for text, _ in itertools.groupby(statements)]  # a trigger repeats the statement that has fired it
    rows = [text[:11] for text in once if text.startswith(("INSERT INTO refs", "UPDATE refs", "COMMIT", "sleep"))]
    found = [(word, len([*same])) for word, same in itertools.groupby(rows)]
    inserted, updated, commit, turn = "INSERT INTO", "UPDATE refs", ("COMMIT", 1), ("sleep 0.03", 1)
    assert found == [
        *[(inserted, 2_000), commit, turn, (inserted, 2_000), commit, turn, (inserted, 500), ("COMMIT", 2)],
        *[(updated, 2_000), commit, turn, (updated, 2_000), commit, turn, (updated, 500), commit],
    ]


def test_others_write_while_many_refs_are_added(path, store):
    """Another process that waits as SQLite does gets in between, again and again."""
    adding = python(
        """
        import sys
        from batchstatus.service.store import Store
        with Store(sys.argv[1]) as store:
            print(store.track(f"believe:{number}" for number in range(20_000)))
        """,
        path,
    )
    written = 0
    while adding.poll() is None:
        written += store.track([f"gameball:{written}"])
    assert adding.communicate()[0] == "20000\n"
    assert written >= 10
    assert store.check()["tracked"] == 20_000 + written


# Backup, restore, retention


def test_a_backup_is_restored(path, store, tmp_path):
    """With another id; what was delivered since then is delivered again, with the same id."""
    store.track(["gameball:1", "gameball:2"])
    first = store.record(reading("gameball:1"))
    store.claim("me")
    backup = tmp_path / "backup"
    store.backup(backup)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with pytest.raises(ConfigurationError, match="cannot be made: File exists"):
        store.backup(backup)
    store.delivered("hook", first.id)
    later = store.record(reading("gameball:1", processed=2))
    before = store.id
    Store.restore(backup, path)
    with pytest.raises(ConfigurationError, match="was replaced by another file"):
        store.record(reading("gameball:2"))
    with Store(path) as restored:
        assert restored.id != before
        assert restored.check()["integrity_check"] == "ok"
        assert [change.id for change in restored.changes()] == [first.id]
        assert [change.id for change in restored.undelivered("hook")] == [first.id]
        assert len(restored.claim("heir").new) == 2
        assert restored.record(reading("gameball:1", processed=2, at=2)).id not in (first.id, later.id)
    Store.restore(backup, tmp_path / "another" / "store")
    with Store(tmp_path / "another" / "store") as another:
        assert [found.ref.id for found in another.tracked()] == ["1", "2"]


@pytest.mark.parametrize("contents", [b"", b"notes" * 1_000, None])
def test_what_is_no_backup_is_not_restored(path, store, tmp_path, contents):
    store.track(["gameball:1"])
    source = tmp_path / "source"
    if contents is None:
        store.backup(source)
        whole = source.read_bytes()
        source.write_bytes(whole[: len(whole) // 2])
    else:
        source.write_bytes(contents)
    with pytest.raises(ConfigurationError, match=r"is not a .*backup of a store|not a store"):
        Store.restore(source, path)
    assert [found.ref.id for found in store.tracked()] == ["1"]


def test_old_changes_are_pruned(store, monkeypatch):
    """Those that have arrived everywhere; an open batch keeps its last one, and one that has ended goes with it."""
    monkeypatch.setattr(store_module, "PRUNED_AT_ONCE", 2)
    store.track([f"gameball:{number}" for number in range(4)])
    for ref in ("gameball:0", "gameball:1"):
        store.record_all(reading(ref, processed=number, at=number) for number in range(3))
    store.record(reading("gameball:1", BatchState.SUCCEEDED, at=4))
    store.record(reading("gameball:2", BatchState.SUCCEEDED))
    for change in store.changes():
        if change.ref.id != "2":
            store.delivered("hook", change.id)
    assert store.prune(timedelta(days=1)) == 0
    assert store.prune(timedelta(seconds=-1)) == 6
    assert names(store.changes()) == ["gameball:0#3", "gameball:2#1"]
    assert [found.ref.id for found in store.tracked()] == ["0", "2", "3"]
    assert names(store.undelivered("hook")) == ["gameball:2#1"]
    assert store.check()["integrity_check"] == "ok"
    assert names([store.record(reading("gameball:0", processed=9, at=9))]) == ["gameball:0#4"]


# The outbox


def test_a_delivered_change_is_due_no_more(store):
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    store.delivered("hook", id_of(store, "gameball:1#1"))
    store.delivered("hook", id_of(store, "gameball:1#1"))
    assert store.undelivered("hook") == []
    assert store.check()["undelivered"] == 0
    assert names(store.changes()) == ["gameball:1#1"]


def test_a_postponed_change_is_due_again_then(store):
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    store.postpone("hook", id_of(store, "gameball:1#1"), clock_module.now() + 60, "HTTP 503 \ud800")
    assert store.undelivered("hook") == []
    assert store.check()["failed_deliveries"] == 1
    (change,) = store.undelivered("hook", clock_module.now() + 61)
    assert change.attempts == 1
    assert store._work.rows("SELECT reason FROM outbox") == [("HTTP 503 \\ud800",)]


def test_a_clock_set_back_delays_no_delivery(store, monkeypatch):
    """A clock that was put back puts off no delivery."""
    store.track(["gameball:1", "gameball:2"])
    store.record_all([reading("gameball:1"), reading("gameball:2")])
    store.postpone("hook", id_of(store, "gameball:1#1"), clock_module.now() + 60, "HTTP 503")
    before = clock_module.now() - 86_400
    monkeypatch.setattr(clock_module, "now", lambda: before)
    assert names(store.undelivered("hook")) == ["gameball:2#1", "gameball:1#1"]


def test_a_later_failure_was_not_due_then(store):
    """Deliveries that are each tried once may take hours."""
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    store.postpone("hook", id_of(store, "gameball:1#1"), clock_module.now() + 60, "HTTP 503")
    assert store.undelivered("hook", clock_module.now() - 7_200) == []


def test_changes_of_a_batch_are_due_in_order(store):
    """The changes of a batch are due one after the other."""
    store.track(["gameball:1", "gameball:2"])
    for processed in range(3):
        for ref in ("gameball:1", "gameball:2"):
            store.record(reading(ref, processed=processed))
    store.claim("me")
    assert names(store.undelivered("hook", owner="me")) == ["gameball:1#1", "gameball:2#1"]
    store.delivered("hook", id_of(store, "gameball:2#1"))
    assert names(store.undelivered("hook", owner="me")) == ["gameball:2#2"]


def test_a_stuck_change_does_not_block_the_end(store):
    """A change that nobody takes does not hold up the batchs end."""
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    store.record(reading("gameball:1", BatchState.SUCCEEDED))
    store.postpone("hook", id_of(store, "gameball:1#1"), clock_module.now() + 60, "HTTP 400")
    assert names(store.undelivered("hook")) == ["gameball:1#2"]


def test_a_change_is_with_one_watcher_at_a_time(path, store):
    store.track(f"gameball:{number}" for number in range(4))
    store.record_all(reading(f"gameball:{number}") for number in range(4))
    with Store(path) as other:
        store.claim("me")
        other.claim("you")
        mine, yours = store.undelivered("hook", limit=3, owner="me"), other.undelivered("hook", limit=3, owner="you")
        assert [len(mine), len(yours)] == [3, 1]
        assert not set(names(mine)) & set(names(yours))
        store.release("me")
        assert names(other.undelivered("hook", owner="you")) == names(mine)


def test_who_has_no_claim_has_nothing_to_deliver(store):
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    assert store.undelivered("hook", owner="nobody") == []


# Watchers


def test_a_lone_watcher_has_all_open_refs(store):
    store.track(["gameball:1", "gameball:2", "believe/acme:3"])
    store.record(reading("gameball:2", BatchState.SUCCEEDED))
    assert sorted(map(str, store.claim("me").new)) == ["believe/acme:3", "gameball:1"]


def test_the_longest_unread_come_first(store):
    """A watcher has what was unread for longest first."""
    store.track(["gameball:1", "gameball:2", "gameball:3"])
    store.record(reading("gameball:1", at=2))
    store.record(reading("gameball:2", at=1))
    assert [ref.id for ref in store.claim("me").new] == ["3", "2", "1"]


def test_watchers_share_the_open_refs(path, store):
    store.track(f"gameball:{number}" for number in range(60))
    assert len(store.claim("a").new) == 60
    with Store(path) as second, Store(path) as third:
        assert second.claim("b").new == []
        assert store.renew("a")
        assert len(store.claim("a").new) == 30
        assert second.renew("b")
        assert len(second.claim("b").new) == 30
        third.claim("c")
        shares = [store.claim("a").new, second.claim("b").new, third.claim("c").new]
        assert [*map(len, shares)] == [20, 20, 20]
        assert len(set().union(*shares)) == 60
        assert not any((store.renew("a") and store.claim("a").new and store.renew("a"), third.renew("c")))


def test_a_watcher_learns_of_new_refs(store):
    """A watcher learns that there is something to claim."""
    store.track(["gameball:1"])
    assert store.renew("me")
    store.claim("me")
    assert not store.renew("me")
    store.track(["gameball:2"])
    assert store.renew("me")
    assert len(store.claim("me").new) == 2
    store.untrack(["gameball:1"])
    assert store.renew("me")
    assert [ref.id for ref in store.claim("me").new] == ["2"]
    assert not store.renew("me")


def steps(store, call, *arguments, **options):
    """Return how many steps of SQLite's machine a call takes."""
    taken = []
    with store._work.exclusive() as connection:
        connection.set_progress_handler(lambda: taken.append(1), 1)
    call(*arguments, **options)
    with store._work.exclusive() as connection:
        connection.set_progress_handler(None, 1)
    return len(taken)


def test_a_claim_after_one_new_ref_does_not_grow_with_the_store(path, store):
    """Nor does a renewal, nor the look at the accounts: 20,000 refs are held, and 20,000 cannot be claimed."""

    def costs():
        move = store.claim("me", account_refs=["gameball"]).move
        store.track([f"gameball:new-{move}"])
        parts = ("renew", ["me"], {}), ("claim", ["me", 30.0, ["gameball"]], {"since": move}), ("account_refs", [], {})
        return [steps(store, getattr(store, name), *arguments, **options) for name, arguments, options in parts]

    store.track([*(f"gameball:{number}" for number in range(10)), "believe:0"])
    few = costs()
    store.track(f"{vendor}:{number}" for vendor in ("gameball", "believe") for number in range(20_000))
    many = costs()
    assert all(after < 2 * before for before, after in zip(few, many, strict=True))


def test_a_claim_tells_what_is_new_and_what_is_gone(path, store):
    store.track(f"gameball:{number}" for number in range(6))
    claim = store.claim("me")
    assert (len(claim.new), claim.gone) == (6, [])
    store.track(["gameball:6"])
    store.untrack(["gameball:0"])
    store.record(reading("gameball:1", BatchState.SUCCEEDED))  # another process's, without a claim
    store.record(reading("gameball:2", BatchState.SUCCEEDED), owner="me")
    assert store.renew("me")
    again = store.claim("me", since=claim.move)
    assert ([ref.id for ref in again.new], sorted(ref.id for ref in again.gone)) == (["6"], ["0", "1"])
    assert store.held("me", [BatchRef("gameball", number) for number in "0123"]) == {BatchRef("gameball", "3")}
    with Store(path) as other:
        other.claim("you")
        moved = store.claim("me", since=again.move)
        assert {*moved.gone} == {*other.claim("you").new}
    assert (len(moved.gone), moved.new) == (2, [])


def test_a_late_watcher_learns_what_others_took(path, store):
    """Even if all of its refs went to another one, and came back."""
    store.track(["gameball:1", "gameball:2"])
    claim = store.claim("late", seconds=-1.0)
    with Store(path) as other:
        assert len(other.claim("other").new) == 2
        assert len(store.claim("late", since=claim.move).gone) == 2
    assert len(store.claim("late", since=claim.move).new) == 2


def test_few_refs_change_hands_in_one_transaction(path, store, monkeypatch):
    """Others write in between: of a claim, an eviction and a release."""
    monkeypatch.setattr(leases, "MOVED_AT_ONCE", 7)
    store.track(f"gameball:{number}" for number in range(50))
    largest = "SELECT max(number) FROM (SELECT count(*) AS number FROM refs GROUP BY moved)"
    assert len(store.claim("a", seconds=-1.0).new) == 50
    assert store._work.rows(largest) == [(7,)]
    with Store(path) as other:
        other.renew("b")
        assert store._work.rows(largest) == [(7,)]
        assert len(other.claim("b").new) == 50
        assert store._work.rows(largest) == [(7,)]
        other.release("b")
    assert store._work.rows(largest) == [(7,)]
    assert store.check()["unclaimed"] == 50


def test_shares_are_what_is_held(path, store, wall):
    """After all that moves a ref."""
    draw = random.Random(7)
    refs = [f"{vendor}:{number}" for vendor in ("gameball", "believe/acme") for number in range(20)]
    moves = {
        "track": lambda ref: store.track([ref]),
        "untrack": lambda ref: store.untrack([ref]),
        "end": lambda ref: store.record(reading(ref, BatchState.SUCCEEDED)),
        "claim": lambda ref: store.claim(draw.choice("ab"), draw.choice([-1.0, 30.0])),
        "release": lambda ref: store.release(draw.choice("ab")),
        "lose": lambda ref: denied(store, wall, ref=ref),
        "rest": lambda ref: [setattr(wall, "now", wall.now + 90_000.0), store.record_refusal(ref, "not found")],
        "retry": lambda ref: store.retry([ref]),
    }
    kept = "SELECT watcher, account_ref, open FROM shares WHERE open ORDER BY 1, 2"
    found = (
        f"SELECT ifnull(watcher, ''), account_ref, count(*) FROM refs WHERE {leases.OPEN} GROUP BY 1, 2 ORDER BY 1, 2"
    )
    for _ in range(300):
        moves[draw.choice([*moves, "track", "track"])](draw.choice(refs))
        assert store._work.rows(kept) == store._work.rows(found)


def test_a_watcher_takes_its_accounts_only(store):
    """A watcher takes only what it has accounts for."""
    store.track(["gameball:1", "believe:2", "believe/acme:3"])
    assert [str(ref) for ref in store.claim("me", account_refs=["believe/acme", "gameball"]).new] == [
        "gameball:1",
        "believe/acme:3",
    ]
    assert not store.renew("me")
    assert store.account_refs() == {"gameball", "believe", "believe/acme"}
    assert store.check()["unclaimed"] == 1


def test_what_a_watcher_releases_others_take(path, store):
    store.track(["gameball:1"])
    store.claim("a")
    with Store(path) as other:
        assert other.claim("b").new == []
        store.release("a")
        store.release("a")
        assert other.renew("b")
        assert len(other.claim("b").new) == 1
    assert not list(path.parent.glob("*.lock"))


HOLDS = """
    import sys
    from batchstatus.service.store import Store

    store = Store(sys.argv[1])
    print(len(store.claim(sys.argv[2], seconds=float(sys.argv[3])).new), flush=True)
    print(len(store.undelivered("hook", owner=sys.argv[2])), flush=True)
    sys.stdin.readline()
"""


def test_a_killed_watchers_refs_are_free(path, store):
    """What a killed watcher had is free at once."""
    store.track(f"gameball:{number}" for number in range(5))
    store.record(reading("gameball:0"))
    other = python(HOLDS, path, "other", 3600)
    assert (other.stdout.readline(), other.stdout.readline()) == ("5\n", "1\n")
    assert store.claim("me").new == []
    assert store.undelivered("hook", owner="me") == []
    other.kill()
    other.communicate(timeout=LONG)
    assert store.renew("me")
    assert len(store.claim("me").new) == 5
    assert names(store.undelivered("hook", owner="me")) == ["gameball:0#1"]
    assert [file.name for file in path.parent.glob("*.lock")] == [f"{path.name}.me.lock"]


def test_a_stopped_watchers_refs_are_free_later(path, store, monkeypatch):
    """What a stopped watcher had is free after its lease."""
    store.track(["gameball:1"])
    other = python(HOLDS, path, "other", 30)
    other.stdout.readline()
    other.send_signal(signal.SIGSTOP)
    assert store.claim("me").new == []
    later = clock_module.now() + 31
    monkeypatch.setattr(clock_module, "now", lambda: later)
    assert len(store.claim("me").new) == 1
    other.kill()
    other.communicate(timeout=LONG)


def test_an_expired_watcher_claims_again(path, store, monkeypatch):
    """A watcher whose lease has run out claims anew."""
    store.track(["gameball:1"])
    store.claim("me", seconds=0.01)
    time.sleep(0.02)
    with Store(path) as other:
        assert len(other.claim("other").new) == 1
        assert store.renew("me")
        assert store.claim("me").new == []


def test_without_locks_a_lease_tells_who_is_alive(path, store, monkeypatch):
    monkeypatch.setattr("batchstatus.service.store.leases.fcntl", None)
    store.track(["gameball:1"])
    store.claim("dead", seconds=30)
    assert store.claim("me").new == []
    later = clock_module.now() + 31
    monkeypatch.setattr(clock_module, "now", lambda: later)
    assert len(store.claim("me").new) == 1
    assert not list(path.parent.glob("*.lock"))


def test_a_lease_ends_despite_the_clock(store, monkeypatch):
    """A lease that a clock put back has made endless ends."""
    monkeypatch.setattr("batchstatus.service.store.leases.fcntl", None)
    store.track(["gameball:1"])
    then = clock_module.now() + 3600
    with monkeypatch.context() as patched:
        patched.setattr(clock_module, "now", lambda: then)
        store.claim("dead", seconds=30)
    assert len(store.claim("me").new) == 1


def test_a_release_works_on_a_busy_store(path, store):
    """What a watcher releases while the store takes nothing others take all the same."""
    store._work._patience = 0.05
    store.track(["gameball:1"])
    store.claim("a")
    with Store(path) as other:
        with other._changes.transaction(), pytest.raises(sqlite3.OperationalError, match="locked"):
            store.release("a")
        assert len(other.claim("b").new) == 1


def test_deleted_locks_are_made_again(path, store):
    """Watchers whose locks somebody deletes make new ones."""
    store.track(["gameball:1", "gameball:2"])
    with Store(path) as other:
        both = [(store, "a"), (other, "b")]
        for each, name in both * 2:
            each.claim(name)
        for file in path.parent.glob("*.lock"):
            file.unlink()
        for each, name in both * 3:
            if each.renew(name):
                each.claim(name)
        assert not any(each.renew(name) for each, name in both)
        assert store.check()["watchers"] == 2


def test_a_lock_that_cannot_be_opened_is_anothers(path, store, monkeypatch):
    store.track(["gameball:1"])
    store.claim("a")
    with Store(path) as other:
        other.claim("b")
        monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(PermissionError()))
        other.renew("b")
    assert len(store.claim("a").new) == 1


def test_two_watchers_have_two_names(path, store):
    store.claim("me")
    with Store(path) as other, pytest.raises(ConfigurationError, match="another watcher of this store is named me"):
        other.claim("me")


@pytest.mark.parametrize("name", ["", "../up", "a b", "x" * 101])
def test_a_name_has_to_suit_a_file(store, name):
    with pytest.raises(ConfigurationError, match="a watcher's name"):
        store.claim(name)
    assert store.check()["watchers"] == 0


@pytest.mark.parametrize("by", [-40.0, -86_400.0, 86_400.0])
def test_a_wall_clock_that_is_set_stops_nothing(store, monkeypatch, by):
    """Leases, slots and due times do not depend on it."""
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    assert len(store.claim("me").new) == 1
    store.postpone("hook", store.changes()[0].id, clock_module.now() - 1, "HTTP 503")
    pace = store.pace("x", RateLimit(10))
    pace.reserve(time.monotonic(), math.inf)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + by)
    assert len(store.claim("other").new) == 0
    assert names(store.undelivered("hook", owner="me")) == ["gameball:1#1"]
    assert pace.reserve(time.monotonic(), math.inf) < 1.0
    assert [ref.id for ref in store.claim("me").new] == ["1"]


def test_a_locked_store_is_told_of_once_a_minute(path, store, caplog, monkeypatch):
    """A service asks for slots several times a second: each would be a line of its log."""
    caplog.set_level(logging.DEBUG, "batchstatus")
    pace = store.pace("x", RateLimit(10))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            pace.reserve(time.monotonic(), math.inf)
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + 60.0)
        pace.reserve(time.monotonic(), math.inf)
        other.execute("ROLLBACK")
    levels = [record.levelname for record in caplog.records if "cannot read the shared pace" in record.getMessage()]
    assert levels == ["WARNING", "DEBUG", "DEBUG", "WARNING"]


def test_a_restart_of_the_machine_frees_all(path, store, monkeypatch):
    """Times from before mean nothing: what was somebody's is free, and what was put off is due."""
    store.track(["gameball:1"])
    store.record(reading("gameball:1"))
    store.claim("dead", seconds=3600)
    store.postpone("hook", store.changes()[0].id, clock_module.now() + 3000, "HTTP 503")
    store.pace("x", RateLimit(1, 3600.0)).reserve(time.monotonic(), math.inf)
    store.close()
    monkeypatch.setattr(clock_module, "boot", lambda: "another")
    monkeypatch.setattr(clock_module, "now", lambda: 5.0)
    for _ in range(2):
        with Store(path) as restarted:
            assert names(restarted.undelivered("hook")) == ["gameball:1#1"]
            assert restarted._work.rows("SELECT * FROM paces") == []
            assert len(restarted.claim("heir", seconds=1).new) == 1
            restarted.release("heir")


# The pace


@pytest.fixture
def clock(monkeypatch):
    """The machine's clock, to be put forth and back; that of the process stands still."""

    class Clock:
        wall = 1_700_000_000.0

    monkeypatch.setattr(clock_module, "now", lambda: Clock.wall)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    return Clock


ONE = RateLimit(9, 8.1)
"""A slot each second."""


def pace_of(store, limit=ONE):
    """Return a pace whose process has read before."""
    pace = store.pace("x", limit)
    pace._is_cold = False
    return pace


def test_a_stores_pace_is_a_pace(store):
    assert isinstance(store.pace("x", ONE), Pace)
    assert isinstance(store.pace("x", ONE), StorePace)
    Believe("test-key", rate_limit=store.pace("x", ONE))


def test_one_credential_shares_its_slots(path, store, clock):
    """Slots of one credential are shared and of another not."""
    with Store(path) as other:
        first, second, stranger = pace_of(store), pace_of(other), other.pace("y", ONE)
        assert [pace.reserve(0.0, 99.0) for pace in (first, second, first, stranger)] == pytest.approx([0, 1, 2, 0])


def test_a_slot_that_comes_too_late_is_not_booked(store, clock):
    pace = pace_of(store)
    pace.reserve(0.0, 9.0)
    assert [pace.reserve(0.0, 1.0) for _ in range(5)] == [None] * 5
    assert pace.reserve(0.0, 1.5) == pytest.approx(1.0)


def test_a_late_slot_delays_the_next(store, clock):
    """A slot that is used late puts off the next."""
    pace = pace_of(store)
    assert pace.reserve(0.0, 9.0) == 0.0
    assert pace.begin(0.0, 0.5)
    assert pace.reserve(0.5, 9.0) == pytest.approx(1.0)


def test_a_late_caller_yields_once(path, store, clock):
    """Who is late gives way to those behind but not twice in a row."""
    with Store(path) as other:
        late, prompt = pace_of(store), pace_of(other)
        assert [pace.reserve(0.0, 9.0) for pace in (late, prompt)] == pytest.approx([0.0, 1.0])
        assert not late.begin(0.0, 0.7)
        assert [pace.reserve(1.0, 9.0) for pace in (late, prompt)] == pytest.approx([1.0, 2.0])
        assert late.begin(2.0, 2.7)
        assert prompt.reserve(2.7, 9.0) == pytest.approx(1.3)
        assert not late.begin(2.0, 2.7)


def test_a_cold_process_keeps_its_distance(store, clock):
    """All has to be loaded for the first one, after its slot has come: 70 ms here, and more under load."""
    pace = store.pace("x", ONE)
    assert pace.reserve(0.0, 9.0) == 0.0
    assert pace.begin(0.0, 0.0)
    assert [pace.reserve(0.0, 9.0) for _ in range(2)] == pytest.approx([2.0, 3.0])
    assert pace.begin(2.0, 2.0)
    assert pace.reserve(2.0, 9.0) == pytest.approx(2.0)


def test_a_429_closes_and_slows_the_pace_for_all(path, store, clock):
    with Store(path) as other:
        first, second = pace_of(store), pace_of(other)
        slot = second.reserve(0.0, 99.0)
        for _ in range(3):
            first.refused(0.0, 7.0)
        assert not second.begin(slot, 0.0)
        assert [second.reserve(0.0, 99.0) for _ in range(3)] == pytest.approx([7, 9, 11])
        assert second.begin(7.0, 7.0)
        for _ in range(14):
            second.accepted()
        assert first.reserve(20.0, 99.0) == pytest.approx(0.0)
        assert first.reserve(20.0, 99.0) == pytest.approx(1.0)


def test_a_stored_pace_is_16_times_slower_at_most(store, clock):
    """A pace never gets slower than sixteen times."""
    pace = pace_of(store)
    for second in range(50):
        pace.refused(float(second), 1.0)
    assert [pace.reserve(50.0, 99.0) for _ in range(2)] == pytest.approx([0.0, 16.0])


def test_the_slower_limit_holds_after_its_slots(path, store, clock):
    """Of two limits the slower holds after its own slots."""
    fast, slow = pace_of(store), pace_of(store, RateLimit(9, 81))
    assert [pace.reserve(0.0, 99.0) for pace in (fast, slow, fast)] == pytest.approx([0, 10, 20])


def test_no_slot_is_over_a_minute_ahead(store, clock):
    """Who would get one asks again; all get theirs in the end, and no two the same."""
    pace, slots, waiting = pace_of(store), [], [0.0] * 200
    now = 0.0
    while waiting:
        now, waiting = waiting[0], waiting[1:]
        wait = pace.reserve(now, 1e9)
        assert wait <= PaceState.MAX_AHEAD
        if pace.begin(now + wait, now + wait):
            slots.append(now + wait)
        else:
            waiting = sorted([*waiting, now + wait])
    assert sorted(slots) == pytest.approx([*range(200)])


def test_a_clock_set_back_holds_up_nobody(store, clock):
    """A clock that was put back holds nobody up."""
    pace = pace_of(store)
    pace.reserve(0.0, 99.0)
    clock.wall -= 3600
    assert [pace.reserve(0.0, 99.0) for _ in range(2)] == pytest.approx([0.0, 1.0])


def test_a_clock_set_forward_lets_no_burst_by(store, clock):
    """A clock that was put forth lets no burst through."""
    pace = pace_of(store)
    pace.reserve(0.0, 99.0)
    clock.wall += 3600
    assert [pace.reserve(0.0, 99.0) for _ in range(3)] == pytest.approx([0.0, 1.0, 2.0])


def test_a_long_retry_after_is_no_clock_jump(path, store, clock):
    pace_of(store).refused(0.0, 1800.0)
    clock.wall += 60
    pace_of(store).refused(0.0, 1800.0)
    with Store(path) as other:
        pace = pace_of(other)
        assert pace.reserve(0.0, 1799.0) is None
        clock.wall += 1000
        assert pace.reserve(0.0, 799.0) is None
        clock.wall += 799
        assert pace.reserve(0.0, 99.0) == pytest.approx(1.0)


def test_a_retry_after_survives_the_clock(store, path, clock):
    """A retry after lasts no longer where the clock is put back."""
    pace_of(store).refused(0.0, 50.0)
    clock.wall -= 86_400
    with Store(path) as other:
        pace = pace_of(other)
        assert pace.reserve(0.0, 50.0) is None
        clock.wall += 50
        assert pace.reserve(0.0, 99.0) == pytest.approx(0.0)


@pytest.mark.parametrize("is_cold", [False, True])
def test_slow_limits_are_not_clock_jumps(store, clock, is_cold):
    """A limit with slots minutes apart is no clock jump."""
    pace = pace_of(store, RateLimit(1, 270.0))
    pace._is_cold = is_cold
    assert pace.reserve(0.0, 9e9) == 0.0
    assert pace.begin(0.0, 0.0)
    assert pace.reserve(0.0, 300.0) is None
    waits = []
    now = 0.0
    for _ in range(100):
        waits.append(pace.reserve(now, 9e9))
        now += waits[-1]
        if pace.begin(now, now):
            break
    assert now == pytest.approx(300.0 + is_cold)
    assert max(waits) <= 151.0


@given(
    moves=st.lists(st.tuples(st.booleans(), st.floats(0, 3)), min_size=1, max_size=60),
    limit=st.builds(RateLimit, st.integers(1, 20), st.floats(0.1, 10)),
)
@examples(30)
def test_no_window_exceeds_the_limit(tmp_path_factory, moves, limit):
    folder = tmp_path_factory.mktemp("pace")
    with Store(folder / "a") as one, Store(folder / "a") as two:
        paces, slots = (one.pace("x", limit), two.pace("x", limit)), []
        asked = itertools.accumulate(gap for _, gap in moves)
        coming = [(at, -1.0, number) for number, at in enumerate(asked)]
        while coming:
            now, slot, number = heapq.heappop(coming)
            pace = paces[moves[number][0]]
            if slot >= 0.0 and pace.begin(slot, now):
                slots.append(now)
            else:
                slot = now + pace.reserve(now, math.inf)
                heapq.heappush(coming, (slot, slot, number))
    assert len(slots) == len(moves)
    for first, last in zip(slots, slots[limit.requests :], strict=False):
        assert last - first >= limit.seconds - 0.01


def test_a_store_without_booking_stops_reads(path, store, caplog):
    """A store that takes no booking lets nobody read; it is told of once, and then once a minute."""
    pace = pace_of(store)
    with store._changes.transaction():
        assert pace.reserve(0.0, 99.0) == pytest.approx(0.5)
        assert not pace.begin(0.5, 0.5)
        pace.refused(0.5, 3.0)
    assert not pace.begin(1.0, 1.0)
    assert pace.reserve(1.0, 99.0) == pytest.approx(2.5)
    assert [record.levelname for record in caplog.records if record.levelno >= logging.WARNING] == ["WARNING"]


def paced_slots(pace, number, now=0.0):
    """Return so many slots of a caller that uses each at its time and asks for the next one then."""
    slots = []
    while len(slots) < number:
        now += pace.reserve(now, math.inf)
        if pace.begin(now, now):
            slots.append(now)
    return slots


NINE = RateLimit(10, 1.0)
"""Nine slots a second."""


def test_a_steady_caller_books_in_blocks(store, clock):
    """Of 8 slots at 9 a second, and 90 at 100; they are as far apart as single ones, and none is far ahead."""
    for limit, most in ((NINE, 8), (RateLimit(1_000, 9.0), 90)):
        pace, bookings, ahead = pace_of(store, limit), [], []
        with store._paces.exclusive() as connection:
            connection.set_trace_callback(lambda text, found=bookings: found.append(text))
        now, spacing = 0.0, PaceState.of_limit(limit).spacing
        start = paced_slots(pace, 1)[0]
        for number in range(1, 501):
            now = paced_slots(pace, 1, now)[0]
            assert now - start == pytest.approx(number * spacing)
            ((last,),) = store._work.rows("SELECT last FROM paces")
            ahead.append(last - clock.wall - now)
        assert bookings.count("BEGIN IMMEDIATE") <= 500 / most + 10
        assert max(ahead) <= BLOCK_SECONDS
        clock.wall += 1_000.0


def test_a_caller_now_and_then_books_one_slot(store, clock):
    """It leaves the others to who asks at once after it."""
    pace, other = pace_of(store, NINE), pace_of(store, NINE)
    for now in (0.0, 0.15, 0.3, 0.45):
        assert pace.reserve(now, 99.0) == pytest.approx(0.0)
        assert pace.begin(now, now)
    assert other.reserve(0.46, 99.0) == pytest.approx(0.45 + 1 / 9 - 0.46)


def test_a_block_starves_no_other_process(path, store, clock):
    """Its first slot comes with the end of the block, and from then on both have about half. One that is killed starves
    nobody either.
    """
    with Store(path) as second:
        one, other = pace_of(store, NINE), pace_of(second, NINE)
        now = paced_slots(one, 20)[-1]
        coming = [(now + one.reserve(now, math.inf), one), (now + other.reserve(now, math.inf), other)]
        assert coming[1][0] - now <= 0.5 + 1 / 9
        used = []
        while len(used) < 60:
            coming.sort(key=lambda pair: pair[0])
            at, pace = coming.pop(0)
            if pace.begin(at, at):
                used.append((at, pace))
            coming.append((at + pace.reserve(at, math.inf), pace))
        assert 24 <= sum(pace is one for _, pace in used) <= 36
        assert all(b - a == pytest.approx(1 / 9) or b - a > 1 / 9 for (a, _), (b, _) in itertools.pairwise(used))
        now = used[-1][0]
        with Store(path) as third:  # the two are dead now
            assert pace_of(third, NINE).reserve(now, math.inf) <= 0.5 + 1 / 9


def test_a_429_voids_a_block(path, store, clock):
    """The one that its own process has seen, and another's, even if it has passed."""
    with Store(path) as second:
        for seen_by in (store, second):
            pace, stranger = pace_of(store, NINE), pace_of(seen_by, NINE)
            now = paced_slots(pace, 20)[-1]
            slot = now + pace.reserve(now, math.inf)
            (pace if seen_by is store else stranger).refused(now, 3.0)
            assert not pace.begin(slot, slot)
            assert slot + pace.reserve(slot, math.inf) == pytest.approx(now + 3.0)
            gaps = [b - a for a, b in itertools.pairwise(paced_slots(pace, 5, now + 3.0))]
            assert gaps == pytest.approx([2 / 9] * 4)
            clock.wall += 1_000.0
            with store._work.transaction() as connection:
                connection.execute("DELETE FROM paces")


def test_a_block_is_given_back_with_its_slot(path, store, clock):
    with Store(path) as second:
        pace, other = pace_of(store, NINE), pace_of(second, NINE)
        now = paced_slots(pace, 16)[-1]
        while not pace._block:
            now += pace.reserve(now, math.inf)
        pace.release(now)
        assert now + other.reserve(now, math.inf) == pytest.approx(now)
        assert now + other.reserve(now, math.inf) == pytest.approx(now + 1 / 9)


def test_a_forked_child_uses_no_slot_of_its_parents(store, clock):
    pace = pace_of(store, NINE)
    now = paced_slots(pace, 16)[-1]
    while not pace._block:
        now += pace.reserve(now, math.inf)
    ((last,),) = store._work.rows("SELECT last FROM paces")
    child = os.fork()
    if child == 0:
        slot = now + pace.reserve(now, math.inf)
        os._exit(int(slot + clock.wall < last + 0.05))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


PACED = """
    import sys
    from batchstatus import BatchClient, Believe
    from batchstatus.service.store import Store
    from batchstatus.testing.simulator.believe import BELIEVE_KEY

    path, url, ref = sys.argv[1:]
    with Store(path) as store:
        account = Believe(BELIEVE_KEY, base_url=url, rate_limit=store.pace("believe", Believe.RATE_LIMIT))
        with BatchClient(account) as client:
            client.get(ref, timeout=60)
            print("ready", flush=True)
            sys.stdin.readline()
            print(max(client.get(ref, timeout=60).attempts for _ in range(10)))
"""


def test_processes_share_a_pace(store):
    """Processes that share a pace trip no limit."""
    with Simulator() as simulator:
        ref = simulator.add("believe", status="EXECUTED")
        others = [python(PACED, store.path, simulator.url, ref) for _ in range(3)]
        for other in others:
            assert other.stdout.readline() == "ready\n"
        started = time.monotonic()
        for other in others:
            other.stdin.write("go\n")
            other.stdin.flush()
        assert [other.communicate(timeout=LONG)[0] for other in others] == ["1\n"] * 3
        assert len(simulator.reads) == 33
        assert time.monotonic() - started > 29 / 9 - 0.5


# Secrets


def test_no_key_comes_into_the_file(store, path):
    key = "test-" + "".join(random.Random(3).choices("abcdefghij0123456789", k=24))
    with Simulator(limits=False) as simulator:
        account = Believe(key, base_url=simulator.url, rate_limit=store.pace("believe", Believe.RATE_LIMIT))
        store.track(["believe:1"])
        with BatchClient(account) as client, pytest.raises(Exception, match="401") as refused:
            client.get("believe:1")
        store.record_error("believe:1", refused.value)
        store.record_refusal("believe:1", refused.value)
    for file in path.parent.iterdir():
        assert key.encode() not in file.read_bytes()


def test_threads_do_not_block_each_other(store):
    """WAL: who reads does not keep others from writing."""
    store.track(["gameball:1"])
    with store._work.exclusive() as connection:
        cursor = connection.execute("SELECT * FROM refs")
        cursor.fetchone()
        writing = threading.Thread(target=store.record_refusal, args=("gameball:1", "gone"))
        writing.start()
        writing.join(5)
        assert not writing.is_alive()
