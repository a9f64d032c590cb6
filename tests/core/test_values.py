"""Refs, states, counts and batches: values without I/O."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime

import attrs
import pytest
from batchstatus import (
    Batch,
    BatchFailed,
    BatchRef,
    BatchState,
    ConfigurationError,
    Counts,
    ItemFailure,
    Moment,
)


def str_or_type(value):
    return value or "empty" if isinstance(value, str) else type(value).__name__


def batch(**fields):
    given = {
        "ref": BatchRef("gameball", "1"),
        "state": BatchState.SUCCEEDED,
        "vendor_status": "completed",
        "read_at": datetime(2025, 1, 27, 12, tzinfo=UTC),
        "raw": None,
        "payload": {"status": "completed"},
    }
    return Batch(**{**given, **fields})


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("gameball:1748392", ("gameball", "1748392", None)),
        (
            "believe/acme:550e8400-e29b-41d4-a716-446655440000",
            ("believe", "550e8400-e29b-41d4-a716-446655440000", "acme"),
        ),
        ("believe:batch_xyz789", ("believe", "batch_xyz789", None)),
        ("believe:a:b", ("believe", "a:b", None)),
        ("gameball/a_b-9:x/y", ("gameball", "x/y", "a_b-9")),
    ],
)
def test_a_ref_reads_as_it_is_written(text, parts):
    ref = BatchRef.parse(text)
    assert (ref.vendor, ref.id, ref.account) == parts
    assert str(ref) == text
    assert repr(ref) == f"BatchRef({text!r})"
    assert BatchRef.parse(ref) is ref


def test_a_text_is_parsed_once():
    assert BatchRef.parse("gameball:1748392") is BatchRef.parse("gameball:1748392")


def test_an_int_id_is_its_decimal_text():
    assert BatchRef("gameball", 1748392) == BatchRef.parse("gameball:1748392")


def test_equal_refs_are_one_key():
    assert len({BatchRef.parse("gameball:1"), BatchRef("gameball", 1), BatchRef("gameball", "1", None)}) == 1


@pytest.mark.parametrize(
    "bad",
    [
        *("", ".", "..", "../x", "a/../b", "a\\..\\b", " 1", "1 ", "1\n", "a\nb", "a\x00b", "a\u2028b", "\ud800"),
        *("x" * 257, 10**256, -(10**256), None, True, 1.5, b"1", ["1"]),
    ],
    ids=lambda value: f"{value!r:.20}",
)
def test_an_id_cannot_change_the_route(bad):
    """An id that could change the route is refused."""
    with pytest.raises(ConfigurationError, match="batch id"):
        BatchRef("gameball", bad)


@pytest.mark.parametrize("good", ["x" * 256, "%2e%2e", "a/b", "é", "batch xyz", "...", "a..b", "1.2"])
def test_an_id_that_is_safe_when_quoted_is_taken(good):
    assert BatchRef("gameball", good).id == good


@pytest.mark.parametrize(
    "bad", ["1748392", "", "gameball", None, 7, "Gameball:1", 10**5000, "game ball:1", ":1", "/acme:1"], ids=str_or_type
)
def test_a_wrong_ref_is_refused(bad):
    """Text that is no ref is refused with the right form."""
    with pytest.raises(ConfigurationError, match="vendor"):
        BatchRef.parse(bad)


@pytest.mark.parametrize("bad", ["", "Acme", "a b", "a:b", "é", "x" * 65, 7])
def test_an_account_name_is_lower_case_and_short(bad):
    with pytest.raises(ConfigurationError, match="account"):
        BatchRef("believe", "1", bad)


def test_an_empty_account_in_a_ref_is_refused():
    with pytest.raises(ConfigurationError, match="account"):
        BatchRef.parse("believe/:1")


def test_exactly_three_states_are_terminal():
    assert {state for state in BatchState if state.is_terminal} == {
        BatchState.SUCCEEDED,
        BatchState.FAILED,
        BatchState.CANCELLED,
    }


@pytest.mark.parametrize(
    ("state", "counts", "has_failures", "is_partial"),
    [
        (BatchState.SUCCEEDED, Counts(total=10, succeeded=8, failed=2), True, True),
        (BatchState.SUCCEEDED, Counts(total=10, succeeded=10, failed=0), False, False),
        (BatchState.FAILED, Counts(failed=3), True, False),
        (BatchState.FAILED, Counts(succeeded=0, failed=3), True, False),
        (BatchState.RUNNING, Counts(succeeded=8, failed=2), False, False),
        (BatchState.SUCCEEDED, Counts(), False, False),
    ],
)
def test_failures_count_after_the_end_only(state, counts, has_failures, is_partial):
    """Failures count only once the batch has ended."""
    read = batch(state=state, counts=counts)
    assert (read.has_failures, read.is_partial) == (has_failures, is_partial)


@pytest.mark.parametrize("state", BatchState)
def test_raise_for_state_raises_for_bad_ends(state):
    """Only failed and cancelled raise for state."""
    read = batch(state=state, vendor_status="w", failures=(ItemFailure(message="reverted"),))
    if state in {BatchState.FAILED, BatchState.CANCELLED}:
        with pytest.raises(BatchFailed, match=f"gameball:1 ended as {state.name} \\(w\\): reverted") as caught:
            read.raise_for_state()
        assert caught.value.batch is read
    else:
        assert read.raise_for_state() is read


def full():
    return batch(
        ref=BatchRef("believe", "7", "acme"),
        counts=Counts(total=3, processed=2, succeeded=1, failed=1),
        progress=2 / 3,
        failures=(ItemFailure(message="no", code="4004", index=2, id="c-2"),),
        results=({"bundleId": "b"},),
        created_at=datetime(2025, 1, 27, 11, tzinfo=UTC),
        asked_at=Moment("boot", 7.0),
        problems=("counts: behind",),
        is_settled=False,
    )


def test_to_dict_is_json():
    """A batch as a dict is json and leaves out raw, payload and what only this machine knows."""
    assert json.loads(json.dumps(full().to_dict())) == {
        "ref": "believe/acme:7",
        "vendor": "believe",
        "account": "acme",
        "id": "7",
        "state": "succeeded",
        "vendor_status": "completed",
        "is_terminal": True,
        "has_ended": False,
        "is_settled": False,
        "problems": ["counts: behind"],
        "counts": {"total": 3, "processed": 2, "succeeded": 1, "failed": 1},
        "progress": 2 / 3,
        "failures": [{"message": "no", "code": "4004", "index": 2, "id": "c-2", "phase": None}],
        "results": [{"bundleId": "b"}],
        "created_at": "2025-01-27T11:00:00+00:00",
        "updated_at": None,
        "read_at": "2025-01-27T12:00:00+00:00",
        "request_id": None,
        "attempts": 1,
        "elapsed": 0.0,
    }
    assert full().to_dict(results=False) == full().to_dict() | {"results": None}


def test_a_batch_comes_back_from_its_dict():
    """All that `to_dict` shows comes back; of another version's fields, what is new is left out."""
    shown = json.loads(json.dumps(full().to_dict()))
    assert Batch.from_dict(shown) == attrs.evolve(full(), raw=None, payload=None)
    assert Batch.from_dict(full().to_dict(results=False)).results == ()
    more = shown | {"later": 1, "counts": shown["counts"] | {"later": 1}}
    assert Batch.from_dict(more) == Batch.from_dict(shown)
    few = {name: shown[name] for name in ("ref", "state", "vendor_status", "read_at")}
    assert Batch.from_dict(few).to_dict() | few == Batch.from_dict(few).to_dict()


