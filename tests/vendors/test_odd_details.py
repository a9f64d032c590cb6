"""One odd detail costs that detail, never the state: what `client.get` makes of such an answer, with both clients."""

from __future__ import annotations

import json
import math

import pytest
from batchstatus import (
    APIError,
    BatchFailed,
    BatchNotFound,
    BatchState,
    Believe,
    Counts,
    Gameball,
    InvalidResponse,
    ItemFailure,
    RetryPolicy,
    TransportError,
)
from batchstatus.testing import FakeClock, FakeVendors, reading, refusal
from batchstatus.testing.simulator.gameball import GameballQuirk
from documented import BUNDLE, EXECUTED, FINALIZED, UUID
from raw_server import HANG_UP, response, serving

REFS = {"gameball": "gameball:7", "believe": f"believe:{UUID}"}
VENDORS = pytest.mark.parametrize("vendor", REFS)


@pytest.fixture
def get(reader):
    """Read a batch about which its vendor answers with these steps."""

    def get_answer(vendor, *steps):
        vendors = FakeVendors()
        ref = vendors.script(REFS[vendor], *steps)
        return reader(vendors=vendors).get(ref)

    return get_answer


def gameball(**fields):
    return {"batchId": "7", "status": "completed"} | fields


def executed(**fields):
    return EXECUTED | {"executeResult": EXECUTED["executeResult"] | fields}


# Details.


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_not_a_number_costs_its_field(get, number):
    batch = get("gameball", b'{"batchId": "7", "status": "processing", "progress": %s}' % number.encode())
    assert (batch.state, batch.progress) == (BatchState.RUNNING, None)
    (problem,) = batch.problems
    assert problem.startswith("progress: ")
    assert not math.isfinite(batch.payload["progress"])
    assert not batch.raw.progress
    assert json.dumps(batch.to_dict(), allow_nan=False)


def test_a_nan_among_the_results_costs_that_item(get):
    batch = get("gameball", b'{"batchId": "7", "status": "completed", "results": [1, NaN, {"a": NaN, "b": 2}]}')
    assert (batch.results, len(batch.payload["results"])) == ((1, {"b": 2}), 3)
    assert [problem.partition(":")[0] for problem in batch.problems] == ["results", "a"]


def test_an_item_of_another_shape_costs_that_item(get):
    body = executed(successfulExecutions=[BUNDLE, "0xabc", BUNDLE])
    batch = get("believe", body)
    assert (batch.state, batch.results) == (BatchState.SUCCEEDED, (BUNDLE, BUNDLE))
    assert batch.counts == Counts(total=8, processed=8, succeeded=8, failed=0)
    assert batch.problems == ("successfulExecutions: 1 of 3 are of another shape",)
    assert batch.payload == body
    assert len(batch.raw.execute_result.successful_executions) == 2


def test_only_items_of_another_shape_leave_the_counts(get):
    batch = get("believe", executed(successfulExecutions=["0xabc"]))
    assert (batch.state, batch.counts.succeeded, batch.results) == (BatchState.SUCCEEDED, 8, ())
    assert batch.payload["executeResult"]["successfulExecutions"] == ["0xabc"]


def test_a_result_of_another_shape_costs_that_result(get):
    body = EXECUTED | {"initResult": "pending"}
    batch = get("believe", body)
    assert (batch.state, batch.results) == (BatchState.SUCCEEDED, (BUNDLE,))
    assert batch.counts == Counts(total=8, processed=8, succeeded=8, failed=0)
    assert batch.problems == ("initResult: pending is of another shape",)
    assert batch.payload == body
    assert (batch.raw.init_result or None, batch.raw.execute_result.total) == (None, 8)
    assert batch.raw.token_id == FINALIZED["tokenId"]


def test_counts_of_another_kind_are_named(get):
    batch = get("gameball", gameball(totalItems="many", processedItems=-1, failedItems=0))
    assert batch.counts == Counts(total=None, processed=None, succeeded=None, failed=0)
    assert batch.problems == ("totalItems: many is not a count", "processedItems: -1 is not a count")
    batch = get("believe", executed(totalFailed=[]))
    assert batch.counts == Counts(total=8, processed=None, succeeded=8, failed=None)
    assert batch.problems == ("totalFailed: [] is not a count",)


def test_times_of_another_kind_are_named(get):
    batch = get("believe", EXECUTED | {"dateUpdated": "yesterday"})
    assert (batch.updated_at, batch.created_at.year) == (None, 2025)
    assert batch.problems == ("dateUpdated: yesterday is not a time with an offset",)


