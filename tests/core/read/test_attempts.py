"""The rules of one read, without I/O: what an answer means, when to try again, and for how long."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import attrs
import pytest
from batchstatus import (
    APIError,
    AuthenticationError,
    BadRequest,
    BatchNotFound,
    BatchRef,
    Believe,
    ConfigurationError,
    Gameball,
    InvalidResponse,
    PermissionDenied,
    RateLimited,
    ReadError,
    RequestTimeout,
    RetryPolicy,
    ServerError,
    TransportError,
)
from batchstatus._core.pacing import NoPace, PaceState
from batchstatus._core.read.attempts import read_with_retries
from batchstatus._core.read.messages import Response, SendRequest, Sleep, StepResult, TransportFailure
from batchstatus._core.read.response import parse_response
from hypothesis import given
from hypothesis import strategies as st

KEY = "test-believe-key"
BELIEVE, GAMEBALL = Believe(KEY), Gameball("test-gameball-key", "test-gameball-secret")
UUID = "550e8400-e29b-41d4-a716-446655440000"
REF = BatchRef("believe", UUID)
NOW = datetime(2025, 1, 27, 12, tzinfo=UTC)
GOOD = {"id": UUID, "status": "EXECUTED"}


def answer(status=200, body=GOOD, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=raw)


def meaning(outcome, account=BELIEVE, ref=REF):
    return parse_response(account, ref, account.request(ref.id), StepResult(outcome, 0.0, NOW))


NO_CONNECTION = TransportFailure(error=TransportError, reason="cannot connect")


def untold(event):
    """An observer that looks away; what is told has tests of its own."""


def play(outcomes, *, policy=RetryPolicy(), timeout=90.0, takes=0.0, random=lambda: 1.0, pace=NoPace()):  # noqa: B008
    """Drive a read by a virtual clock; return its batch or error, and the steps it asked for."""
    now, given, steps = 1000.0, iter(outcomes), []
    reading = read_with_retries(
        BELIEVE, REF, pace=pace, policy=policy, started=now, now=now, timeout=timeout, random=random, notify=untold
    )
    try:
        step = next(reading)
        while True:
            steps.append(step)
            outcome = next(given) if isinstance(step, SendRequest) else None
            now += min(takes, step.deadline - now) if isinstance(step, SendRequest) else step.seconds
            step = reading.send(StepResult(outcome, now, NOW))
    except StopIteration as end:
        return end.value, steps, now - 1000.0
    except ReadError as error:
        return error, steps, now - 1000.0


def pauses(steps):
    return [step.seconds for step in steps if not isinstance(step, SendRequest)]


CODES = {
    400: BadRequest,
    401: AuthenticationError,
    403: PermissionDenied,
    404: BatchNotFound,
    408: ServerError,
    410: BatchNotFound,
    422: BadRequest,
    425: ServerError,
    429: RateLimited,
}


@pytest.mark.parametrize("account", [BELIEVE, GAMEBALL], ids=["believe", "gameball"])
def test_every_other_status_is_our_error(account):
    """Every status from 100 to 999 but 200 is one of our errors."""
    for status in (*range(100, 200), *range(201, 1000)):
        with pytest.raises(ReadError) as caught:
            meaning(answer(status, b"<html>"), account)
        expected = (
            CODES.get(status, ServerError if status >= 500 else APIError) if 400 <= status <= 599 else InvalidResponse
        )
        assert type(caught.value) is expected, status
        assert caught.value.status_code == status
        assert f"{REF}: HTTP {status}" in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><h1>Bad gateway</h1></html>",
        b"[]",
        b'"text"',
        b"7",
        b"null",
        b"{",
        b"\xff",
        b"{}",
        b'{"error": {}}',
    ],
    ids=repr,
)
def test_any_error_body_leaves_the_status(body):
    """An error body of any shape leaves the status to speak."""
    with pytest.raises(BatchNotFound) as caught:
        meaning(answer(404, body, x_request_id="r-1"))
    assert (caught.value.code, caught.value.message, caught.value.request_id) == (None, None, "r-1")


@pytest.mark.parametrize(
    ("account", "status", "body", "cls", "code"),
    [
        (BELIEVE, 404, {"error": "ERR_BATCH_NOT_FOUND"}, BatchNotFound, "ERR_BATCH_NOT_FOUND"),
        (BELIEVE, 401, {"error": "ERR_UNAUTHORIZED"}, AuthenticationError, "ERR_UNAUTHORIZED"),
        (BELIEVE, 404, {"error": "ERR_KEY_NOT_FOUND"}, AuthenticationError, "ERR_KEY_NOT_FOUND"),
        (BELIEVE, 401, {"error": "ERR_KEY_SCOPES_UNAUTHORIZED"}, PermissionDenied, "ERR_KEY_SCOPES_UNAUTHORIZED"),
        (BELIEVE, 403, {"error": "ERR_KEY_SCOPES_UNAUTHORIZED"}, PermissionDenied, "ERR_KEY_SCOPES_UNAUTHORIZED"),
        (BELIEVE, 404, {"error": "ERR_SOMETHING_NEW"}, BatchNotFound, "ERR_SOMETHING_NEW"),
        (BELIEVE, 404, {"error": 404}, BatchNotFound, "404"),
        (BELIEVE, 503, {"error": "ERR_UNAUTHORIZED"}, ServerError, "ERR_UNAUTHORIZED"),
        (GAMEBALL, 401, {"code": 1000}, AuthenticationError, "1000"),
        (GAMEBALL, 401, {"code": "1001"}, AuthenticationError, "1001"),
        (GAMEBALL, 403, {"code": 8000}, PermissionDenied, "8000"),
        (GAMEBALL, 400, {"code": 4004}, BatchNotFound, "4004"),
        (GAMEBALL, 404, {"code": 7000}, BatchNotFound, "7000"),
        (GAMEBALL, 400, {"error": 400}, BadRequest, "400"),
        (GAMEBALL, 429, {"code": 1000}, RateLimited, "1000"),
    ],
)
def test_a_vendors_code_decides_among_refusals(account, status, body, cls, code):
    """A vendors code is text and decides among refusals that no retry helps."""
    with pytest.raises(APIError) as caught:
        meaning(answer(status, {**body, "message": "Because"}), account)
    assert type(caught.value) is cls
    assert (caught.value.code, caught.value.message) == (code, "Because")
    assert f"{code}: Because" in str(caught.value)


def test_gameballs_body_request_id_wins():
    """Gameballs request id in the body wins over the header."""
    with pytest.raises(APIError) as caught:
        meaning(answer(500, {"requestId": "in-body"}, x_request_id="in-header"), GAMEBALL)
    assert caught.value.request_id == "in-body"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), ("0", 0), ("999999999", 999999999), (" 7 ", 7), ("7.5", 7.5), ("7, 8", 7)]
    + [("9" * 12, 10**12 - 1), ("9" * 5000, 10**12)]
    + [("Mon, 27 Jan 2025 12:00:30 +" + "9" * 20, None), ("Mon, " + "9" * 20 + " Jan 2025 12:00:30 GMT", None)]
    + [("Mon, 27 Jan 2025 12:00:30 GMT", 30), ("Mon, 27 Jan 2025 11:00:00 GMT", 0)]
    + [(bad, None) for bad in ("", "-1", "1e3", "nan", "inf", "7.", "\u0667", "soon", "x, 8")],
    ids=lambda value: repr(value)[:32],
)
def test_a_retry_after_is_digits_or_a_date(value, seconds):
    """A retry after is digits, of which very many are a very long time, or a date."""
    with pytest.raises(RateLimited) as caught:
        meaning(answer(429, b"", retry_after=value))
    assert caught.value.retry_after == seconds


EPOCH = NOW.timestamp()


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        pytest.param(429, {"retry_after_ms": "250", "retry_after": "7"}, 0.25, id="milliseconds"),
        pytest.param(429, {"ratelimit_reset": "12"}, 12, id="reset"),
        pytest.param(429, {"x_ratelimit_reset": "12.5"}, 12.5, id="x-reset"),
        pytest.param(429, {"x_ratelimit_reset": f"{EPOCH + 30:.0f}"}, 30, id="reset as a time"),
        pytest.param(429, {"ratelimit_reset": "12", "retry_after": "7"}, 7, id="Retry-After wins"),
        pytest.param(429, {"ratelimit_reset": "3601"}, None, id="reset too far away"),
        pytest.param(429, {"ratelimit_reset": f"{EPOCH - 1:.0f}"}, None, id="reset in the past"),
        pytest.param(503, {"ratelimit_reset": "12"}, None, id="reset without a 429"),
        pytest.param(503, {"retry_after": "6.5"}, 6.5, id="503"),
        pytest.param(202, {"retry_after": "6"}, 6, id="202"),
        pytest.param(404, {"retry_after": "6"}, 6, id="404"),
    ],
)
def test_a_hint_is_heard_in_all_spellings(status, headers, seconds):
    with pytest.raises(ReadError) as caught:
        meaning(answer(status, b"", **headers))
    assert caught.value.retry_after == seconds


def test_a_hint_of_a_200_is_heard():
    assert meaning(answer(retry_after="6")).retry_after == 6
    assert "retry_after" not in meaning(answer(retry_after="6")).to_dict()


def test_a_retry_after_date_uses_date():
    """This machine's clock may be wrong by hours; the two headers come from one clock."""
    date = {"date": "Mon, 27 Jan 2020 12:00:00 GMT", "retry_after": "Mon, 27 Jan 2020 12:00:07 GMT"}
    with pytest.raises(RateLimited) as caught:
        meaning(answer(429, b"", **date))
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"<html>", "not JSON"),
        (b"[]", "list"),
        (b'"EXECUTED"', "str"),
        (b"null", "NoneType"),
        (b"{}", "no 'status'"),
        ({"id": UUID}, "no 'status'"),
        ({"id": UUID, "status": None}, "no 'status'"),
        ({"id": UUID, "status": 7}, "no status word"),
        ({"id": UUID, "status": " "}, "no status word"),
        (b'{"id": "%s", "status": NaN}' % UUID.encode(), "no 'status'"),
        ({"id": "another", "status": "EXECUTED"}, "another batch: another"),
        ({"id": ["x"], "status": "EXECUTED"}, "another batch"),
        ({"error": "ERR_X", "message": "Not today"}, "it says: Not today"),
    ],
    ids=repr,
)
def test_a_wrong_200_is_an_invalid_response(body, says):
    """A 200 whose body is not the requested batch is an invalid response."""
    with pytest.raises(InvalidResponse, match="HTTP 200, but") as caught:
        meaning(answer(200, body))
    assert says in str(caught.value)


