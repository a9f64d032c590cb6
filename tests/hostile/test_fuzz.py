"""Bodies that nobody has thought of: from the vendors' specs, from documented bodies gone wrong, from any bytes."""

from __future__ import annotations

import copy
import gzip
import json
import math
import pickle
import re
import tracemalloc
from datetime import UTC, datetime
from encodings.aliases import aliases
from itertools import pairwise
from pathlib import Path

import attrs
import pytest
import schemathesis
import yaml
from batchstatus import (
    APIError,
    Batch,
    BatchFailed,
    BatchRef,
    BatchState,
    Believe,
    ConfigurationError,
    Counts,
    Gameball,
    InvalidResponse,
    RateLimited,
    ReadError,
    ServerError,
)
from batchstatus._core.read.messages import Response, StepResult
from batchstatus._core.read.response import parse_response
from batchstatus._http.body import ERROR_PAGE, BadContent, Content
from documented import BODIES, ERROR, UUID
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from properties import examples
from schemathesis import GenerationMode

NOW = datetime(2025, 1, 27, 12, tzinfo=UTC)
ACCOUNTS = {
    "gameball": Gameball("test-planted-key-123456", "test-planted-secret-654321"),
    "believe": Believe("test-planted-key-123456"),
}
IDS = {"gameball": "7", "believe": UUID}
NO_JSON = object()
pytestmark = [
    pytest.mark.hypothesis,  # most of its properties are within tests
    pytest.mark.timeout(240),  # an example that fails is shrunk first, which takes its time
]


def fuzz(number):
    """Bodies are large, and some of them are dropped."""
    return examples(number, HealthCheck.data_too_large, HealthCheck.filter_too_much)


# What a body says, by the vendors' documents and README.md's tables.

CODE = Believe.ERROR_FIELDS["code"][0]


def parsed(raw):
    """Return the JSON value, or NO_JSON; odd bytes and control characters in a text cost that text only."""
    encoding = json.detect_encoding(raw)
    try:
        text = raw.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        text = raw.decode(encoding, "replace")
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return NO_JSON


def is_nothing(value):
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def compact(value):
    """Return the value without nulls, which both vendors send for absent, and without NaN and infinities."""
    if isinstance(value, dict):
        return {name: compact(item) for name, item in value.items() if not is_nothing(item)}
    return [compact(item) for item in value if not is_nothing(item)] if isinstance(value, list) else value


def whole(value):
    if isinstance(value, str) and re.fullmatch("[0-9]{1,19}", value):
        value = int(value)
    is_whole = type(value) is int or (type(value) is float and value.is_integer())
    return int(value) if is_whole and 0 <= value < 2**63 else None


def moment(value):
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


def items(value):
    return value if isinstance(value, list) else []


def failures(value):
    """Return the failed items of a list, of an object by index or id, of one of them alone, of a text."""
    if isinstance(value, dict):
        return [value] if {"message", "error", "code"} & {*value} else [*value.values()]
    return [value] if isinstance(value, str) and value else items(value)


def added(one, other):
    return None if one is None or other is None else one + other


def fields(value):
    return value if isinstance(value, dict) else {}


class Gameballs:
    """What a Gameball body says."""

    def __init__(self, body):
        old = {"totalCount", "finishedCount", "errorCount", "response"}
        new = {"totalItems", "processedItems", "failedItems", "results", "errors"}
        self.state = WORDS["gameball"].get(fold(body["status"]), BatchState.UNKNOWN)
        if new.isdisjoint(body) and not old.isdisjoint(body):
            total, good, bad = (whole(body.get(name)) for name in ("totalCount", "finishedCount", "errorCount"))
            total = None if total == 0 and self.state is BatchState.PENDING else total
            self.counts = Counts(total=total, processed=added(good, bad), succeeded=good, failed=bad)
            lists = fields(body.get("response"))
            self.failed, self.results = failures(lists.get("failed")), items(lists.get("successful"))
        else:
            total, done, bad = (whole(body.get(name)) for name in ("totalItems", "processedItems", "failedItems"))
            good = None if done is None or bad is None or bad > done else done - bad
            self.counts = Counts(total=total, processed=done, succeeded=good, failed=bad)
            self.failed, self.results = failures(body.get("errors")), items(body.get("results"))
        own = body.get("progress")
        is_percentage = type(own) in (int, float) and 1 < own <= 100
        self.fraction = own / 100 if is_percentage else 0.0 if own == 0 and own is not False else None
        self.created, self.updated = moment(body.get("createdAt")), None


