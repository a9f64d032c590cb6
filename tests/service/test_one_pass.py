"""Which batches one pass has still to read."""

from __future__ import annotations

import pytest
from batchstatus import BatchNotFound, BatchRef, Event, EventKind, ServerError
from batchstatus.service.one_pass import MOST_FAILURES, OnePass

ONE, TWO, OTHER = BatchRef("gameball", "1"), BatchRef("gameball", "2"), BatchRef("believe", "1")


def failed(ref, error_class=ServerError, kind=EventKind.ATTEMPT):
    return Event(kind=kind, ref=ref, error=error_class("no", ref=ref, status_code=500))


def test_a_batch_that_was_read_is_done():
    one = OnePass([ONE, TWO])
    assert one.take(failed(ONE)) == []
    assert one.take(Event(kind=EventKind.ATTEMPT, ref=ONE)) == [ONE]
    assert (list(one.unread), one.is_over) == ([TWO], False)
    assert one.take(Event(kind=EventKind.ATTEMPT, ref=TWO)) == [TWO]
    assert one.is_over
    assert one.take(Event(kind=EventKind.ATTEMPT, ref=TWO)) == []


@pytest.mark.parametrize(("error_class", "times"), [(ServerError, MOST_FAILURES), (BatchNotFound, 1)])
def test_a_batch_that_fails_is_left_to_the_next_pass(error_class, times):
    """At once if time does not mend it."""
    one = OnePass([ONE])
    assert [one.take(failed(ONE, error_class)) for _ in range(times)] == [[]] * (times - 1) + [[ONE]]
    assert isinstance(one.unread[ONE], error_class)
    assert one.is_over


def test_an_account_in_trouble_is_left_to_the_next_pass():
    one = OnePass([ONE, TWO, OTHER])
    assert one.take(failed(ONE, kind=EventKind.CLOSED)) == [ONE, TWO]
    assert [type(one.unread[ref]) for ref in (ONE, TWO, OTHER)] == [ServerError, ServerError, type(None)]
    assert not one.is_over


def test_a_pass_over_nothing_is_over():
    assert OnePass([]).is_over
