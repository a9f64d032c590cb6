"""The outbox: what is kept for a destination, set aside, stopped, retried and dropped."""

from __future__ import annotations

import json
import time
import types
from datetime import timedelta

import pytest
from batchstatus import Batch, BatchState, ConfigurationError
from batchstatus.service.store import Change, Store
from batchstatus.service.store import clock as clock_module
from batchstatus.service.store.outbox import ALL, FROM_OUTBOX
from readings import NOW, reading

DAY = 86_400.0


@pytest.fixture
def clock(monkeypatch):
    """Both clocks, wall and machine, to be turned."""
    clock = types.SimpleNamespace(wall=NOW.timestamp(), boot=1_000.0)
    monkeypatch.setattr(time, "time", lambda: clock.wall)
    monkeypatch.setattr(clock_module, "now", lambda: clock.boot)

    def forward(seconds):
        clock.wall += seconds
        clock.boot += seconds

    clock.forward = forward
    return clock


@pytest.fixture
def store(tmp_path, clock):
    with Store(tmp_path / "store.sqlite3") as store:
        store.serve("hook")
        yield store


def changed(store, *refs, processed=1):
    """Track batches, and store a change of each; return the changes."""
    store.track(refs)
    return store.record_all([reading(ref, processed=processed, at=processed) for ref in refs])


def due(store, name="hook", **options):
    return [f"{change.ref}#{change.sequence}" for change in store.undelivered(name, **options)]


def fail(store, change, name="hook", reason="HTTP 500", **options):
    return store.postpone(name, change.id, clock_module.now() + 60, reason, **options)


def hook(store):
    return next(found for found in store.destinations() if found.name == "hook")


# Labels


def test_a_change_keeps_the_labels_of_its_time(store):
    """A repeat says the same as the first delivery, whatever became of the labels."""
    store.track(["gameball:1"], {"campaign": "spring"})
    first = store.record(reading("gameball:1", processed=1))
    store.track(["gameball:1"], {"campaign": "summer", "team": "a"})
    second = store.record(reading("gameball:1", processed=2, at=1))
    assert (first.labels, second.labels) == ({"campaign": "spring"}, {"campaign": "summer", "team": "a"})
    assert store.changes() == [first, second]
    assert [found["labels"] for found in (change.to_dict() for change in store.changes())] == [
        {"campaign": "spring"},
        {"campaign": "summer", "team": "a"},
    ]


def test_damaged_labels_cost_no_change(store):
    store.track(["gameball:1"], {"a": "b"})
    with store._work.transaction() as connection:
        connection.execute("UPDATE refs SET labels = '{'")
    change = store.record(reading("gameball:1"))
    assert change.labels == {}
    assert store.changes() == [change]


def test_a_change_survives_json(store):
    store.track(["believe/acme:1"], {"a": "b"})
    change = store.record(reading("believe/acme:1", processed=3))
    assert Change.from_dict(json.loads(json.dumps(change.to_dict()))) == change
    assert Batch.from_dict(change.batch).counts.processed == 3
    lost = Change(id="1", store="s", ref=change.ref, sequence=2, kind="lost", at=NOW, error="no")
    assert Change.from_dict(lost.to_dict() | {"later": 1}) == lost


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        pytest.param({"schema": 2}, "upgrade it", id="newer"),
        pytest.param({"id": 7}, "not what Change.to_dict returns", id="id"),
        pytest.param({"ref": "nonsense"}, "a ref is written vendor:id", id="ref"),
        pytest.param({"at": "yesterday"}, "not what Change.to_dict returns", id="time"),
        pytest.param({"batch": "\x1b[31m"}, "not what Change.to_dict returns", id="batch"),
        pytest.param({"labels": ["a"]}, "not what Change.to_dict returns", id="labels"),
        pytest.param({"sequence": None}, "not what Change.to_dict returns", id="sequence"),
    ],
)
def test_other_fields_are_not_a_change(store, edit, says):
    (change,) = changed(store, "gameball:1")
    with pytest.raises(ConfigurationError, match=says) as refused:
        Change.from_dict(change.to_dict() | edit)
    assert str(refused.value).isprintable()


def test_nothing_is_not_a_change():
    for fields in ({}, [], None, "x"):
        with pytest.raises(ConfigurationError, match=r"not what Change\.to_dict returns"):
            Change.from_dict(fields)


# Kinds


def test_a_destination_gets_the_kinds_that_it_wants(store):
    store.serve("ends", ["ended", "lost"])
    changed(store, "gameball:1")
    store.record(reading("gameball:1", BatchState.FAILED, 8, at=9))
    assert due(store, "ends") == ["gameball:1#2"]
    assert due(store) == ["gameball:1#1"], "the end comes after it"
    assert [found.kinds for found in store.destinations()] == [None, ("ended", "lost")]


