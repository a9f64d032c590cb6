"""Health: when a watcher is alive, and when its polls and its store succeed."""

from __future__ import annotations

import sqlite3

import pytest
from batchstatus import (
    AuthenticationError,
    BatchNotFound,
    BatchRef,
    Event,
    EventKind,
    RateLimited,
    ServerError,
    TransportError,
)
from batchstatus.service.health import FAILING_SECONDS, FAULT_SECONDS, LIVE_SECONDS, Health
from batchstatus.service.store.connection import Faults

REF = BatchRef("believe", "17")
DOWN = ServerError("HTTP 503", ref=REF, status_code=503)


class Time:
    now = 1000.0

    def __call__(self):
        return self.now


class FailingStore:
    def __init__(self):
        self.faults = Faults()


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def store():
    return FailingStore()


@pytest.fixture
def health(store, time):
    health = Health(store, time)
    health.came_round()
    return health


def poll(error=None, ref=REF, kind=EventKind.ATTEMPT):
    return Event(kind=kind, ref=ref, error=error)


def test_a_watcher_that_has_not_begun_is_not_alive(store, time):
    health = Health(store, time)
    assert not health.is_alive()
    assert health.problems() == ["watcher: it does not go on"]
    health.came_round()
    assert health.is_alive()
    assert health.problems() == []


def test_a_watcher_that_hangs_is_not_alive(health, time):
    time.now += LIVE_SECONDS - 1
    assert health.is_alive()
    time.now += 1
    assert not health.is_alive()


def test_a_watcher_whose_store_fails_is_alive_and_not_ready(health, store, time):
    """To start it again would not help: it tries again each second."""
    time.now += 10 * LIVE_SECONDS
    store.faults.count, store.faults.last, store.faults.last_at = 1, "disk is full", time.now - 1
    assert health.is_alive()
    assert health.problems() == ["store: disk is full"]


def test_a_fault_of_the_store_is_forgotten(health, store, time):
    store.faults.count, store.faults.last, store.faults.last_at = 1, "database is locked", time.now
    assert health.problems() == ["store: database is locked"]
    time.now += FAULT_SECONDS
    assert health.problems() == []


def test_an_account_that_never_answered_is_a_problem_at_once(health):
    """Its key is wrong, say; the others do not hide it."""
    refused = AuthenticationError("the key is refused", ref=REF, status_code=401)
    health.hear(poll(refused))
    health.hear(poll(ref=BatchRef("gameball", "1")))
    assert health.problems() == ["believe: no poll has succeeded yet: AuthenticationError: the key is refused"]


def test_an_outage_is_a_problem_after_a_minute(health, time):
    health.hear(poll())
    for _ in range(3):
        health.hear(poll(DOWN))
        time.now += FAILING_SECONDS / 3
        health.came_round()
        assert health.problems() == [] or time.now >= 1000 + FAILING_SECONDS
    assert health.problems() == ["believe: no poll has succeeded for 60 s: ServerError: HTTP 503"]
    health.hear(poll())
    assert health.problems() == []


@pytest.mark.parametrize(
    ("error", "answered"),
    [
        pytest.param(BatchNotFound("", ref=REF, status_code=404), True, id="the vendor denies one batch"),
        pytest.param(RateLimited("", ref=REF, status_code=429), False, id="429"),
        pytest.param(TransportError("", ref=REF), False, id="no connection"),
    ],
)
def test_what_counts_as_an_answer(health, error, answered):
    health.hear(poll(error))
    assert (health.problems() == []) is answered


def test_other_events_are_no_polls(health):
    health.hear(poll(DOWN, kind=EventKind.DONE))
    assert not health.accounts


def test_accounts_of_one_vendor_are_told_apart(health):
    health.hear(poll(DOWN, ref=BatchRef("believe", "1", "acme")))
    health.hear(poll())
    assert [problem.split(":")[0] for problem in health.problems()] == ["believe/acme"]


def test_a_text_of_others_is_one_short_line(health):
    health.hear(poll(ServerError("x\n\x1b[31m" + "y" * 1000, ref=REF, status_code=500)))
    (problem,) = health.problems()
    assert problem.isprintable()
    assert len(problem) < 300


def test_the_store_counts_its_faults(tmp_path):
    """A locked file is one; a wrong name of a destination is not."""
    from batchstatus.service.store import Store
    from batchstatus.service.store import connection as connection_module

    with Store(tmp_path / "store.sqlite3") as store:
        store._work = connection_module.Connection(store.path, busy_timeout=0.0, faults=store.faults)
        with sqlite3.connect(store.path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                store.serve("hook")
            other.execute("ROLLBACK")
        other.close()
        assert (store.faults.count, store.faults.last) == (1, "database is locked")
        store.serve("hook")
        with pytest.raises(ValueError, match="no destination"):
            store.undelivered("other")
        assert store.faults.count == 1