class Believes:
    """What a Believe body says."""

    def __init__(self, body):
        self.state = WORDS["believe"].get(fold(body["status"]), BatchState.UNKNOWN)
        setup, done = fields(body.get("initResult")), fields(body.get("executeResult"))
        good, bad = whole(done.get("totalSuccessful")), whole(done.get("totalFailed"))
        self.counts = Counts(total=whole(done.get("total")), processed=added(good, bad), succeeded=good, failed=bad)
        is_stopped = done.get("failedTxMsg") or whole(done.get("failedOnTransactionIndex")) is not None
        self.failed = [setup["failedTxMsg"]] if setup.get("failedTxMsg") else []
        self.failed += [done.get("failedTxMsg") or "the vendor gives no message"] if is_stopped else []
        self.results = [each for each in items(done.get("successfulExecutions")) if isinstance(each, dict)]
        self.fraction = None
        self.created, self.updated = moment(body.get("dateCreated")), moment(body.get("dateUpdated"))


SAYS = {"gameball": Gameballs, "believe": Believes}


def fold(word):
    return word.strip().casefold()


WORDS = {vendor.vendor: {fold(word): state for word, state in vendor.WORDS.items()} for vendor in (Gameball, Believe)}
"""The tables of the facade; that they are the vendors' is what tests/vendors/test_documented_bodies.py sees."""


def is_same(own, asked):
    if type(own) in (int, float):
        return own == int(own) and str(int(own)) == asked
    if isinstance(own, str) and asked == UUID:
        return own.casefold() == asked
    return own == asked


def is_batch(vendor, body, asked):
    """Return whether a body must be taken for the batch asked for: it has a status, and no id of another."""
    if not isinstance(body, dict):
        return False
    body = compact(body)
    status, own = body.get("status"), body.get("batchId" if vendor == "gameball" else "id")
    return isinstance(status, str) and bool(status.strip()) and (own in (None, "") or is_same(own, asked))


# What has to hold of whatever comes out.


def asked_for(vendor, raw):
    """Return the ref of the body's own id where one can ask for it, else of a documented id."""
    own = fields(parsed(raw)).get("batchId" if vendor == "gameball" else "id")
    try:
        return BatchRef(vendor, own)
    except ConfigurationError:
        return BatchRef(vendor, IDS[vendor])


def meaning(ref, status, raw, headers=None):
    account = ACCOUNTS[ref.vendor]
    answer = Response(status=status, headers=headers or {}, body=raw)
    try:
        return parse_response(account, ref, account.request(ref.id), StepResult(answer, 0.0, NOW))
    except ReadError as error:
        return error


def made_of(vendor, body, status=200):
    return meaning(
        BatchRef(vendor, IDS[vendor]), status, body if isinstance(body, bytes) else json.dumps(body).encode()
    )


def check_answer(ref, raw):
    """Hold what is made of a 200 against what its body says."""
    body, told = parsed(raw), meaning(ref, 200, raw)
    if is_batch(ref.vendor, body, ref.id):
        assert isinstance(told, Batch), told
        check_batch(told, body)
        check_facts(told, compact(body))
    else:
        assert type(told) is InvalidResponse
        check_error(told, 200)
    return told


def check_facts(batch, body):
    says = SAYS[batch.ref.vendor](body)
    assert (batch.state, batch.vendor_status) == (says.state, body["status"])
    assert batch.counts == says.counts
    total, done = says.counts.total, says.counts.processed
    share = says.fraction if total is None or done is None else min(done / total, 1.0) if total else None
    assert batch.progress == share
    assert (batch.created_at, batch.updated_at) == (says.created, says.updated)
    assert repr(batch.results) == repr(tuple(says.results)) or batch.results == tuple(says.results)
    for failure, own in zip(batch.failures, says.failed, strict=True):
        if isinstance(own, str) and own and len(own) <= 500 and own.isprintable():
            assert failure.message == own


