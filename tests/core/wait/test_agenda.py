"""Which account wants a look next: as if each were looked at in every step."""

from __future__ import annotations

import math

from batchstatus._core.pacing import NoPace
from batchstatus._core.wait.agenda import Agenda
from batchstatus._core.wait.queue import Queue
from hypothesis import given
from hypothesis import strategies as st

TIMES = st.integers(0, 20).map(float)


def queues(number):
    found = [Queue(object(), NoPace()) for _ in range(number)]
    for place, queue in enumerate(found):
        queue.number = place
    return found


@given(st.lists(st.tuples(st.integers(0, 4), TIMES), max_size=40), TIMES)
def test_each_queue_is_looked_at_from_the_earliest_time_that_it_asked_for(asked, now):
    """In the order in which the queues came, and once."""
    agenda, all_ = Agenda(), queues(5)
    for place, at in asked:
        agenda.wake(all_[place], at)
    earliest = {place: min((at for other, at in asked if other == place), default=math.inf) for place in range(5)}
    assert agenda.next_at() == min(earliest.values())
    assert [queue.number for queue in agenda.awake(now)] == [place for place, at in earliest.items() if at <= now]
    assert agenda.awake(now) == []
    assert agenda.next_at() == min((at for at in earliest.values() if at > now), default=math.inf)


def test_the_earliest_slot_goes_first():
    """Of equal ones that of the queue which came first; a slot that was given up is void."""
    agenda, (first, second, third) = Agenda(), queues(3)
    for queue, slot in ((third, 1.0), (second, 2.0), (first, 2.0)):
        queue.slot = slot
        agenda.book(queue)
    assert (agenda.next_booked(), agenda.next_at()) == (third, 1.0)
    third.slot = None
    assert (agenda.next_booked(), agenda.next_at()) == (first, 2.0)


def test_a_queue_with_a_slot_is_not_woken():
    agenda, (queue,) = Agenda(), queues(1)
    queue.slot = 5.0
    agenda.wake(queue, 1.0)
    assert agenda.next_at() == math.inf
