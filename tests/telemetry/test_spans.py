"""The tree of spans of a call, with sync and async clients, threads and tasks."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest
from batchstatus import AsyncBatchClient, BatchClient, Believe, TransportError, WaitTimeout
from batchstatus.service import Store, Watcher, to_url
from batchstatus.testing import FakeVendors, refusal
from opentelemetry import baggage, context
from opentelemetry.trace import SpanKind, StatusCode
from raw_server import response, serving
from receivers import receiver
from transports import Hanging
from waiting import LONG

REF, OTHER, THIRD = "gameball:1", "gameball:2", "believe:3"
KEY = "test-believe-key"
GOOD = b'{"id": "1", "status": "EXECUTED"}'


@pytest.fixture
def vendors():
    made = FakeVendors()
    made.script(REF, "pending", 503, "processing", "completed")
    made.script(OTHER, "pending", "completed")
    made.script(THIRD, "AVAILABLE_TO_QUEUE", "EXECUTED")
    return made


@pytest.fixture
def client(reader, vendors, recorded):
    return reader(vendors=vendors, **recorded.options)


def test_a_wait_is_a_tree_of_spans(client, recorded):
    with recorded.caller():
        client.wait(REF)
    assert recorded.tree() == [("caller", [("batch.wait", [("GET", [])] * 4)])]
    (wait,) = recorded.named("batch.wait")
    assert wait.kind is SpanKind.INTERNAL
    assert dict(wait.attributes) == {
        "batch.ref": REF,
        "batch.vendor": "gameball",
        "batch.account": "gameball",
        "batch.state": "succeeded",
        "batch.previous_state": "running",
        "batch.attempts": 4,
    }
    assert wait.status.status_code is StatusCode.UNSET
    changes = [event for event in wait.events if event.name == "batch.change"]
    assert [event.attributes["batch.state"] for event in changes] == ["pending", "running", "succeeded"]
    assert {event.name for event in wait.events} == {"batch.change", "batch.retry", "batch.trouble"}
    assert recorded.is_idle


def test_an_exchange_follows_the_conventions(reader, recorded):
    """Those for HTTP clients, over real HTTP."""
    answers = [[response(b"", "503 Down")], [response(GOOD)]]
    with serving(lambda _: answers.pop(0)) as server:
        reader(Believe(KEY, base_url=server.url), **recorded.options).get("believe:1")
    failed, good = recorded.named("GET")
    port = int(server.url.rpartition(":")[2])
    common = {
        "batch.ref": "believe:1",
        "batch.vendor": "believe",
        "batch.account": "believe",
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": port,
        "url.full": f"{server.url}/v1/flywheel/batch/1",
    }
    assert dict(failed.attributes) == common | {"http.response.status_code": 503, "error.type": "503"}
    assert dict(good.attributes) == common | {"http.response.status_code": 200, "batch.state": "succeeded"}
    assert failed.kind is good.kind is SpanKind.CLIENT
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, None)
    assert good.status.status_code is StatusCode.UNSET


def test_an_exchange_without_response_has_its_error(reader, vendors, recorded):
    vendors.script("gameball:9", TransportError, "completed")
    reader(vendors=vendors, **recorded.options).get("gameball:9")
    failed, _ = recorded.named("GET")
    assert failed.attributes["error.type"] == "TransportError"
    assert "http.response.status_code" not in failed.attributes
    assert failed.attributes["server.port"] == 443
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.status.description


CALLS = {
    "get": (lambda client: client.get(REF), [("batch.get", 1)]),
    "get_many": (lambda client: client.get_many([REF, OTHER], timeout=90), [("batch.get", 1)] * 2),
    "step": (lambda client: client.step(REF), [("batch.step", 1)]),
    "wait_all": (
        lambda client: client.wait_all([REF, OTHER, THIRD], timeout=900),
        [("batch.wait", 2), ("batch.wait", 2), ("batch.wait", 4)],
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_batch_of_a_call_has_a_span(client, recorded, name):
    """Below the caller's, with its own exchanges below."""
    call, expected = CALLS[name]
    with recorded.caller():
        call(client)
    (caller,) = recorded.tree()
    assert sorted((span, len(exchanges)) for span, exchanges in caller[1]) == expected
    by_id = {span.context.span_id: span for span in recorded.spans}
    for exchange in recorded.named("GET"):
        assert exchange.attributes["batch.ref"] == by_id[exchange.parent.span_id].attributes["batch.ref"]
    assert recorded.is_idle


