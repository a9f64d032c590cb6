"""Events that come with each poll are made only if something listens."""

from __future__ import annotations

import logging

import pytest
from batchstatus import Event, EventKind
from batchstatus._clients import base
from batchstatus._core.read import attempts
from batchstatus._core.wait import schedule
from batchstatus.testing import FakeVendors

REF = "believe:1"


@pytest.fixture
def vendors():
    made = FakeVendors()
    made.script(REF, "AVAILABLE_TO_QUEUE", "AVAILABLE_TO_QUEUE", "FINALIZED", "EXECUTED")
    return made


@pytest.fixture
def made(monkeypatch):
    """The kinds of the events that are made from now on."""
    kinds = []

    def make(**fields):
        kinds.append(fields["kind"])
        return Event(**fields)

    for module in (attempts, schedule):
        monkeypatch.setattr(module, "Event", make)
    return kinds


def test_a_get_without_a_listener_makes_no_event(reader, vendors, made):
    reader(vendors=vendors).get(REF)
    assert made == []


def test_a_wait_makes_its_end_only(reader, vendors, made, caplog):
    """The need for action is logged as a warning, so it is made, too."""
    caplog.set_level(logging.WARNING, "batchstatus")
    reader(vendors=vendors).wait(REF, timeout=60)
    assert made == [EventKind.NEEDS_ACTION, EventKind.DONE]


def test_a_log_at_debug_listens(reader, vendors, made, caplog):
    """It may be turned on while a client lives."""
    client = reader(vendors=vendors)
    client.get(REF)
    caplog.set_level(logging.DEBUG, "batchstatus")
    client.get(REF)
    assert made == [EventKind.ATTEMPT]


def test_an_observer_hears_all(reader, vendors):
    heard = []
    reader(vendors=vendors, on_event=heard.append).get(REF)
    assert [event.kind for event in heard] == [EventKind.START, EventKind.ATTEMPT, EventKind.DONE]


def test_a_watch_of_readings_hears_each(reader, vendors, made):
    outcomes = reader(vendors=vendors).watch([REF], timeout=60, changes_only=False)
    assert len(outcomes) == made.count(EventKind.ATTEMPT) == 4


def test_an_unknown_word_is_warned_of_all_the_same(reader, caplog):
    vendors = FakeVendors()
    vendors.script(REF, "BREWING")
    reader(vendors=vendors).get(REF)
    assert "unknown status" in caplog.text


def test_every_kind_with_a_level_is_an_event():
    assert set(base.LEVELS) < set(EventKind)