def check_batch(batch, body):
    assert repr(batch.payload) == repr(body)
    for value in (batch.counts.total, batch.counts.processed, batch.counts.succeeded, batch.counts.failed):
        assert value is None or (type(value) is int and value >= 0)
    assert batch.progress is None or (type(batch.progress) is float and 0.0 <= batch.progress <= 1.0)
    assert type(batch.failures) is type(batch.results) is tuple
    for failure in batch.failures:
        assert 0 < len(failure.message) <= 500
        assert failure.message.isprintable()
        assert {type(failure.code), type(failure.id), type(failure.phase)} <= {str, type(None)}
        assert failure.index is None or (type(failure.index) is int and failure.index >= 0)
    for time in (batch.created_at, batch.updated_at, batch.read_at):
        assert time is None or time.tzinfo is UTC
    assert type(batch.raw).__name__ == "BatchStatusResponse"
    assert len(batch.problems) <= 20
    assert all(problem.isprintable() and 0 < len(problem) <= 200 for problem in batch.problems)
    assert batch.is_settled is not any(problem.startswith("counts: it has succeeded") for problem in batch.problems)
    assert batch.is_settled or (batch.state is BatchState.SUCCEEDED and batch.counts.processed < batch.counts.total)
    assert json.loads(json.dumps(batch.to_dict(), allow_nan=False))["vendor_status"] == batch.vendor_status
    assert repr(batch) == str(batch)
    for twin in (pickle.loads(pickle.dumps(batch)), copy.copy(batch), copy.deepcopy(batch)):
        assert attrs.evolve(twin, payload=batch.payload) == batch  # NaN is not equal to itself
        assert hash(twin) == hash(batch)
        assert repr(twin.payload) == repr(batch.payload)
    if batch.state in {BatchState.FAILED, BatchState.CANCELLED}:
        with pytest.raises(BatchFailed):
            batch.raise_for_state()
    else:
        assert batch.raise_for_state() is batch


def check_error(error, status):
    text = str(error)
    assert text.isprintable()
    assert len(text) < 2000
    assert (error.status_code, error.attempts) == (status, 1)
    shown = [error.request_id, *((error.code, error.message) if isinstance(error, APIError) else ())]
    assert all(value is None or (type(value) is str and 0 < len(value) <= 500) for value in shown)
    if isinstance(error, APIError):
        seconds = error.retry_after
        assert seconds is None or (type(seconds) is float and math.isfinite(seconds) and seconds >= 0)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(twin), str(twin), vars(twin)) == (type(error), text, vars(error))


# Bodies that the specs allow, and bodies that they do not.

DOCUMENTED = {
    "gameball": ["pending", "processing", "completed", "failed"],
    "gameball-tutorials": ["queued", "running", "completed", "failed", "stopped"],
    "believe": ["AVAILABLE_TO_QUEUE", "FINALIZED", "EXECUTED", "FAILED"],
}
SHAPES = list(DOCUMENTED)
SPECS = Path(__file__).parent.parent.parent / "specs"
ITEMS = {"type": ["array", "null"], "items": {"type": ["object", "string", "null"]}}
TUTORIALS = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "operation": {"type": "string"},
        "status": {"enum": DOCUMENTED["gameball-tutorials"]},
        **{name: {"type": ["integer", "null"]} for name in ("totalCount", "finishedCount", "errorCount")},
        **{name: {"type": ["string", "null"], "format": "date-time"} for name in ("startedAt", "createdAt")},
        "response": {"type": ["object", "null"], "properties": {"successful": ITEMS, "failed": ITEMS}},
    },
}
"""The tutorials' shape, which no spec of the vendor's has."""


def schema(document, status):
    (path,) = document["paths"].values()
    return path["get"]["responses"][status]["content"]["application/json"]["schema"]


def drawn(shape, mode, status="200"):
    """Return a strategy for bodies that a schema allows, or for such that violate it."""
    document = yaml.safe_load((SPECS / f"{shape.partition('-')[0]}.yaml").read_text(encoding="utf-8"))
    wanted = TUTORIALS if shape == "gameball-tutorials" else schema(document, status)
    content = {"application/json": {"schema": wanted}}
    operation = {"requestBody": {"required": True, "content": content}, "responses": {"200": {"description": ""}}}
    synthetic = {
        "openapi": "3.1.0",
        "info": {"title": shape, "version": "1"},
        "paths": {"/": {"post": operation}},
        "components": {"schemas": document["components"].get("schemas", {})},
    }
    cases = schemathesis.openapi.from_dict(synthetic)["/"]["POST"].as_strategy(generation_mode=mode)
    return cases.map(lambda case: case.body)