def test_a_destination_that_wants_less_loses_the_rest(store):
    """What waits and is not wanted any more is dropped; what is wanted again comes from now on."""
    changed(store, "gameball:1")
    store.serve("hook", ["ended"])
    assert (due(store), hook(store).waiting) == ([], 0)
    changed(store, "gameball:1", processed=2)
    store.serve("hook")
    changed(store, "gameball:1", processed=3)
    assert due(store) == ["gameball:1#3"]


@pytest.mark.parametrize("name", ["", "red\x1b[31m", "a\nb", "x" * 201])
def test_a_name_that_cannot_be_shown_is_refused(store, name):
    with pytest.raises(ConfigurationError, match="1 to 200 printable characters") as refused:
        store.serve(name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("kinds", [["end"], [], ["ended", "x"], "end"])
def test_a_kind_that_there_is_not_is_refused(store, kinds):
    with pytest.raises(ConfigurationError, match="the kinds of changes are change, ended, lost, found"):
        store.serve("hook", kinds)


# Failures


def test_a_delivery_is_set_aside_after_three_days(store, clock):
    """Of wall time since it failed first; it is in nobody's way then."""
    (change,) = changed(store, "gameball:1")
    assert not fail(store, change)
    clock.forward(3 * DAY - 1)
    assert not fail(store, change)
    assert (hook(store).failed, hook(store).set_aside) == (1, 0)
    clock.forward(1)
    assert fail(store, change)
    clock.forward(DAY)
    assert due(store) == []
    found = hook(store)
    assert (found.waiting, found.failed, found.set_aside, found.oldest_at, found.oldest_age) == (0, 0, 1, None, 0.0)
    assert (found.reason, found.failed_at) == ("HTTP 500", NOW + timedelta(days=3))
    assert (store.summary()["undelivered"], store.summary()["set_aside"]) == (0, 1)
    changed(store, "gameball:1", processed=2)
    assert due(store) == ["gameball:1#2"], "a later change of the batch goes on"
    (aside, waiting) = store.pending("hook")
    assert (aside.id, aside.attempts, aside.failed_at, aside.set_aside_at) == (
        change.id,
        3,
        NOW,
        NOW + timedelta(days=3),
    )
    assert (waiting.attempts, waiting.set_aside_at) == (0, None)
    assert json.loads(json.dumps(aside.to_dict()))["ref"] == "gameball:1"


def test_what_is_set_aside_can_be_retried_for_days_anew(store, clock):
    one, other = changed(store, "gameball:1", "gameball:2")
    for change in (one, other):
        fail(store, change)
    clock.forward(3 * DAY)
    assert [fail(store, change) for change in (one, other)] == [True, True]
    assert store.retry_deliveries("hook", other.id) == 1
    assert due(store) == ["gameball:2#1"]
    assert not fail(store, other), "its three days begin again"
    assert store.retry_deliveries("hook") == 2
    assert sorted(due(store)) == ["gameball:1#1", "gameball:2#1"]
    assert not fail(store, one)
    store.delivered("hook", one.id)
    store.delivered("hook", other.id)
    assert store.retry_deliveries("hook") == 0
    assert hook(store).set_aside == 0


def test_set_aside_changes_are_kept_from_pruning(store, clock):
    (change,) = changed(store, "gameball:1")
    fail(store, change)
    clock.forward(3 * DAY)
    fail(store, change)
    store.untrack(["gameball:2"])
    assert store.prune(timedelta(0)) == 0
    store.drop_delivery("hook", change.id)
    store.record(reading("gameball:1", BatchState.FAILED, 8, at=9))
    store.drop_destination("hook")
    clock.forward(1)
    assert store.prune(timedelta(0)) == 2


def test_a_late_failure_of_a_delivered_change_counts_for_nothing(store):
    """Another watcher has delivered it meanwhile."""
    (change,) = changed(store, "gameball:1")
    store.delivered("hook", change.id)
    assert not fail(store, change)
    assert (hook(store).failed_at, store.pending("hook")) == (None, [])


def test_a_receiver_that_asks_for_a_pause_gets_it_as_a_whole(store, clock):
    """In all processes, and run --once makes nothing due before."""
    one, _ = changed(store, "gameball:1", "gameball:2")
    assert not fail(store, one, hold_until=clock_module.now() + 60)
    assert due(store) == []
    store.retry_now("hook")
    assert due(store) == []
    fail(store, one)
    clock.forward(60)
    assert sorted(due(store)) == ["gameball:1#1", "gameball:2#1"]


def test_a_shorter_pause_does_not_end_a_longer_one(store, clock):
    one, other = changed(store, "gameball:1", "gameball:2")
    store.postpone("hook", one.id, clock.boot, "HTTP 429", hold_until=clock.boot + 600)
    store.postpone("hook", other.id, clock.boot, "HTTP 429", hold_until=clock.boot + 10)
    clock.forward(11)
    assert due(store) == []
    clock.forward(600)
    assert len(due(store)) == 2


def test_a_stopped_destination_keeps_its_changes(store, clock):
    """Until somebody starts it again; that the receiver has said so is news once."""
    (one,) = changed(store, "gameball:1")
    clock.forward(5)
    assert [store.stop("hook", one.id, "HTTP 410") for _ in range(2)] == [True, False]
    changed(store, "gameball:2")
    assert due(store) == []
    found = hook(store)
    assert (found.stopped_at, found.waiting, found.reason) == (NOW + timedelta(seconds=5), 2, "HTTP 410")
    store.serve("hook")
    store.retry_now("hook")
    assert due(store) == [], "that a run has it does not start it"
    assert store.retry_deliveries("hook") == 2
    assert sorted(due(store)) == ["gameball:1#1", "gameball:2#1"]
    assert hook(store).stopped_at is None


def test_the_oldest_waiting_change_has_an_age(store, clock):
    (one,) = changed(store, "gameball:1")
    clock.forward(100)
    changed(store, "gameball:2")
    assert (hook(store).oldest_at, hook(store).oldest_age) == (NOW, 100.0)
    store.delivered("hook", one.id)
    assert hook(store).oldest_age == 0.0
    assert json.loads(json.dumps(hook(store).to_dict()))["oldest_at"] == (NOW + timedelta(seconds=100)).isoformat()


# What is dropped


def test_one_delivery_can_be_dropped(store):
    store.serve("other")
    one, other = changed(store, "gameball:1", "gameball:2")
    store.drop_delivery("hook", one.id)
    assert due(store) == [f"{other.ref}#1"]
    assert len(due(store, "other")) == 2
    for name, id_ in (("hook", one.id), ("hook", "nonsense"), ("nobody", other.id)):
        with pytest.raises(ConfigurationError, match=r"no change with the id|no destination"):
            store.drop_delivery(name, id_)
        with pytest.raises(ConfigurationError, match=r"no change with the id|no destination"):
            store.retry_deliveries(name, id_)


def test_an_untracked_batch_is_delivered_no_more(store, clock):
    """What waits, is in flight or set aside; what has arrived stays where it is, and so do the changes."""
    one, other = changed(store, "gameball:1", "gameball:2")
    store.delivered("hook", one.id)
    changed(store, "gameball:1", processed=2)
    store.claim("me")
    assert len(store.undelivered("hook", owner="me")) == 2
    assert store.undelivered_of(["gameball:1"]) == 1
    assert store.untrack(["gameball:1", "gameball:3"]) == 1
    assert [pending.id for pending in store.pending("hook")] == [other.id]
    assert not store.holds("me", "hook", store.changes()[-1].id)
    assert len(store.history("gameball:1")) == 2
    with pytest.raises(ConfigurationError, match="no change with the id"):
        store.delivered("hook", store.changes()[-1].id)


# The service


def test_open_batches_that_nobody_reads_are_told_of(store, clock):
    assert store.unread_since() is None
    store.track(["gameball:1"])
    assert store.unread_since() == NOW
    clock.forward(60)
    store.record(reading("gameball:1", processed=1, at=60))
    assert store.unread_since() == NOW + timedelta(seconds=60)
    store.claim("me", seconds=30)
    assert store.unread_since() is None, "a watcher runs"
    clock.forward(31)
    assert store.unread_since() == NOW + timedelta(seconds=60)
    store.record(reading("gameball:1", BatchState.FAILED, 8, at=90))
    assert store.unread_since() is None, "nothing is open"


def test_a_look_does_not_grow_with_what_is_set_aside(store, clock):
    """Neither does the list of destinations scan what has arrived."""
    with store._work.exclusive() as connection:
        values = {"destination": 1, "now": 0.0, "latest": 0.0, "limit": 1}
        for query in (ALL, FROM_OUTBOX):
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
            touched = [line for line in plan if "outbox" in line or "other" in line]
            assert len(touched) == 3
            assert all(" INDEX " in line or "(destination=? AND change=?)" in line for line in touched), plan