@pytest.mark.parametrize("depth", [100, 300, 490, 900, 5_000, 200_000])
def test_any_nesting_is_handled(depth):
    """A body nested to any depth gives a batch or an invalid response."""
    nested = b'{"id": "%s", "status": "EXECUTED", "more": %s}' % (UUID.encode(), b"[" * depth + b"]" * depth)
    try:
        assert meaning(answer(200, nested)).vendor_status == "EXECUTED"
    except InvalidResponse:
        assert depth > 100


def test_uuids_are_compared_without_case():
    """Ids are compared as text and uuids without case."""
    assert meaning(answer(body={**GOOD, "id": UUID.upper()})).ref == REF
    assert meaning(answer(body={"batchId": 7, "status": "pending"}), GAMEBALL, BatchRef("gameball", 7)).ref.id == "7"
    with pytest.raises(InvalidResponse, match="another batch"):
        meaning(answer(body={"id": "BATCH_X", "status": "FAILED"}), BELIEVE, BatchRef("believe", "batch_x"))


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: json.dumps(text).encode(),
        lambda text: json.dumps(text).replace("+", "\\u002B").replace("/", "\\/").encode(),
        lambda text: json.dumps(text).encode("utf-16"),
    ],
    ids=["plain", "escaped", "wide"],
)
def test_an_echoed_key_is_hidden(spell):
    """A key is hidden however its echo is spelled."""
    account = Gameball("test+key/with=signs", "test+key/with=signs-and-more")
    for status in (200, 401):
        body = spell({"code": "test+key/with=signs", "message": "no test+key/with=signs-and-more", "status": "failed"})
        try:
            told = meaning(answer(status, body, x_request_id="test+key/with=signs"), account, BatchRef("gameball", 1))
            shown = f"{told}{told.payload}{told.raw}"
        except APIError as error:
            shown = f"{error}{vars(error)}"
        assert "test+key" not in shown
        assert "-and-more" not in shown