SPELLINGS = [
    lambda body: json.dumps(body).encode(),
    lambda body: json.dumps(body, ensure_ascii=False, indent=1).encode("utf-8", "replace"),
    lambda body: json.dumps(body, ensure_ascii=False).encode("utf-16", "replace"),
    lambda body: b"\xef\xbb\xbf " + json.dumps(body, separators=(",", ":")).encode() + b"\r\n",
]


def with_a_name_twice(body):
    """Return the body with values before the ones that count: of two with one name, the last one does."""
    text = json.dumps(body)
    return (text.replace("{", '{"status": [7], "total": "x", "id": {}, ', 1) if len(text) > 2 else text).encode()


def spelled(body, spell):
    return body if isinstance(body, bytes) else spell(body)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_valid_body_is_a_batch(shape):
    """A body that the spec allows is a batch unless it has no status."""
    vendor, told = shape.partition("-")[0], []
    sure = {"id" if vendor == "believe" else "batchId": st.sampled_from(["7", "batch_xyz789", UUID])}
    sure["status"] = st.sampled_from(DOCUMENTED[shape])

    @given(drawn(shape, GenerationMode.POSITIVE), st.fixed_dictionaries({}, optional=sure), st.sampled_from(SPELLINGS))
    @fuzz(70)
    def check(body, sure, spell):
        body |= sure
        raw = spell(body)
        ref = asked_for(vendor, raw)
        told.append(check_answer(ref, raw))
        if "batchId" in sure or "id" in sure:
            assert isinstance(told[-1], Batch) is ("status" in body)
            assert isinstance(check_answer(BatchRef(vendor, "another"), raw), InvalidResponse)

    check()
    assert sum(isinstance(each, Batch) for each in told) > 10


@pytest.mark.parametrize("shape", SHAPES)
def test_an_invalid_body_is_refused_or_read(shape):
    """A body that violates the spec is refused or read for what it says."""
    vendor, told = shape.partition("-")[0], []

    @given(drawn(shape, GenerationMode.NEGATIVE), st.sampled_from(SPELLINGS))
    @fuzz(70)
    def check(body, spell):
        raw = spelled(body, spell)
        told.append(check_answer(asked_for(vendor, raw), raw))

    check()
    assert sum(isinstance(each, Batch) for each in told) > 1
    assert sum(isinstance(each, InvalidResponse) for each in told) > 1


# Documented bodies, gone wrong.

