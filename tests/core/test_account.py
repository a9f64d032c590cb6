"""Accounts: the account of a ref, and a third party's vendor."""

from __future__ import annotations

import pytest
from batchstatus import (
    Account,
    BatchClient,
    BatchNotFound,
    BatchRef,
    BatchState,
    Believe,
    ConfigurationError,
    Counts,
    ErrorFields,
    Gameball,
    RateLimit,
    Response,
    Secret,
    StatusFields,
    account_for,
    accounts_by_ref,
)

ACME, GLOBEX = (Believe("test-believe-key", name=name) for name in ("acme", "globex"))
GAMEBALL = Gameball("test-gameball-key", "test-gameball-secret")


def test_an_account_is_named_as_in_refs():
    assert [account.account_ref for account in (ACME, GAMEBALL)] == ["believe/acme", "gameball"]
    assert BatchRef.parse("believe/acme:1").account_ref == ACME.account_ref


def test_a_refs_account_is_found():
    accounts = accounts_by_ref([ACME, GLOBEX, GAMEBALL])
    assert account_for(BatchRef.parse("believe/globex:1"), accounts) is GLOBEX
    assert account_for(BatchRef.parse("gameball:1"), accounts) is GAMEBALL
    with pytest.raises(ConfigurationError, match="which account"):
        account_for(BatchRef.parse("believe:1"), accounts)
    with pytest.raises(ConfigurationError, match="no account at 'other', only at believe, gameball"):
        account_for(BatchRef.parse("other:1"), accounts)


def test_another_rate_limit_makes_a_copy():
    slow = ACME.with_rate_limit(RateLimit(1))
    assert (slow.rate_limit, ACME.rate_limit) == (RateLimit(1), Believe.RATE_LIMIT)
    assert slow.credential == ACME.credential
    with pytest.raises(ConfigurationError, match="a Pace or None"):
        ACME.with_rate_limit(5)


class Mailer(Account):
    """A vendor of a third party."""

    vendor = "mailer"
    BASE_URL = "https://api.example.com"
    KEY_HEADERS = {"token": "x-token"}  # noqa: RUF012
    WORDS = {"sent": BatchState.SUCCEEDED}  # noqa: RUF012
    ERRORS = {"gone": BatchNotFound}  # noqa: RUF012
    ADVICE = {BatchNotFound: "look again"}  # noqa: RUF012
    EXAMPLE_ID = "1"
    PROBE_ID = "0"

    def __init__(self, token):
        key = Secret("Mailer's token", token)
        super().__init__(key, base_url=None, name=None, rate_limit=None, states=None, allow_insecure=False)

    def raw_request(self, batch_id):
        return self.authenticate({"url": f"/batches/{batch_id}"})

    def status_fields(self, body):
        return StatusFields(id=body["id"], status=body["status"], counts=Counts(), raw=None)

    def error_fields(self, body):
        return ErrorFields(code=body.get("reason"))


class Canned:
    """A transport that answers from a list."""

    def __init__(self, *responses):
        self.responses = list(responses)
        self.requests = []

    def send(self, step, timeout):
        self.requests.append(step.request)
        return self.responses.pop(0)

    def discard_idle_connections(self):
        pass

    def close(self):
        pass


def test_a_third_partys_vendor_is_read():
    good = Response(status=200, headers={}, body=b'{"id": "7", "status": "SENT"}')
    gone = Response(status=410, headers={}, body=b'{"reason": "gone"}')
    canned = Canned(good, gone)
    with BatchClient(Mailer("test-mailer-key"), transport=canned) as client:
        assert client.wait("mailer:7").state is BatchState.SUCCEEDED
        with pytest.raises(BatchNotFound, match="look again"):
            client.get("mailer:7")
    assert [request.url for request in canned.requests] == ["https://api.example.com/batches/7"] * 2
    assert "test-mailer-key" not in repr(canned.requests)


@pytest.mark.parametrize(
    ("part", "named"),
    [
        pytest.param({"cookies": {"version": "2"}}, r"cookies \(version\)", id="cookie"),
        pytest.param({"json": {}}, "json", id="json"),
        pytest.param({"data": {"a": 1}}, r"data \(a\)", id="data"),
        pytest.param({"content": b"x"}, "content", id="content"),
        pytest.param({"files": {"a": b""}}, "files", id="files"),
        pytest.param({"params": {"filter": {"a": 1}}}, "query parameter filter", id="object in the query"),
        pytest.param({"headers": {"Host": "example.com"}}, "header 'Host'", id="header of the connection"),
        pytest.param({"headers": {"X-Believe-Api-Key": "a"}}, "header 'X-Believe-Api-Key'", id="header of a key"),
        pytest.param({"headers": {"a b": "1"}}, "header 'a b'", id="name of no header"),
        pytest.param({"headers": {"x-a": "1\r\nx-b: 2"}}, "header x-a", id="line end in a header"),
        pytest.param({"headers": {"x-a": 1}}, "header x-a", id="header that is not text"),
    ],
)
def test_a_request_refuses_by_name(part, named):
    """A part of the raw client's request that cannot be carried is refused, never dropped."""
    with pytest.raises(ConfigurationError, match=named):
        ACME.authenticate({"method": "get", "url": "/1", **part})


def test_an_empty_part_is_no_part():
    request = ACME.authenticate({"method": "get", "url": "/1", "cookies": {}, "params": {}, "headers": {}})
    assert (request.method, request.url, request.headers) == ("GET", "https://public.believe.app/1", {})


@pytest.mark.parametrize(
    ("word", "state"),
    [
        pytest.param("in_progress", BatchState.RUNNING, id="underscore"),
        pytest.param("In Progress", BatchState.RUNNING, id="blank"),
        pytest.param("IN-PROGRESS", BatchState.RUNNING, id="hyphen"),
        pytest.param("canceled", BatchState.CANCELLED, id="one l"),
        pytest.param(" Cancelled\t", BatchState.CANCELLED, id="outer blanks"),
        pytest.param("in.progress", BatchState.UNKNOWN, id="another sign"),
    ],
)
def test_words_are_compared_without_case_and_signs(word, state):
    assert GAMEBALL.state_of(word) is state