def test_a_sound_body_has_no_problems(get):
    for vendor, word in (("gameball", "completed"), ("believe", "EXECUTED")):
        batch = get(vendor, word)
        assert (batch.problems, batch.is_settled, batch.has_ended) == ((), True, True)


def test_problems_are_few_and_short(get):
    batch = get("gameball", b'{"status": "completed", "results": [%s 0]}' % (b"NaN, " * 1000))
    assert batch.problems == ("results: nan is not a number",) * 20
    batch = get("believe", EXECUTED | {"initResult": "\n" * 10**6})
    assert all(len(problem) <= 200 and problem.isprintable() for problem in batch.problems)


# Reasons.


@pytest.mark.parametrize(
    ("errors", "failure"),
    [
        pytest.param({"0": {"message": "quota"}}, ItemFailure(message="quota", index=0), id="by index"),
        pytest.param({"c-1": {"message": "quota"}}, ItemFailure(message="quota", id="c-1"), id="by id"),
        pytest.param({"0": "quota"}, ItemFailure(message="quota", index=0), id="texts by index"),
        pytest.param({"message": "quota", "code": 7}, ItemFailure(message="quota", code="7"), id="one object"),
        pytest.param("quota", ItemFailure(message="quota"), id="a text"),
    ],
)
@pytest.mark.parametrize("shape", ["spec", "tutorials"])
def test_a_reason_is_told_in_any_shape(get, errors, failure, shape):
    """Errors that are no list still say why the batch failed."""
    fields = {"errors": errors} if shape == "spec" else {"totalCount": 1, "response": {"failed": errors}}
    batch = get("gameball", gameball(status="failed", **fields))
    assert (batch.failures, batch.problems) == ((failure,), ())
    with pytest.raises(BatchFailed, match=r"gameball:7 ended as FAILED \(failed\): quota"):
        batch.raise_for_state()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"errors": 7}, "errors: 7 is not a list"),
        ({"results": {"a": 1}}, 'results: {"a": 1} is not a list'),
        ({"totalCount": 1, "response": {"failed": True}}, "failed: true is not a list"),
        ({"totalCount": 1, "response": {"successful": "x"}}, "successful: x is not a list"),
        ({"totalCount": 1, "response": "x"}, "response: not an object"),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)
def test_what_is_not_a_list_is_named_as_in_the_body(get, fields, problem):
    batch = get("gameball", gameball(**fields))
    assert (batch.state, batch.failures, batch.results) == (BatchState.SUCCEEDED, (), ())
    assert batch.problems == (problem,)


# Text.


@VENDORS
def test_raw_line_ends_in_a_text_are_read(get, vendor):
    word = {"gameball": "completed", "believe": "EXECUTED"}[vendor]
    batch = get(vendor, b'{"status": "%s", "note": "one\r\ntwo\tthree\x00"}' % word.encode())
    assert (batch.state, batch.payload["note"]) == (BatchState.SUCCEEDED, "one\r\ntwo\tthree\x00")


def test_a_message_with_a_line_end_is_escaped(get):
    batch = get("gameball", b'{"batchId": "7", "status": "failed", "errors": ["over\nquota"]}')
    assert batch.failures == (ItemFailure(message="over\\nquota"),)


LATIN_1 = '{"id": "1", "status": "FAILED", "executeResult": {"failedTxMsg": "épuisé"}}'.encode("latin-1")


@pytest.mark.parametrize(
    ("content_type", "message", "problems"),
    [
        pytest.param("application/json; charset=iso-8859-1", "épuisé", (), id="declared"),
        pytest.param("application/json", "\ufffdpuis\ufffd", ("the body is not Unicode text",), id="not declared"),
    ],
)
def test_a_declared_charset_is_heard(reader, content_type, message, problems):
    with serving(lambda _: [response(LATIN_1, content_type=content_type)]) as server:
        batch = reader(Believe("test-key", base_url=server.url)).get("believe:1")
    assert (batch.state, batch.failures[0].message, batch.problems) == (BatchState.FAILED, message, problems)


def test_a_number_of_thousands_of_digits_is_text(get):
    batch = get("gameball", b'{"batchId": "7", "status": "completed", "totalItems": %s}' % (b"9" * 5000))
    assert (batch.state, batch.counts.total, batch.payload["totalItems"]) == (BatchState.SUCCEEDED, None, "9" * 5000)
    assert batch.problems[0].startswith("totalItems: 999")