def test_without_headers_the_spans_are_the_same(reader, vendors, recorded):
    client = reader(vendors=vendors, on_event=recorded.observer)
    with recorded.caller():
        client.wait(REF)
    assert recorded.tree() == [("caller", [("batch.wait", [("GET", [])] * 4)])]


def test_waits_in_threads_have_their_callers(vendors, recorded):
    """Three at once, each in a thread with a span of its own."""
    refs = [REF, OTHER, THIRD]
    with vendors.client(**recorded.options) as client:

        def wait(ref):
            with recorded.caller(f"caller of {ref}"):
                client.wait(ref)

        threads = [threading.Thread(target=wait, args=(ref,)) for ref in refs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
    check_three(recorded, refs)


def test_waits_in_tasks_have_their_callers(vendors, recorded):
    refs = [REF, OTHER, THIRD]

    async def main():
        async with vendors.async_client(**recorded.options) as client:

            async def wait(ref):
                with recorded.caller(f"caller of {ref}"):
                    await client.wait(ref)

            await asyncio.gather(*map(wait, refs))

    asyncio.run(main())
    check_three(recorded, refs)


def check_three(recorded, refs):
    waits = {span.attributes["batch.ref"]: span for span in recorded.named("batch.wait")}
    for ref in refs:
        (caller,) = recorded.named(f"caller of {ref}")
        assert waits[ref].parent.span_id == caller.context.span_id
        exchanges = [span for span in recorded.named("GET") if span.attributes["batch.ref"] == ref]
        assert {span.parent.span_id for span in exchanges} == {waits[ref].context.span_id}
    assert len(waits) == len(refs)
    assert recorded.is_idle


def test_two_waits_for_a_batch_are_kept_apart(vendors, recorded):
    async def main():
        async with vendors.async_client(**recorded.options) as client:
            await asyncio.gather(*[client.wait(REF) for _ in range(2)])

    asyncio.run(main())
    trees = recorded.tree()
    assert {name for name, _ in trees} == {"batch.wait"}
    assert sum(len(exchanges) for _, exchanges in trees) == len(vendors.reads)


def test_an_error_is_on_the_span_of_the_wait(client, recorded):
    with pytest.raises(WaitTimeout) as caught:
        client.wait(REF, timeout=1)
    (wait,) = recorded.named("batch.wait")
    assert wait.attributes["error.type"] == "WaitTimeout"
    assert wait.attributes["batch.state"] == caught.value.last.state.value
    assert (wait.status.status_code, wait.status.description) == (StatusCode.ERROR, caught.value.detail)


# The header


def test_traceparent_names_the_exchange(reader, recorded):
    """And the caller's baggage stays with the caller."""
    token = context.attach(baggage.set_baggage("customer", "test-customer"))
    try:
        with serving(lambda _: [response(GOOD)]) as server:
            reader(Believe(KEY, base_url=server.url), **recorded.options).wait("believe:1")
    finally:
        context.detach(token)
    (exchange,) = recorded.named("GET")
    (head,) = server.heads
    made = exchange.context
    sent = f"traceparent: 00-{made.trace_id:032x}-{made.span_id:016x}-{made.trace_flags:02x}\r\n"
    assert sent.encode() in head.lower()
    assert b"baggage" not in head.lower()


# A caller who leaves


def test_a_broken_off_wait_ends_its_spans(vendors, recorded):
    with vendors.client(**recorded.options) as client:
        for _ in client.as_completed([REF, OTHER, THIRD], timeout=900):
            break
    waits = recorded.named("batch.wait")
    assert len(waits) == 3
    assert [event.name for span in waits for event in span.events].count("batch.left") >= 1
    assert recorded.is_idle


@pytest.mark.parametrize("name", ["get", "wait", "step"])
def test_a_cancelled_call_ends_its_spans(recorded, name):
    async def main():
        transport = Hanging()
        async with AsyncBatchClient(Believe(KEY), transport=transport, **recorded.options) as client:
            task = asyncio.create_task(getattr(client, name)(THIRD))
            await transport.begun.wait()
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(main())
    assert recorded.tree() == [(f"batch.{name}", [("GET", [])])]
    (exchange,) = recorded.named("GET")
    assert exchange.attributes["error.type"] == "abandoned"
    assert exchange.status.status_code is StatusCode.ERROR
    assert recorded.is_idle


def test_an_exchange_of_follow_that_is_dropped_ends(recorded):
    async def main():
        transport = Hanging()
        async with (
            AsyncBatchClient(Believe(KEY), transport=transport, **recorded.options) as client,
            client.follow([THIRD]) as following,
        ):
            outcomes = asyncio.create_task(anext(aiter(following)))
            await transport.begun.wait()
            outcomes.cancel()
            await asyncio.wait([outcomes])

    asyncio.run(main())
    assert recorded.tree() == [("GET", [])]
    assert recorded.is_idle


# The service


def test_a_service_has_a_span_for_each_exchange(recorded, simulator, tmp_path):
    """A wait without an end has no span: a trace of days would be of no use."""
    refs = [simulator.add("gameball", status="completed"), simulator.add("believe", status="FAILED")]
    with Store(tmp_path / "store.sqlite3") as store:
        store.track(refs)
        changes = asyncio.run(Watcher(store, simulator.accounts(), **recorded.options).once())
    assert {change.ref for change in changes} == set(refs)
    assert recorded.tree() == [("GET", [])] * len(simulator.reads)
    assert {span.attributes["batch.ref"] for span in recorded.spans} == {str(ref) for ref in refs}
    assert recorded.is_idle


@pytest.fixture
def delivering(simulator, tmp_path, recorded):
    """A pass of the service over one batch, with one destination; returns the change."""
    ref = simulator.add("believe", status="EXECUTED")

    def run(deliver):
        with Store(tmp_path / "store.sqlite3") as store:
            store.serve("hook")
            store.track([ref])
            options = {**recorded.options, "on_delivery": recorded.observer.on_delivery}
            watcher = Watcher(store, simulator.accounts(), deliver={"hook": deliver}, **options)
            (change,) = asyncio.run(watcher.once())
        return change

    return run


def test_a_delivery_has_a_span_and_a_metric(delivering, recorded):
    with receiver() as (url, _):
        change = delivering(to_url(url))
    (span,) = recorded.named("batch.deliver")
    facts = {"batch.destination": "hook", "batch.delivery.outcome": "delivered", "http.response.status_code": 204}
    assert dict(span.attributes) == facts | {
        "batch.ref": str(change.ref),
        "batch.vendor": "believe",
        "batch.account": "believe",
        "batch.state": "succeeded",
        "batch.change.id": change.id,
        "batch.change.kind": "ended",
        "batch.delivery.attempts": 1,
    }
    assert span.status.status_code is StatusCode.UNSET
    (point,) = recorded.points["batch.delivery.duration"]
    assert (dict(point.attributes), point.count) == (facts, 1)
    assert point.sum == pytest.approx((span.end_time - span.start_time) / 1e9, abs=LONG)
    assert recorded.tree() == [("GET", []), ("batch.deliver", [])]
    assert recorded.is_idle


@pytest.mark.parametrize(
    ("status", "outcome"), [pytest.param(500, "failed", id="fails"), pytest.param(410, "stopped", id="stops")]
)
def test_a_refused_delivery_has_an_error(delivering, recorded, status, outcome):
    """And no word of the receiver's, nor the URL."""
    with receiver(lambda came: (status, {"X-Echo": came[-1][0]})) as (url, _):
        delivering(to_url(url))
    (span,) = recorded.named("batch.deliver")
    assert span.attributes["batch.delivery.outcome"] == outcome
    assert (span.attributes["http.response.status_code"], span.attributes["error.type"]) == (status, str(status))
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    (point,) = recorded.points["batch.delivery.duration"]
    assert point.attributes["error.type"] == str(status)
    assert "planted" not in span.to_json() + recorded.metrics_json()


def test_a_delivery_without_response_has_its_reason(delivering, recorded):
    delivering(to_url("http://127.0.0.1:9/test-planted-path"))
    (span,) = recorded.named("batch.deliver")
    assert "http.response.status_code" not in span.attributes
    assert span.attributes["error.type"] == "_OTHER"
    assert "Connection refused" in span.status.description
    assert "planted" not in span.to_json() + recorded.metrics_json()


def test_a_running_service_makes_spans_until_it_stops(simulator, tmp_path, recorded):
    """Those of its polls have the caller's span above them, and nothing is kept of calls that were left."""
    refs = [simulator.add(vendor, seconds=1.0) for vendor in ("gameball", "believe")]
    never = simulator.add("gameball", status="processing")

    async def main(store):
        stop, ended, taken = asyncio.Event(), asyncio.Event(), []

        async def deliver(change):
            taken.append(change)
            if {change.ref for change in taken if change.kind == "ended"} == set(refs):
                ended.set()

        watcher = Watcher(
            store,
            simulator.accounts(),
            deliver={"hook": deliver},
            on_delivery=recorded.observer.on_delivery,
            **recorded.options,
        )
        service = asyncio.create_task(watcher.run(stop))
        await asyncio.wait_for(ended.wait(), LONG)
        stop.set()
        await service
        return taken

    with Store(tmp_path / "store.sqlite3") as store:
        store.track([*refs, never])
        with recorded.caller("service"):
            taken = asyncio.run(main(store))
    (service,) = recorded.named("service")
    polls, deliveries = recorded.named("GET"), recorded.named("batch.deliver")
    assert {span.attributes["batch.ref"] for span in polls} == {str(ref) for ref in (*refs, never)}
    assert {span.parent.span_id for span in polls} == {service.context.span_id}
    assert Counter(span.attributes["batch.change.id"] for span in deliveries) == Counter(each.id for each in taken)
    assert recorded.is_idle


# Other users of events


def test_a_function_of_ones_own_calls_it(vendors, recorded):
    heard = []

    def both(event):
        heard.append(event)
        recorded.observer(event)

    with vendors.client(on_event=both) as client:
        client.get(THIRD)
    assert [event.kind.value for event in heard] == ["start", "attempt", "done"]
    assert recorded.tree() == [("batch.get", [("GET", [])])]


def test_a_throttle_is_on_the_span(reader, vendors, recorded):
    vendors.script("gameball:9", refusal(429, retry_after=7), "completed")
    reader(vendors=vendors, **recorded.options).get("gameball:9")
    (span,) = recorded.named("batch.get")
    (throttle,) = [event for event in span.events if event.name == "batch.throttle"]
    assert throttle.attributes["batch.pause"] == 7.0
    assert throttle.attributes["error.type"] == "RateLimited"


def test_a_client_serves_without_an_sdk(vendors):
    """The API alone makes nothing of it."""
    from batchstatus.telemetry.opentelemetry import OpenTelemetryObserver

    observer = OpenTelemetryObserver()
    with BatchClient(Believe(KEY), transport=vendors.transport, clock=vendors.clock, on_event=observer) as client:
        assert client.wait(THIRD).has_ended