def test_a_short_key_is_not_searched_for():
    """A short key is not looked for in numbers or words."""
    account = Gameball("123456", "pending")
    batch = meaning(answer(body={"status": "pending", "totalItems": 1234567}), account, BatchRef("gameball", 1))
    assert (batch.vendor_status, batch.counts.total) == ("pending", 1234567)


def test_a_vendors_text_is_escaped():
    """A vendors text cannot forge lines or break encodings."""
    with pytest.raises(APIError) as caught:
        meaning(answer(404, {"error": "E\ud800", "message": "a\r\nFAKE LINE \x1b[2J\u2028é"}))
    assert caught.value.message == "a\\r\\nFAKE LINE \\x1b[2J\\u2028é"
    assert str(caught.value).encode().isascii() is False
    assert str(caught.value).isprintable()


def test_an_echoed_key_reaches_no_caller():
    """A key that the vendor echoes is nowhere in what the caller gets."""
    with pytest.raises(AuthenticationError) as caught:
        meaning(answer(401, {"error": f"ERR_{KEY}", "message": f"no such key: {KEY}", "requestId": KEY}))
    assert KEY not in f"{caught.value}{vars(caught.value)}"
    batch = meaning(answer(body={**GOOD, "tokenId": KEY, "executeResult": {"failedTxMsg": KEY}}))
    assert KEY not in f"{batch}{batch.payload}{batch.raw}"
    with pytest.raises(TransportError) as caught:
        meaning(TransportFailure(error=TransportError, reason=f"illegal header line: {KEY}"))
    assert KEY not in str(caught.value)