# Which batch it is.


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        pytest.param(b'{"batchId": 7, "status": "completed"}', (), id="a number"),
        pytest.param(b'{"batchId": 7.0, "status": "completed"}', (), id="a decimal number"),
        pytest.param(b'{"status": "completed"}', (), id="missing"),
        pytest.param(b'{"batchId": null, "status": "completed"}', (), id="null"),
        pytest.param(b'{"batchId": "", "status": "completed"}', (), id="empty"),
        pytest.param(b'{"batchId": NaN, "status": "completed"}', ("batchId: nan is not a number",), id="NaN"),
    ],
)
def test_gameballs_id_may_be_a_number_or_missing(get, body, problems):
    batch = get("gameball", body)
    assert (str(batch.ref), batch.state, batch.problems) == ("gameball:7", BatchState.SUCCEEDED, problems)


@pytest.mark.parametrize("id_", [UUID.upper(), UUID.title()])
def test_believes_id_may_be_of_another_case(get, id_):
    batch = get("believe", EXECUTED | {"id": id_})
    assert (batch.ref.id, batch.state, batch.problems) == (UUID, BatchState.SUCCEEDED, ())


@pytest.mark.parametrize("ids", [{}, {"id": None}, {"id": ""}], ids=["missing", "null", "empty"])
def test_a_missing_id_at_believe_is_a_problem(get, ids):
    body = {name: value for name, value in EXECUTED.items() if name != "id"} | ids
    batch = get("believe", body)
    assert (batch.ref.id, batch.state, batch.counts.total) == (UUID, BatchState.SUCCEEDED, 8)
    assert batch.problems == ("id: the vendor sends none",)
    assert batch.payload == body


@pytest.mark.parametrize(
    ("vendor", "body", "says"),
    [
        ("gameball", {"batchId": "8", "status": "completed"}, "about another batch: 8"),
        ("gameball", {"batchId": 70, "status": "completed"}, "about another batch: 70"),
        ("gameball", {"batchId": True, "status": "completed"}, "about another batch: true"),
        ("believe", EXECUTED | {"id": "550e8400"}, "about another batch: 550e8400"),
        ("believe", EXECUTED | {"id": [UUID]}, "about another batch"),
        ("believe", {"id": UUID, "executeResult": "x"}, "has no 'status'"),
        ("gameball", {"batchId": "7", "status": 7}, "no status word"),
        ("gameball", b'["completed"]', "a JSON list, not an object"),
        ("believe", b'"EXECUTED"', "a JSON str, not an object"),
        ("gameball", b"<html>completed</html>", "not JSON"),
    ],
)
def test_what_is_not_about_this_batch_is_no_reading(get, vendor, body, says):
    """Another id, no status, or something else than an object says nothing of the batch; a page may stay for ever."""
    with pytest.raises(InvalidResponse, match=says) as caught:
        get(vendor, body)
    assert (caught.value.is_lasting, caught.value.attempts) == (says == "not JSON", 1)


# Counts that contradict the state.


@pytest.mark.parametrize(
    ("vendor", "body"),
    [
        ("gameball", gameball(totalItems=200, processedItems=150, failedItems=0)),
        ("gameball", gameball(totalItems=200, processedItems=150, failedItems=50)),
        ("gameball", gameball(totalCount=200, finishedCount=150, errorCount=0)),
        ("believe", executed(total=200, totalSuccessful=150, totalFailed=0)),
    ],
    ids=["gameball", "gameball-with-failures", "gameball-tutorials", "believe"],
)
def test_an_end_with_items_left_is_not_settled(get, vendor, body):
    batch = get(vendor, body)
    assert (batch.state, batch.is_terminal) == (BatchState.SUCCEEDED, True)
    assert (batch.is_settled, batch.has_ended) == (False, False)
    assert batch.problems == ("counts: it has succeeded with 150 of 200 items processed",)
    assert batch.attempts == 1


def test_a_failed_transaction_may_leave_items(get):
    """Believe's pipeline may stop early, so that its counts do not contradict the state."""
    for told in ({"failedOnTransactionIndex": 150}, {"failedTxMsg": "Blockhash expired"}):
        batch = get("believe", executed(total=200, totalSuccessful=150, totalFailed=0, **told))
        assert (batch.state, batch.counts.processed, batch.has_ended) == (BatchState.SUCCEEDED, 150, True)
        assert batch.problems == ()


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param({"totalItems": 200, "processedItems": 200, "failedItems": 50}, id="all processed"),
        pytest.param({"totalItems": 200, "processedItems": 250}, id="more than all"),
        pytest.param({"totalItems": 200}, id="processed unknown"),
        pytest.param({"processedItems": 150}, id="total unknown"),
        pytest.param({"totalItems": 0, "processedItems": 0}, id="nothing to do"),
    ],
)
def test_counts_that_may_be_right_settle(get, counts):
    batch = get("gameball", gameball(**counts))
    assert (batch.has_ended, batch.problems) == (True, ())