TEXTS = st.text() | st.text(st.characters(), max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ODD = [
    0, -1, 7, 7.0, 7.5, -0.0, 1e300, 2**63 - 1, 2**63, 10**400, True, False, None, "", " ", "7", "007", "-7", "7.0",
    0.45, 1, 1.0, 100, 100.5, "50%", "\u0667", "9" * 19, "9" * 20, [], {}, [[]], [None], {"": None}, "x" * 600,
    "\ud800", "\x00", float("nan"), float("-inf"), "2025-01-27T12:00:00", "2025-01-27", "0001-01-01T00:00:00+14:00",
    "2025-01-27T12:00:00.123456789+02:00", "9999-12-31T23:59:59-14:00", "20250127T120000Z", "2025-W05-1T12:00Z",
    "2025-01-27T24:00:00Z", "2025-01-27T12:00:60Z", *(word.swapcase() for words in WORDS.values() for word in words),
    " FAILED\t", "inProgress", "paused", "another", UUID, UUID.upper(), {"message": {}, "code": 4004, "index": "7"},
    {"total": 8, "totalSuccessful": 9, "totalFailed": "1"}, {"failedTxMsg": ["no"]}, {"failed": [None, {"error": 7}]},
]  # fmt: skip
VALUES = st.sampled_from(ODD) | JSON
NAMES = st.sampled_from([
    "status", "id", "batchId", "progress", "totalItems", "processedItems", "failedItems", "results", "errors",
    "response", "totalCount", "finishedCount", "errorCount", "createdAt", "failed", "successful", "message", "error",
    "code", "total", "totalSuccessful", "totalFailed", "successfulExecutions", "failedTxMsg",
    "failedOnTransactionIndex", "initResult", "executeResult", "dateCreated", "dateUpdated", "txHashes", "",
])  # fmt: skip


def places(holder):
    """Yield what holds each value, and its place there."""
    for name in [*holder] if isinstance(holder, dict) else range(len(holder)):
        yield holder, name
        if isinstance(holder[name], dict | list):
            yield from places(holder[name])


@st.composite
def gone_wrong(draw, documented):
    """A documented body with one to four values replaced, dropped, doubled, or put where another stood."""
    world = [copy.deepcopy(draw(st.sampled_from(documented)))]
    for _ in range(draw(st.integers(1, 4))):
        found = [*places(world)]
        holder, name = found[draw(st.integers(0, len(found) - 1))]
        how = draw(st.sampled_from(["replace", "replace", "drop", "double", "move"]))
        if how == "drop" and holder is not world:
            del holder[name]
        elif how == "double" and isinstance(holder, list):
            holder.insert(name, copy.deepcopy(holder[name]))
        elif how == "double":
            holder[draw(NAMES)] = copy.deepcopy(holder[name])
        elif how == "move":
            other, place = found[draw(st.integers(0, len(found) - 1))]
            other[place] = copy.deepcopy(holder[name])
        else:
            holder[name] = copy.deepcopy(draw(VALUES))
    return world[0]


def documented(shape):
    vendor, is_tutorial = shape.partition("-")[0], shape == "gameball-tutorials"
    named = {"id": UUID} if vendor == "believe" else {} if is_tutorial else {"batchId": "7"}
    wanted = [name for name in BODIES if name.startswith(vendor) and ("tutorials" in name) is is_tutorial]
    return [BODIES[name][0] | named for name in wanted]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_damaged_body_is_refused_or_read(shape):
    """A documented body gone wrong is refused or read for what it says."""
    vendor, told = shape.partition("-")[0], []

    @given(gone_wrong(documented(shape)), st.sampled_from([*SPELLINGS, with_a_name_twice]))
    @fuzz(150)
    def check(body, spell):
        told.append(check_answer(BatchRef(vendor, IDS[vendor]), spell(body)))

    check()
    assert sum(isinstance(each, Batch) for each in told) > 30
    assert sum(isinstance(each, InvalidResponse) for each in told) > 1


@pytest.mark.parametrize("shape", SHAPES)
def test_any_value_may_be_any_other(shape):
    """Any value of a documented body may be any other."""
    vendor = shape.partition("-")[0]
    fullest = max(documented(shape), key=lambda body: len(json.dumps(body)))
    world = [fullest | {"progress": 45} if shape == "gameball" else fullest]
    for holder, name in [*places(world)]:
        own = holder[name]
        for odd in ODD:
            holder[name] = odd
            check_answer(BatchRef(vendor, IDS[vendor]), json.dumps(world[0]).encode())
        holder[name] = own


@pytest.mark.parametrize("status", [200, 404])
def test_nested_escapes_are_handled(status):
    """A backslash may spell a key, so all values of such a body are looked at."""
    for depth in (100, 300, 400, 450, 500, 600, 700, 800, 900, 1_100, 3_000, 100_000):
        nested = b'{"id": "%s", "status": "FAILED", "more": ["\\n", %s]}' % (UUID.encode(), b"[" * depth + b"]" * depth)
        assert isinstance(made_of("believe", nested, status), Batch | ReadError)


@pytest.mark.parametrize("depth", [100, 200, 300, 400])
def test_a_nested_batch_can_be_pickled(depth):
    """A batch with nested values can be pickled and copied."""
    nested = b'{"status": "failed", "errors": [%s]}' % (b"[" * depth + b"]" * depth)
    check_batch(made_of("gameball", nested), parsed(nested))


@pytest.mark.parametrize(
    "execution",
    [
        [["total", 8], ["totalFailed", 1]],
        {"successfulExecutions": [[["bundleId", "x"]]]},
        {"successfulExecutions": ["", []]},
        {"successfulExecutions": {"": 1}},
    ],
    ids=["pairs", "pairs-in-a-list", "empty-things", "an-object-for-a-list"],
)
def test_what_is_no_object_is_not_read_as_one(execution):
    told = made_of("believe", {"id": UUID, "status": "EXECUTED", "executeResult": execution})
    assert isinstance(told, InvalidResponse) or (told.counts, told.results) == (Counts(), ())


@pytest.mark.parametrize("text", ["\x7f", "\x9b2J", "\u2028", "\ud800"], ids=ascii)
@pytest.mark.parametrize("field", ["errors", "batchId"])
def test_what_is_shown_as_json_is_printable(field, text):
    told = made_of("gameball", {"status": "failed", field: [{"a": text}]})
    assert (str(told) if isinstance(told, InvalidResponse) else told.failures[0].message).isprintable()


def test_an_id_is_not_taken_for_its_escaped_form():
    told = meaning(BatchRef("gameball", r"a\nb"), 200, rb'{"batchId": "a\nb", "status": "failed"}')
    assert isinstance(told, InvalidResponse)


# Refusals.

WHEN = st.sampled_from([
    "Mon, 27 Jan 2025 12:00:30 GMT", "Monday, 27-Jan-25 12:00:30 GMT", "Mon Jan 27 12:00:30 2025", "27 Jan 2025",
    "1 Jan", "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359", "Mon, 27 Jan 2025 12:00:30 +9999",
    "2025-01-27", "Thu, 32 Foo 2025 25:61:61 GMT", "Mon, 27 Jan -1 12:00:30 GMT", "Sat, 30 Feb 2025 12:00:00 EST",
    "0 0 0 0:0:0 0", ",", ", ,", "0", "7", "007", "999999999", "1000000000", "-1", "7.5", "1e3", "nan", "inf", "\u0667",
    "9" * 5000, "7, 8", "", " ",
])  # fmt: skip
PARTS = st.lists(st.sampled_from([*"0179:,-+. ", "Jan", "Mon,", "GMT", "2025", "12:00:30", "-0000"]), max_size=12)
TIMES = WHEN | TEXTS | PARTS.map("".join)
CHARSETS = st.sampled_from(sorted({"undefined", "idna", "punycode", *aliases, *aliases.values()}))
HEADERS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(["retry-after", "date"], TIMES)
    | {"content-type": TEXTS | CHARSETS.map("application/json; charset={}".format)}
    | dict.fromkeys(["x-request-id", "request-id", "cf-ray", "content-encoding", ""], TEXTS),
)
REFUSALS = [
    ERROR,
    {"code": 4004, "type": "NOT_FOUND", "message": "No such batch", "documentationUrl": "https://x", "requestId": "r"},
    {"error": 400, "message": "No"},
]
CLASSES = {408: ServerError, 425: ServerError, 429: RateLimited}


