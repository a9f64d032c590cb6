"""The metrics: counts of events, and the state of the store."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from batchstatus import BatchRef, Believe, Event, EventKind, Gameball, RateLimited, ServerError
from batchstatus.service.health import Health
from batchstatus.service.http.metrics import Metrics
from batchstatus.service.store import Store
from prometheus_client.parser import text_string_to_metric_families

REF = BatchRef("believe", "17", "acme")
ACME = {"vendor": "believe", "account": "acme"}


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.sqlite3") as store:
        yield store


@pytest.fixture
def metrics(store):
    accounts = [Believe("test-believe-key", name="acme"), Gameball("test-gameball-key", "test-gameball-secret")]
    return Metrics(store, accounts)


@pytest.fixture
def value(store, metrics):
    """A function that returns the value of a sample, or None."""
    health = Health(store)

    def find(name, **labels):
        text = metrics.text(store.overview(), health).decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        found = [sample.value for sample in samples if sample.name == name and sample.labels == labels]
        return found[0] if found else None

    return find


def test_polls_are_counted_by_outcome(metrics, value):
    for error in (None, None, RateLimited("", ref=REF, status_code=429), ServerError("", ref=REF, status_code=503)):
        metrics.on_event(Event(kind=EventKind.ATTEMPT, ref=REF, error=error, duration=0.2, queued=40.0))
    assert value("batchstatus_polls_total", **ACME, outcome="reading") == 2
    assert value("batchstatus_polls_total", **ACME, outcome="RateLimited") == 1
    assert value("batchstatus_polls_total", **ACME, outcome="ServerError") == 1
    assert value("batchstatus_poll_duration_seconds_count", **ACME) == 4
    assert value("batchstatus_poll_duration_seconds_bucket", **ACME, le="0.25") == 4
    assert value("batchstatus_poll_lateness_seconds_sum", **ACME) == 160
    assert value("batchstatus_poll_lateness_seconds_bucket", **ACME, le="30.0") == 0


def test_the_first_of_a_kind_raises_a_rate(store, value):
    """So each series that an alert asks for is there before, with 0."""
    store.serve("hook")
    gameball = {"vendor": "gameball", "account": ""}
    for outcome in ("reading", "RateLimited"):
        assert value("batchstatus_polls_total", **gameball, outcome=outcome) == 0
    for name in ("pace_closed_seconds_total", "unknown_words_total", "account_closed", "poll_lateness_seconds_count"):
        assert value(f"batchstatus_{name}", **gameball) == 0
    assert value("batchstatus_store_errors_total") == 0
    for outcome in ("delivered", "failed", "set_aside", "stopped"):
        assert value("batchstatus_deliveries_total", destination="hook", outcome=outcome) == 0
    assert value("batchstatus_delivery_duration_seconds_count", destination="hook") == 0


def test_a_429_closes_a_pace_for_a_time(metrics, value):
    for pause in (2.0, 3.5):
        metrics.on_event(Event(kind=EventKind.THROTTLE, ref=REF, pause=pause))
    assert value("batchstatus_pace_closed_seconds_total", **ACME) == 5.5


def test_an_account_closes_and_opens(metrics, value):
    metrics.on_event(Event(kind=EventKind.CLOSED, ref=REF, pause=1.0))
    assert value("batchstatus_account_closed", **ACME) == 1
    metrics.on_event(Event(kind=EventKind.REOPENED, ref=REF))
    assert value("batchstatus_account_closed", **ACME) == 0


def test_unknown_words_are_counted(metrics, value):
    metrics.on_event(Event(kind=EventKind.UNKNOWN_WORD, ref=REF))
    assert value("batchstatus_unknown_words_total", **ACME) == 1


def test_deliveries_are_counted_by_outcome(metrics, value):
    for outcome in ("delivered", "failed", "failed"):
        metrics.on_delivery(SimpleNamespace(destination="hook", outcome=outcome, duration=0.3))
    assert value("batchstatus_deliveries_total", destination="hook", outcome="failed") == 2
    assert value("batchstatus_delivery_duration_seconds_count", destination="hook") == 3


def test_faults_of_the_store_are_counted(metrics, store, value):
    store.faults.note(OSError("disk is full"))
    store.faults.note(OSError("disk is full"))
    assert value("batchstatus_store_errors_total") == 2
    store.faults.note(OSError("disk is full"))
    assert value("batchstatus_store_errors_total") == 3
    assert value("batchstatus_ready") == 0


def test_the_store_is_measured(store, value):
    store.serve("hook")
    store.track(["believe/acme:1", "believe/acme:2", "gameball:1"])
    with store._work.transaction() as connection:
        connection.execute("UPDATE refs SET added_at = added_at - 1000")
        connection.execute("UPDATE refs SET lost_at = 1, error = 'gone' WHERE ref = 'gameball:1'")
        connection.execute("UPDATE refs SET error = 'HTTP 503' WHERE ref = 'believe/acme:1'")
    gameball = {"vendor": "gameball", "account": ""}
    assert value("batchstatus_batches", **ACME, state="unread") == 2
    assert value("batchstatus_lost_batches", **gameball) == 1
    assert value("batchstatus_troubled_batches", **ACME) == 1
    assert value("batchstatus_late_batches", **ACME) == 1
    assert 1000 <= value("batchstatus_oldest_reading_age_seconds", **ACME) < 2000
    assert value("batchstatus_oldest_reading_age_seconds", **gameball) == 0
    assert value("batchstatus_outbox_changes", destination="hook") == 0
    assert value("batchstatus_outbox_oldest_age_seconds", destination="hook") == 0


def test_a_series_has_no_time_of_its_beginning(store, metrics):
    """It would double the number of series."""
    assert b"_created" not in metrics.text(store.overview(), Health(store))


def test_two_services_in_one_process_count_apart(store):
    for _ in range(2):
        Metrics(store, [Believe("test-believe-key")])