def test_the_first_good_answer_is_the_batch():
    batch, steps, took = play([answer()], takes=0.25)
    assert (batch.vendor_status, batch.attempts, batch.elapsed) == ("EXECUTED", 1, 0.25)
    assert [step.deadline for step in steps] == [1060.0]
    assert took == 0.25


CODE, MESSAGE = {"error": "ERR_X"}, {"message": "no"}
REFUSALS = (400, 401, 403, 404, 409, 410, 418, 422, 451)
TRANSIENT = {
    "no connection": NO_CONNECTION,
    "timeout": TransportFailure(error=RequestTimeout, reason="slow"),
    **{str(status): answer(status, CODE) for status in (407, 408, 425, 429, 500, 502, 503, 504, 520, 599)},
    **{f"{status} without a code": answer(status, MESSAGE) for status in REFUSALS},
    "404 without a body": answer(404, b""),
    "404 with a page": answer(404, b"<html>"),
    "404 with half a body": answer(404, b'{"error": "ERR_X'),
    "cut short": answer(200, b'{"id": '),
    "cut short in gzip": TransportFailure(error=InvalidResponse, reason="ends", status=200, cut_short=True),
}
FINAL = {
    **{str(status): answer(status, CODE) for status in (300, 302, *REFUSALS, 600)},
    "not JSON": answer(200, b"<html>"),
    "another id": answer(body={**GOOD, "id": "x"}),
    "too large": TransportFailure(error=InvalidResponse, reason="large", status=200),
}


@pytest.mark.parametrize("outcome", TRANSIENT.values(), ids=TRANSIENT)
def test_transient_errors_are_retried(outcome):
    """What a retry can help is tried four times with growing pauses."""
    error, steps, _ = play([outcome] * 9)
    assert pauses(steps) == [0.5, 1.0, 2.0]
    assert error.attempts == 4
    batch, *_ = play([outcome, outcome, answer()])
    assert batch.attempts == 3