def check_refusal(ref, status, raw, headers):
    told = meaning(ref, status, raw, headers)
    check_error(told, status)
    if not 400 <= status <= 599:
        assert type(told) is InvalidResponse
    elif status >= 500 or status in CLASSES:
        assert type(told) is CLASSES.get(status, ServerError)
    else:
        assert isinstance(told, APIError)
        assert not isinstance(told, ServerError | RateLimited)
        is_outage = status == 407
        assert told.is_retryable is (is_outage or told.code is None)
        assert ("without the vendor's error body" in str(told)) is (told.code is None and not is_outage)
    return told


STATUSES = st.sampled_from([300, 301, 308, 400, 401, 403, 404, 408, 410, 422, 425, 429, 500, 503, 520, 599])
PAGES = st.sampled_from([b"", b"<html>", b"[" * 3_000, b'{"message": "\\', b"\xff\xfe", b"7" * 5_000, b"null"])


@given(
    st.sampled_from(["gameball", "believe"]),
    STATUSES | st.integers(300, 999),
    st.builds(spelled, gone_wrong(REFUSALS) | JSON | PAGES | st.binary(), st.sampled_from(SPELLINGS)),
    HEADERS,
)
@fuzz(300)
def test_any_refusal_is_our_error(vendor, status, raw, headers):
    """A refusal of any shape is one of our errors."""
    check_refusal(BatchRef(vendor, IDS[vendor]), status, raw, headers)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "violating"])
def test_a_refusal_from_the_spec_has_its_text(mode):
    """A refusal from the spec is not found and has its text."""

    @given(drawn("believe", mode, "404"), st.sampled_from(SPELLINGS))
    @fuzz(40)
    def check(body, spell):
        raw = spelled(body, spell)
        own, told = parsed(raw), check_refusal(BatchRef("believe", UUID), 404, raw, {})
        assert isinstance(told, APIError)
        if mode is GenerationMode.POSITIVE:
            assert told.code == (str(int(own[CODE])) if abs(own[CODE]) < 2**63 else None)
            assert (told.message or "") == own["message"] or not own["message"].isprintable()

    check()


# Whole answers.

BOMB = gzip.compress(bytes(20_000_000), mtime=0)


def collected(status, encoding, pieces, limit):
    """Return the answer, or BadContent, for a body that comes in pieces."""
    headers = [(b"Content-Encoding", encoding.encode()), (b"X-Request-ID", b"first"), (b"x-request-id", b"second")]
    try:
        content = Content(status, headers, limit)
        for piece in pieces:
            is_enough = content.feed(piece)
            assert len(content._body) <= content._limit <= limit
            if is_enough:
                break
        return content.response()
    except BadContent as error:
        return error


