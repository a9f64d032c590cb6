"""The rules of a pace that is kept on a server, against a server of our own that keeps a text."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from batchstatus import Believe, ConfigurationError, Gameball, PaceState, RateLimit
from batchstatus.paces._rules import Read, Rules, Stored
from hypothesis import given
from hypothesis import strategies as st

EPOCH = 1_750_000_000.0
SPACING = PaceState.of_limit(Believe.RATE_LIMIT).spacing


class Kept:
    """A text, compared when it is replaced; `meanwhile` is called between a read and a swap."""

    def __init__(self):
        self.text, self.server, self.meanwhile = None, EPOCH, None

    def do(self, steps, offset=0.0):
        """Perform an operation for a process whose monotonic clock is behind the server's by `EPOCH + offset`."""
        stored = None
        try:
            while True:
                step = steps.send(stored)
                if isinstance(step, Read):
                    stored = Stored(self.text or None, self.server, self.server - EPOCH - offset)
                    continue
                if self.meanwhile is not None:
                    meanwhile, self.meanwhile = self.meanwhile, None
                    meanwhile()
                is_new = (self.text or None) == step.old
                self.text = step.new if is_new else self.text
                stored = Stored(self.text or None, self.server, self.server - EPOCH - offset, is_new=is_new)
        except StopIteration as end:
            return end.value


@pytest.fixture
def kept():
    return Kept()


def rules(**options):
    return Rules(Believe("test-believe-key", **options), "wait")


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.0, 0.5)), min_size=2, max_size=60))
def test_slots_of_all_processes_are_spaced(moves):
    """Each has a clock of its own, and none is in the past."""
    kept, processes, slots = Kept(), [rules() for _ in range(3)], []
    for number, gap in moves:
        kept.server += gap
        offset = 1000.0 * number
        now = kept.server - EPOCH - offset
        wait = kept.do(processes[number].reserve(now, now + 1e6), offset)
        assert wait >= -1e-6
        slots.append(kept.server + wait)
    assert all(later - earlier >= SPACING - 1e-4 for earlier, later in itertools.pairwise(slots))


def test_two_at_the_same_time_get_two_slots(kept):
    """What another process has booked between the read and the swap is heeded."""
    one, other, waits = rules(), rules(), []
    kept.meanwhile = lambda: waits.append(kept.do(other.reserve(0.0, 60.0)))
    waits.append(kept.do(one.reserve(0.0, 60.0)))
    assert waits[1] - waits[0] == pytest.approx(SPACING)


def test_no_slot_before_the_deadline_books_none(kept):
    one = rules()
    first = kept.do(one.reserve(0.0, 60.0))
    before = kept.text
    assert kept.do(one.reserve(0.0, first)) is None
    assert kept.text == before


def test_a_429_closes_it_for_all(kept):
    one, other = rules(), rules()
    wait = kept.do(one.reserve(0.0, 60.0))
    kept.server += wait
    assert kept.do(other.refused(wait, 5.0)) == pytest.approx(5.0)
    assert kept.do(one.begin(wait, wait)) is False
    assert kept.do(one.reserve(wait, 60.0)) >= 5.0 - 1e-6
    slowed = [kept.do(one.reserve(wait, 600.0)) for _ in range(2)]
    assert slowed[1] - slowed[0] == pytest.approx(2 * SPACING)
    kept.do(one.accepted())
    again = [kept.do(one.reserve(wait, 600.0)) for _ in range(2)]
    assert again[1] - again[0] < 2 * SPACING


def test_a_late_slot_that_others_have_overtaken_is_void_but_not_twice(kept):
    one, other = rules(), rules()
    slots = [kept.do(one.reserve(0.0, 60.0)) for _ in range(2)]
    kept.do(other.reserve(0.0, 60.0))
    kept.server += slots[1] + SPACING
    assert kept.do(one.begin(slots[0], slots[1])) is False
    assert kept.do(one.begin(slots[1], slots[1])) is True


def test_the_first_request_of_a_process_may_be_late(kept):
    """The next slot leaves it time; later ones do not."""
    one, other = rules(), rules()
    slot = kept.do(one.reserve(0.0, 60.0))
    kept.server += slot
    assert kept.do(one.begin(slot, slot)) is True
    assert kept.do(other.reserve(slot, 60.0)) == pytest.approx(4 * SPACING)
    second = kept.do(one.reserve(slot, 60.0))
    kept.server += second
    assert kept.do(one.begin(slot + second, slot + second)) is True
    assert kept.do(one.reserve(slot + second, 60.0)) == pytest.approx(SPACING)


def test_a_slot_given_back_is_used_again(kept):
    one = rules()
    slots = [kept.do(one.reserve(0.0, 60.0)) for _ in range(3)]
    kept.do(one.release(slots[1]))
    assert kept.do(one.reserve(0.0, 60.0)) == pytest.approx(slots[1])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": 1}', '{"state": [], "members": {}}', "null"])
def test_what_cannot_be_read_is_begun_anew(kept, text):
    """A second later, as slots that were booked before may still be used."""
    kept.text = text
    assert kept.do(rules().reserve(0.0, 60.0)) == pytest.approx(1.0)


def test_a_server_whose_clock_was_set_back_holds_nobody(kept):
    one = rules()
    kept.do(one.reserve(0.0, 60.0))
    kept.server -= 100_000.0
    now = kept.server - EPOCH
    assert kept.do(one.reserve(now, now + 60.0)) <= 1.0


def test_alone_it_keeps_its_share_of_the_limit(kept):
    """Of the members that have booked in the last 30 s."""
    processes = [rules() for _ in range(4)]
    for each in processes:
        kept.do(each.reserve(0.0, 60.0))
    kept.do(processes[0].reserve(0.0, 60.0))
    waits = [processes[0].alone("reserve", 5.0, 600.0) for _ in range(2)]
    assert waits[1] - waits[0] == pytest.approx(4 * SPACING)


def test_a_lost_server_is_asked_again_ever_more_seldom():
    alone, waiting = Rules(Believe("test-believe-key"), "local"), rules()
    pauses, now = [], 0.0
    for _ in range(6):
        assert alone.lose(now)
        pauses.append(next(pause for pause in (0.5, 1, 2, 4, 8, 16) if not alone.is_lost(now + pause + 1e-6)))
        now += pauses[-1]
    assert pauses == [0.5, 1, 2, 4, 8, 8]
    alone.find()
    assert not alone.is_lost(now)
    assert not waiting.lose(now)
    assert not waiting.is_lost(now)


def test_it_needs_a_limit_and_a_choice():
    with pytest.raises(ConfigurationError, match="needs an account with a RateLimit"):
        Rules(Gameball("a", "b", rate_limit=None), "wait")
    with pytest.raises(ConfigurationError, match="when_lost is 'wait' or 'local'"):
        Rules(Believe("a", rate_limit=RateLimit(1)), "never")


@pytest.mark.parametrize(
    ("module", "library", "extra"), [("redis", "redis", "redis"), ("postgres", "psycopg", "postgres")]
)
def test_a_missing_extra_is_named(module, library, extra):
    code = f"import sys; sys.modules['{library}'] = None; import batchstatus.paces.{module}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"pip install 'batchstatus[{extra}]'" in run.stderr.splitlines()[-1]