@pytest.mark.parametrize("outcome", FINAL.values(), ids=FINAL)
def test_what_no_retry_can_help_is_said_at_once(outcome):
    error, steps, _ = play([outcome, answer()])
    assert isinstance(error, ReadError)
    assert (len(steps), error.is_retryable) == (1, False)


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_without_a_code_may_not_be_the_vendors(status):
    """It is an error of its status that a retry may help, and its text says what it lacks."""
    error, *_ = play([answer(status, MESSAGE)] * 4)
    assert type(error) is CODES.get(status, APIError)
    assert (error.code, error.message, error.is_retryable) == (None, "no", True)
    assert f"HTTP {status}, no (without the vendor's error body, so it may come from anything in between" in str(error)


@pytest.mark.parametrize("account", [BELIEVE, GAMEBALL], ids=["believe", "gameball"])
def test_a_refusal_with_a_code_is_the_vendors(account):
    with pytest.raises(BatchNotFound, match=r"check the id, and that the batch belongs") as caught:
        meaning(answer(404, CODE), account)
    assert (caught.value.code, caught.value.is_retryable) == ("ERR_X", False)
    assert "without the vendor's error body" not in str(caught.value)


@pytest.mark.parametrize("status", [407, 408, 425, 429, 500, 503])
def test_an_outage_is_not_a_refusal(status):
    """An outage needs no code to be believed, and a retry may help with one too."""
    for body in (CODE, MESSAGE):
        with pytest.raises(APIError) as caught:
            meaning(answer(status, body))
        assert caught.value.is_retryable
        assert "without the vendor's error body" not in str(caught.value)


@pytest.mark.parametrize(
    ("outcome", "is_lasting", "is_too_large"),
    [
        pytest.param(NO_CONNECTION, False, False, id="no connection"),
        pytest.param(
            TransportFailure(error=TransportError, reason="no such host", is_lasting=True), True, False, id="no host"
        ),
        pytest.param(answer(503, b""), False, False, id="503"),
        pytest.param(answer(404, b"<html>"), False, False, id="404"),
        pytest.param(answer(302, b""), True, False, id="redirect"),
        pytest.param(answer(200, b"<html>"), True, False, id="page"),
        pytest.param(answer(200, b'{"id": '), False, False, id="cut short"),
        pytest.param(
            TransportFailure(error=InvalidResponse, reason="large", status=200, is_too_large=True),
            False,
            True,
            id="too large",
        ),
    ],
)
def test_an_error_says_what_time_alone_hardly_mends(outcome, is_lasting, is_too_large):
    with pytest.raises(ReadError) as caught:
        meaning(outcome)
    assert (caught.value.is_lasting, getattr(caught.value, "is_too_large", False)) == (is_lasting, is_too_large)


def test_pauses_are_drawn_evenly_up_to_their_cap():
    policy = RetryPolicy(attempts=8)
    assert pauses(play([NO_CONNECTION] * 8, policy=policy)[1]) == [0.5, 1, 2, 4, 8, 8, 8]
    assert pauses(play([NO_CONNECTION] * 8, policy=policy, random=lambda: 0.25)[1]) == [0.125, 0.25, 0.5, 1, 2, 2, 2]


def test_a_retry_after_replaces_the_pause():
    batch, steps, took = play([answer(429, b"", retry_after="7"), answer(503, b"", retry_after="11"), answer()])
    assert pauses(steps) == [7.0, 11.0]
    assert (batch.attempts, took) == (3, 18.0)


def test_a_retry_after_of_nothing_still_pauses():
    assert pauses(play([answer(429, b"", retry_after="0")] * 3 + [answer()])[1]) == [0.5, 1.0, 2.0]


def test_a_slow_key_counts_against_the_timeout():
    """The deadline in a step is absolute: whatever a driver does before it sends leaves less time to send in."""
    _, steps, _ = play([NO_CONNECTION, answer()], timeout=30.0)
    assert {step.deadline for step in steps if isinstance(step, SendRequest)} == {1030.0}