def cut(body, cuts):
    """Return the body in pieces that end where it says, modulo the body's length; None: byte by byte."""
    inner = range(len(body)) if cuts is None else (place % (len(body) + 1) for place in cuts)
    return [body[start:end] for start, end in pairwise(sorted({0, len(body), *inner}))]


LARGE = st.binary().map(lambda raw: raw * 900)
GZIP = st.builds(lambda raw, level: gzip.compress(raw, level, mtime=0), st.binary() | LARGE, st.integers(0, 9))
GOOD = json.dumps({"id": UUID, "status": "EXECUTED"}).encode()


@st.composite
def damaged(draw):
    """Gzip with bytes that are not its own, with an end too early, or with more behind it."""
    raw = bytearray(draw(GZIP | st.just(gzip.compress(GOOD, mtime=0))))
    how = draw(st.sampled_from(["changed", "cut", "more", "twice"]))
    at = draw(st.integers(0, len(raw) - 1))
    if how == "changed":
        raw[at] ^= draw(st.integers(1, 255))
    return bytes(raw[:at] if how == "cut" else raw + (raw if how == "twice" else b"more" if how == "more" else b""))


@given(
    st.sampled_from([200, 404, 503]) | st.integers(100, 999),
    st.sampled_from(["gzip", "", "identity", "GZIP ", "x-gzip", "br", "gzip, gzip", "deflate"]) | TEXTS,
    st.binary() | GZIP | damaged() | st.just(GOOD),
    st.lists(st.integers(0, 10**6), max_size=6) | st.none(),
    st.sampled_from([1, 20, 60, 1000, 10**6]),
)
@fuzz(400)
def test_a_body_may_come_in_any_pieces(status, encoding, body, cuts, limit):
    """A body in any pieces is the same answer within its bounds."""
    whole, pieces = (collected(status, encoding, cut(body, these), limit) for these in ([], cuts))
    assert type(whole) is type(pieces)
    if isinstance(whole, BadContent):
        assert status == whole.status == 200
        assert whole.cut_short is pieces.cut_short
        return
    assert (pieces.status, pieces.headers) == (whole.status, whole.headers)
    assert whole.headers["x-request-id"] == "first"
    assert pieces.body == whole.body
    told = meaning(BatchRef("believe", UUID), status, whole.body, whole.headers)
    assert isinstance(told, Batch) if status == 200 and whole.body == GOOD else isinstance(told, ReadError)


@given(st.binary() | LARGE, st.lists(st.integers(0, 10**6), max_size=6) | st.none(), st.integers(1, 10**6))
@fuzz(100)
def test_a_gzip_body_is_whole_or_cut_short(raw, cuts, end):
    """A gzip body is unpacked whole or known as cut short."""
    packed = gzip.compress(raw, mtime=0)
    assert collected(200, "gzip", cut(packed, cuts), 10**6).body == raw
    assert collected(200, "gzip", cut(packed[: end % (len(packed) - 1) + 1], cuts), 10**6).cut_short


DAMAGED = {
    "bad-end": gzip.compress(b'{"error": "ERR_KEY_NOT_FOUND"}', mtime=0)[:-8] + bytes(8),
    "too-long": gzip.compress(bytes(range(256)) * 4, 0, mtime=0),
}


@pytest.mark.parametrize("raw", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_refusal_stays_a_refusal(raw):
    """A damaged refusal is the same in any pieces."""
    whole, pieces = (collected(404, "gzip", cut(raw, cuts), 1000) for cuts in ([], None))
    assert whole.body == pieces.body


@pytest.mark.parametrize("size", [1, 100, 65_536])
@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("limit", [1_000, 1_000_000])
def test_a_bomb_takes_twice_the_bound_at_most(status, limit, size):
    """No bomb takes more memory than twice the bound."""
    bound = limit if status == 200 else min(limit, ERROR_PAGE)
    tracemalloc.start()
    try:
        told = collected(status, "gzip", (BOMB[at : at + size] for at in range(0, len(BOMB), size)), limit)
        assert tracemalloc.get_traced_memory()[1] < 2 * bound + 2 * size + 100_000
    finally:
        tracemalloc.stop()
    assert isinstance(told, BadContent) if status == 200 else told.body == b""
