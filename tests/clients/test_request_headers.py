"""Headers that a caller adds to requests: which ones go, and that no fault of theirs fails a read."""

from __future__ import annotations

import logging

import pytest
from batchstatus import Believe, ConfigurationError, EventKind, Gameball
from batchstatus._core.read import attempts
from batchstatus.testing import FakeVendors
from raw_server import response, serving

KEY = "test-believe-key"
GOOD = b'{"id": "1", "status": "EXECUTED"}'


@pytest.fixture
def server():
    with serving(lambda _: [response(GOOD)]) as server:
        yield server


def headers_of(head):
    lines = head.decode().split("\r\n")[1:-2]
    return [tuple(line.lower().split(": ", 1)) for line in lines]


def test_headers_go_with_each_request(reader, server):
    """Also if the exchanges run in threads or tasks."""

    def identify(event):
        return {"X-Request-Id": f"{event.call.name}-{event.ref.id}-{event.attempts}"}

    client = reader(Believe(KEY, base_url=server.url, rate_limit=None), request_headers=identify)
    client.get("believe:1")
    client.wait("believe:1")
    client.get_many(["believe:1"], timeout=90)
    client.step("believe:1")
    sent = [dict(headers_of(head)) for head in server.heads]
    assert [each["x-request-id"] for each in sent] == ["get-1-1", "wait-1-1", "get_many-1-1", "step-1-1"]
    assert {each[Believe.KEY_HEADERS["api_key"].lower()] for each in sent} == {KEY}


def test_a_request_begins_with_its_event(reader):
    vendors, heard = FakeVendors(), []
    vendors.script("gameball:1", "pending", 503, "completed")

    def note(event):
        heard.append(event)
        return {}

    reader(vendors=vendors, request_headers=note).wait("gameball:1")
    assert {event.kind for event in heard} == {EventKind.SEND}
    assert [event.attempts for event in heard] == [1, 2, 3]
    assert {(event.method, event.server) for event in heard} == {("GET", "api.gameball.co")}
    assert [event.elapsed for event in heard] == [at for at, _ in vendors.reads]


RESERVED = ["Host", "content-length", "Transfer-Encoding", "connection", "Cookie", "accept", "Accept-Encoding"]
RESERVED += ["Authorization", "Proxy-Authorization", *Believe.KEY_HEADERS.values()]


@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_header_is_left_out(reader, server, caplog, name):
    """The log names it, once, and the others go."""
    client = reader(
        Believe(KEY, base_url=server.url, rate_limit=None), request_headers=lambda _: {name: "forged", "x-other": "1"}
    )
    client.get("believe:1")
    client.get("believe:1")
    for head in server.heads:
        assert b"forged" not in head
        assert ("x-other", "1") in headers_of(head)
        assert len([header for header, _ in headers_of(head) if header == name.lower()]) <= 1
    (record,) = caplog.records
    assert record.getMessage() == f"request_headers: the header {name} is not sent, as the request sets it itself"


def test_a_second_key_stays(reader, caplog):
    vendors, sent = FakeVendors(), []
    vendors.script("gameball:1", "completed")
    play = vendors.play
    vendors.play = lambda request: (sent.append(request), play(request))[1]
    key = Gameball.KEY_HEADERS["secret_key"]
    reader(vendors=vendors, request_headers=lambda _: {key.upper(): "forged"}).get("gameball:1")
    assert "forged" not in {*sent[0].headers.values(), *sent[0].keys.values()}
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param({"x-a": "1\r\nx-b: 2"}, "header x-a is not sent, as its value", id="line end"),
        pytest.param({"x-a": "ü"}, "header x-a is not sent, as its value", id="not ascii"),
        pytest.param({"x-a": 7}, "header x-a is not sent, as its value", id="number"),
        pytest.param({"x a\n": "1"}, r"header x a\n is not sent, as it is not the name", id="name"),
        pytest.param({7: "1"}, "header int is not sent, as it is not the name", id="no text"),
        pytest.param(["x-a"], "failed (AttributeError)", id="list"),
        pytest.param(None, "failed (AttributeError)", id="nothing"),
    ],
)
def test_a_header_that_cannot_go_is_left_out(reader, server, caplog, given, told):
    reader(Believe(KEY, base_url=server.url), request_headers=lambda _: given).get("believe:1")
    assert b"x-a" not in server.heads[0].lower()
    (record,) = caplog.records
    assert told in record.getMessage()
    assert record.levelno == logging.WARNING


def test_a_function_that_raises_fails_no_read(reader, caplog):
    """Its class is logged, once, and not its text, which may hold anything."""
    vendors = FakeVendors()
    vendors.script("gameball:1", "pending", "processing", "completed")

    def fail(event):
        raise LookupError("test-secret")

    reader(vendors=vendors, request_headers=fail).wait("gameball:1")
    vendors.assert_played()
    (record,) = caplog.records
    assert record.getMessage() == "request_headers failed (LookupError): such requests go without its headers"
    assert record.exc_info is None


async def coroutine(event):
    """No function of headers."""


@pytest.mark.parametrize("wrong", [coroutine, {"x-a": "1"}], ids=["coroutine function", "headers"])
def test_a_wrong_function_is_refused(reader, wrong):
    with pytest.raises(ConfigurationError, match="request_headers is a plain function from an Event to headers"):
        reader(Believe(KEY), request_headers=wrong)


def test_without_a_function_nothing_is_told_of_a_request(reader, monkeypatch):
    """An observer alone does not make the event."""
    vendors, kinds = FakeVendors(), []
    vendors.script("gameball:1", "completed")
    make = attempts.Event
    monkeypatch.setattr(attempts, "Event", lambda **fields: (kinds.append(fields["kind"]), make(**fields))[1])
    reader(vendors=vendors, on_event=lambda event: None).get("gameball:1")
    assert kinds == [EventKind.START, EventKind.ATTEMPT, EventKind.DONE]
