"""How long batches took: learned with each stored end, by account and kind."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from batchstatus import Batch, BatchRef, BatchState
from batchstatus.service import Store

BEGAN = datetime.now(UTC) - timedelta(days=1)


def reading(ref, seconds, state=BatchState.RUNNING):
    ref = BatchRef.parse(ref)
    read_at = BEGAN + timedelta(seconds=seconds)
    word = {"vendor_status": state.value, "created_at": BEGAN}
    return Batch(ref=ref, state=state, read_at=read_at, raw=None, payload=None, **word)


def end(store, ref, seconds, *, seen_open=True, labels=None):
    """Track a batch that ends after so many seconds."""
    store.track([ref], labels)
    if seen_open:
        store.record(reading(ref, seconds - 5.0))
    store.record(reading(ref, seconds, BatchState.SUCCEEDED))


@pytest.fixture
def path(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path / "store.db"


def test_an_end_is_learned_and_survives(path):
    """With the ends that another process of the same store finds later."""
    with Store(path) as store:
        for n in range(15):
            end(store, f"believe:{n}", 300.0)
    with Store(path) as store:
        for n in range(15, 30):
            end(store, f"believe:{n}", 300.0)
        learned = store.durations()
    assert list(learned) == [("believe", "")]
    assert learned["believe", ""].batches == 30
    assert learned["believe", ""].remaining() == pytest.approx(300, rel=0.15)


def test_kinds_are_kept_apart(path):
    """By account, and by the label `kind`."""
    with Store(path) as store:
        end(store, "believe:1", 10.0, labels={"kind": "mint"})
        end(store, "believe:2", 600.0, labels={"kind": "burn", "campaign": "spring"})
        end(store, "believe/acme:3", 60.0, labels={"campaign": "spring"})
        assert list(store.durations()) == [("believe", "burn"), ("believe", "mint"), ("believe/acme", "")]


def test_an_end_that_was_not_waited_for_says_nothing(path):
    """A batch that is over at its first reading may have been so for days."""
    with Store(path) as store:
        end(store, "believe:1", 300.0, seen_open=False)
        assert store.durations() == {}


def test_the_past_of_a_ref_is_that_of_its_kind(path):
    with Store(path) as store:
        end(store, "believe:1", 10.0, labels={"kind": "mint"})
        store.track(["believe:2", "believe:3"], {"kind": "mint"})
        store.track(["believe:4"])
        past = store.past()
        first, second, other = (past(BatchRef("believe", id_)) for id_ in "234")
        assert first is second
        assert (first.batches, other.batches) == (1, 0)
        store.track(["believe:5"], {"kind": "mint"})
        past.refresh()
        assert past(BatchRef("believe", "5")) is first


def test_a_damaged_row_is_learned_anew(path, caplog):
    with Store(path) as store:
        end(store, "believe:1", 10.0)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE durations SET learned = '{'")
        end(store, "believe:2", 10.0)
        assert store.durations()["believe", ""].batches == 1
    assert "durations of believe  cannot be read; learning starts over" in caplog.text


def test_damaged_labels_cost_only_the_kind(path):
    with Store(path) as store:
        store.track(["believe:1"])
        store.record(reading("believe:1", 5.0))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE refs SET labels = 'x'")
        store.record(reading("believe:1", 10.0, BatchState.SUCCEEDED))
        assert list(store.durations()) == [("believe", "")]