@pytest.mark.parametrize("word", ["processing", "failed", "cancelled", "paused"])
def test_only_a_success_can_be_contradicted(get, word):
    batch = get("gameball", gameball(status=word, totalItems=200, processedItems=150))
    assert (batch.is_settled, batch.problems) == (True, ())


def test_the_contradiction_is_told_before_other_problems(get):
    batch = get("gameball", gameball(totalItems=9, processedItems=1, results=[math.nan] * 1000))
    assert not batch.is_settled
    assert batch.problems[0].startswith("counts: it has succeeded with 1 of 9")


# When it was asked.


class SlowClock(FakeClock):
    """A clock of which each look takes a second."""

    def moment(self):
        self.sleep(1.0)
        return super().moment()


def test_a_batch_tells_when_it_was_asked_for(reader):
    """The time is that of the request which brought the answer, not of the answer and not of an earlier attempt."""
    clock = SlowClock()
    vendors = FakeVendors(clock)
    ref = vendors.script("gameball:7", 503, reading("completed", seconds=5.0))
    client = reader(vendors=vendors)
    before = clock.moment()
    batch = client.get(ref)
    after = clock.moment()
    assert before.is_before(batch.asked_at)
    assert batch.asked_at.is_before(after)
    assert batch.asked_at.seconds <= vendors.reads[1][0]
    assert batch.asked_at.seconds > vendors.reads[0][0]
    assert after.seconds - batch.asked_at.seconds >= 5.0


def test_moments_are_those_of_one_machine(reader, simulator):
    """On a real clock, a batch that is asked for later has the later moment."""
    client, ref = reader(*simulator.accounts()), simulator.add("gameball", status="completed")
    first, last = client.get(ref).asked_at, client.get(ref).asked_at
    assert first.is_before(last)
    assert not last.is_before(first)


# Refusals.


@VENDORS
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_an_own_refusal_is_raised_at_once(get, vendor, status):
    with pytest.raises(APIError) as caught:
        get(vendor, refusal(status))
    assert (caught.value.status_code, caught.value.attempts, caught.value.is_retryable) == (status, 1, False)
    assert caught.value.code is not None


NOT_OWN = {"a message": {"message": "Not Found"}, "nothing": b"", "a page": b"<html>", "a list": b'[{"code": 4004}]'}


@VENDORS
@pytest.mark.parametrize("payload", NOT_OWN.values(), ids=NOT_OWN)
def test_a_refusal_without_a_code_is_retried(get, vendor, payload):
    """It may come from anything in between: it is tried again like a 5xx, and raised as what its status says."""
    with pytest.raises(BatchNotFound, match="without the vendor's error body") as caught:
        get(vendor, refusal(404, payload=payload))
    assert (caught.value.code, caught.value.attempts, caught.value.is_retryable) == (None, 4, True)
    assert get(vendor, refusal(404, payload=payload), refusal(401, payload=payload), "FAILED").attempts == 3


def test_of_two_codes_the_one_that_is_known_counts():
    """A vendor that renames the field may send both for a while, and one of them as the spec wrongly declares it."""
    account, known = Gameball("test-key", "test-secret"), next(iter(Gameball.ERRORS))
    first, other = Gameball.ERROR_FIELDS["code"]
    assert account.error_fields({first: 401, other: known}).code == known
    assert account.error_fields({first: known, other: 401}).code == known
    assert account.error_fields({first: 401, other: 402}).code == "401"


@VENDORS
@pytest.mark.parametrize("end", [17, 40, -1], ids=["after its status line", "in its headers", "in its body"])
def test_a_404_that_is_cut_off_proves_nothing(reader, simulator, vendor, end):
    raw = response(b'{"code": 4004, "error": "ERR_BATCH_NOT_FOUND"}', "404 Not Found")
    account = {each.vendor: each for each in simulator.accounts()}[vendor]
    with serving(lambda _: [raw[:end], HANG_UP]) as server:
        made = type(account)(*["test-key"] * len(account.KEY_HEADERS), base_url=server.url)
        with pytest.raises(TransportError, match="the connection broke before the response was complete") as caught:
            reader(made, retry=RetryPolicy(attempts=1)).get(REFS[vendor])
    assert caught.value.is_retryable


def test_a_body_above_the_cap_names_the_setting(reader, simulator):
    ref = simulator.add("gameball", status="completed", quirks=[GameballQuirk.LONG_RESULTS])
    with pytest.raises(InvalidResponse, match="max_body") as caught:
        reader(*simulator.accounts(), retry=RetryPolicy(max_body=1000)).get(ref)
    assert (caught.value.is_too_large, caught.value.is_lasting, caught.value.attempts) == (True, False, 1)