@pytest.mark.parametrize(
    "change",
    [{"state": "over"}, {"ref": "7"}, {"read_at": "noon"}, {"read_at": None}, {"counts": 7}, {"failures": [1]}],
    ids=str,
)
def test_what_is_no_batch_is_refused(change):
    with pytest.raises(ConfigurationError):
        Batch.from_dict(full().to_dict() | change)


@pytest.mark.parametrize(
    ("state", "is_settled", "has_ended"),
    [
        (BatchState.SUCCEEDED, True, True),
        (BatchState.SUCCEEDED, False, False),
        (BatchState.FAILED, True, True),
        (BatchState.RUNNING, True, False),
        (BatchState.UNKNOWN, True, False),
    ],
)
def test_a_batch_has_ended_once_it_is_settled(state, is_settled, has_ended):
    read = batch(state=state, is_settled=is_settled)
    assert (read.is_terminal, read.has_ended) == (state.is_terminal, has_ended)


def test_moments_of_two_boots_have_no_order():
    assert Moment("a", 1.0).is_before(Moment("a", 2.0))
    assert not Moment("a", 2.0).is_before(Moment("a", 2.0))
    assert not Moment("a", 2.0).is_before(Moment("a", 1.0))
    assert not Moment("a", 1.0).is_before(Moment("b", 2.0))


def test_batches_are_equal_whenever_they_were_asked_for():
    """When the request was sent is not part of what a batch is."""
    early, late = batch(asked_at=Moment("a", 1.0)), batch(asked_at=Moment("a", 2.0))
    assert early == late
    assert hash(early) == hash(late)
    assert "asked_at" not in repr(early)


def test_values_are_frozen_and_hashable():
    """Values cannot be changed and can be copied pickled and hashed."""
    read = batch()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        read.state = BatchState.FAILED
    assert pickle.loads(pickle.dumps(read)) == copy.deepcopy(read) == read
    assert hash(read) == hash(copy.copy(read))


def test_a_huge_status_word_is_cut():
    """A huge status word does not fill a message."""
    with pytest.raises(BatchFailed) as caught:
        batch(state=BatchState.FAILED, vendor_status="failed" + " " * 100_000).raise_for_state()
    assert len(str(caught.value)) < 200


def test_the_repr_of_a_batch_holds_no_body():
    assert "payload" not in repr(batch(payload={"secret": "body"}))