def test_a_long_retry_after_ends_the_read():
    """A retry after beyond the budget ends the read at once and is reported."""
    error, steps, took = play([answer(429, b"", retry_after="100"), answer()], timeout=90)
    assert isinstance(error, RateLimited)
    assert (error.retry_after, len(steps), took) == (100.0, 1, 0.0)


def test_an_absurd_retry_after_counts_as_the_maximum():
    """An absurd retry after is reported as it is, and obeyed for as long as the policy allows."""
    batch, steps, _ = play([answer(429, b"", retry_after="3601"), answer()], timeout=10_000)
    assert (pauses(steps), batch.attempts) == ([3600.0], 2)
    policy = RetryPolicy(max_retry_after=20.0)
    assert pauses(play([answer(503, b"", retry_after="3601"), answer()], policy=policy)[1]) == [20.0]
    error, steps, _ = play([answer(429, b"", retry_after="3601"), answer()])
    assert (error.retry_after, len(steps)) == (3601.0, 1)


def test_an_attempt_gets_the_remaining_time():
    """Each attempt gets what is left of the budget."""
    _, steps, took = play([TransportFailure(error=RequestTimeout, reason="slow")] * 4, timeout=90, takes=60)
    assert [step.deadline for step in steps if isinstance(step, SendRequest)] == [1060.0, 1090.0]
    assert took == 90.0


FAULTS = st.sampled_from(list(TRANSIENT.values()) + [answer(429, b"", retry_after=str(n)) for n in (0, 3, 50, 4000)])


@given(
    outcomes=st.lists(FAULTS, min_size=12, max_size=12),
    timeout=st.floats(0.01, 500),
    takes=st.floats(0, 100),
    attempts=st.integers(1, 10),
    random=st.floats(0, 1),
)
def test_no_read_outlives_its_timeout(outcomes, timeout, takes, attempts, random):
    """No read outlives its budget or its attempts."""
    policy = RetryPolicy(attempts=attempts)
    error, steps, took = play(outcomes, policy=policy, timeout=timeout, takes=takes, random=lambda: random)
    assert took <= timeout * (1 + 1e-9)
    sent = [step for step in steps if isinstance(step, SendRequest)]
    assert 1 <= len(sent) <= attempts
    assert error.attempts == len(sent)
    assert all(1000 < step.deadline <= 1000 + timeout for step in sent)
    assert all(0 <= pause <= 3600 for pause in pauses(steps))


def test_an_overslept_read_sends_nothing():
    """A read that overslept its budget sends nothing more."""
    reading = read_with_retries(
        BELIEVE,
        REF,
        pace=NoPace(),
        policy=RetryPolicy(),
        started=0.0,
        now=0.0,
        timeout=10.0,
        random=lambda: 1.0,
        notify=untold,
    )
    next(reading)
    reading.send(StepResult(NO_CONNECTION, 1.0, NOW))
    with pytest.raises(TransportError):
        reading.send(StepResult(None, 11.0, NOW))


def test_a_read_that_overslept_its_slot_gives_it_back():
    """Nothing is sent."""
    pace = PaceState(5.0)
    pace.reserve(0.0, 10.0)
    reading = read_with_retries(
        BELIEVE, REF, pace=pace, policy=RetryPolicy(), started=0.0, now=0.0, timeout=6.0, random=lambda: 1.0,
        notify=untold,
    )  # fmt: skip
    assert next(reading) == Sleep(5.0)
    with pytest.raises(RequestTimeout, match="nothing was sent: the pace of its account has no slot left within 6 s"):
        reading.send(StepResult(None, 6.5, NOW))
    assert pace.free == (5.0,)


@pytest.mark.parametrize("field", [field.name for field in attrs.fields(RetryPolicy)])
@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), "4", None, True], ids=repr)
def test_a_wrong_policy_names_its_field(field, bad):
    """A policy that cannot work is refused by the name of its field."""
    with pytest.raises(ConfigurationError, match=field):
        RetryPolicy(**{field: bad})


def test_a_patient_policy_does_not_overflow():
    assert RetryPolicy(attempts=5000).backoff(4999, 1.0) == 8.0
