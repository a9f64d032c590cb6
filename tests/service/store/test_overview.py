"""The overview of a store."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from batchstatus import Batch, BatchRef, BatchState, Counts
from batchstatus.service.store import Store
from batchstatus.service.store import overview as overview_module


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.sqlite3") as store:
        yield store


def batch(ref, state=BatchState.RUNNING, word=None, **counts):
    return Batch(
        ref=BatchRef.parse(ref),
        state=state,
        vendor_status=word or state.name,
        counts=Counts(**counts),
        read_at=datetime.now(UTC),
        raw=None,
        payload={"results": ["x"] * 1000},
    )


def set_fields(store, ref, **fields):
    with store._work.transaction() as connection:
        for name, value in fields.items():
            connection.execute(f"UPDATE refs SET {name} = ? WHERE ref = ?", [value, ref])


def groups(store):
    return {(group.account_ref, group.state, group.ended): group.batches for group in store.overview().groups}


def refs(rows):
    return [str(row.ref) for row in rows]


def test_an_empty_store_has_an_overview(store):
    found = store.overview()
    assert (found.groups, found.stuck, found.changes, found.destinations) == ([], [], [], [])


def test_batches_are_counted_by_account_and_state(store):
    store.track(["believe:1", "believe:2", "believe/acme:1", "gameball:1", "gameball:2", "gameball:3"])
    store.record(batch("believe:1"))
    store.record(batch("believe:2", BatchState.SUCCEEDED))
    store.record(batch("believe/acme:1", BatchState.REQUIRES_ACTION))
    store.record(batch("gameball:1"))
    store.record(batch("gameball:2"))
    store.untrack(["gameball:2"])
    assert groups(store) == {
        ("believe", BatchState.RUNNING, False): 1,
        ("believe", BatchState.SUCCEEDED, True): 1,
        ("believe/acme", BatchState.REQUIRES_ACTION, False): 1,
        ("gameball", BatchState.RUNNING, False): 1,
        ("gameball", None, False): 1,
    }


@pytest.mark.parametrize("state", list(BatchState))
def test_every_state_is_found_in_a_reading(store, state):
    """It stands at the beginning of the column, whatever the vendor's word is."""
    store.track(["believe:1"])
    store.record(batch("believe:1", state, 'odd ", "word'))
    assert [key[1] for key in groups(store)] == [state]


@pytest.mark.parametrize("reading", ["nonsense", "", '["bogus", "X", {}]', "{}"])
def test_a_damaged_reading_counts_and_raises_nothing(store, reading):
    store.track(["believe:1", "believe:2"])
    store.record(batch("believe:2"))
    set_fields(store, "believe:1", reading=reading)
    found = store.overview()
    assert sum(group.batches for group in found.groups) == 2
    assert "believe:2" in refs(found.unchanged)


def test_unread_batches_are_on_their_way(store):
    store.track(["believe:1", "believe:2"])
    store.record(batch("believe:1"))
    assert sorted(refs(store.overview().unchanged)) == ["believe:1", "believe:2"]


def test_stuck_batches_need_somebody(store):
    store.track([f"believe:{number}" for number in range(4)])
    for number, state in enumerate(
        (BatchState.RUNNING, BatchState.UNKNOWN, BatchState.REQUIRES_ACTION, BatchState.SUCCEEDED)
    ):
        store.record(batch(f"believe:{number}", state))
    found = store.overview()
    assert refs(found.stuck) == ["believe:1", "believe:2"]
    assert refs(found.unchanged) == ["believe:0"]


def test_lost_batches_are_neither_late_nor_in_trouble(store):
    store.track(["believe:1", "believe:2"])
    set_fields(store, "believe:1", lost_at=time.time(), error="no such batch", added_at=1.0)
    found = store.overview()
    assert refs(found.lost) == ["believe:1"]
    assert refs(found.troubled) == []
    (group,) = found.groups
    assert (group.lost, group.troubled, group.late) == (1, 0, 0)
    assert time.time() - group.oldest_reading.timestamp() < 60, "that of the other one, which was just added"


def test_batches_in_trouble_come_before_late_ones(store):
    store.track([f"believe:{number}" for number in range(4)])
    long_ago = time.time() - overview_module.LATE - 1
    set_fields(store, "believe:0", added_at=long_ago)
    set_fields(store, "believe:1", error="b", read_at=long_ago)
    set_fields(store, "believe:2", error="a")
    found = store.overview()
    assert refs(found.troubled) == ["believe:2", "believe:1", "believe:0"]
    assert [(group.troubled, group.late) for group in found.groups] == [(2, 1)]


def test_lists_are_short_and_numbers_are_not(store):
    store.track([f"believe:{number}" for number in range(100)])
    for number in range(100):
        store.record(batch(f"believe:{number}", BatchState.REQUIRES_ACTION))
    found = store.overview()
    assert len(found.stuck) == len(found.changes) == overview_module.MAX_LISTED
    assert [group.batches for group in found.groups] == [100]
    assert found.changes[0].ref.id == "99"


def test_a_change_comes_without_its_items(store):
    store.track(["believe:1"])
    store.record(batch("believe:1", BatchState.SUCCEEDED, "EXECUTED", total=8, processed=8))
    (change,) = store.overview().changes
    assert (change.kind, change.state, change.vendor_status) == ("ended", BatchState.SUCCEEDED, "EXECUTED")
    assert change.counts == Counts(total=8, processed=8)


def test_a_lost_batch_has_a_change_without_a_state(store):
    store.track(["believe:1"])
    store.record(batch("believe:1"))
    with store._changes.transaction() as connection:
        connection.execute("UPDATE changes SET kind = 'lost', batch = NULL, error = 'gone'")
    (change,) = store.overview().changes
    assert (change.kind, change.state, change.error) == ("lost", None, "gone")


def test_a_damaged_change_is_left_out(store):
    store.track(["believe:1", "believe:2"])
    store.record(batch("believe:1"))
    store.record(batch("believe:2"))
    with store._changes.transaction() as connection:
        connection.execute("UPDATE changes SET batch = 'nonsense' WHERE n = 1")
    assert [(str(change.ref), change.state) for change in store.overview().changes] == [
        ("believe:2", BatchState.RUNNING),
        ("believe:1", None),
    ]


def test_outboxes_are_those_of_the_destinations(store):
    store.serve("hook")
    store.track(["believe:1"])
    store.record(batch("believe:1", total=8, processed=1))
    assert store.overview().destinations == store.destinations()
    assert [found.waiting for found in store.overview().destinations] == [1]


def test_it_is_read_while_others_write(store):
    """A long read is in the way of nobody, and nobody is in its way."""
    store.track(["believe:1"])
    with store._changes.transaction() as connection:
        connection.execute("UPDATE refs SET error = 'not yet' WHERE ref = 'believe:1'")
        assert [group.troubled for group in store.overview().groups] == [0]
    assert [group.troubled for group in store.overview().groups] == [1]


def test_labels_are_not_in_the_json_of_a_change(store):
    """What the page shows of a change has no labels."""
    store.track(["believe:1"], labels={"token": "test-label-secret"})
    store.record(batch("believe:1"))
    (change,) = store.overview().changes
    assert "test-label-secret" not in json.dumps([str(change), repr(change)])
