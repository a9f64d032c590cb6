"""The events of a call: how it begins and ends, and what they tell of its exchanges."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import Counter

import pytest
from batchstatus import (
    AsyncBatchClient,
    BatchClient,
    BatchRef,
    Believe,
    Event,
    EventKind,
    Request,
    Response,
    WaitTimeout,
)
from batchstatus._core.read.attempts import exchange
from batchstatus.testing import FakeVendors
from raw_server import HANG_UP, response, serving
from transports import Hanging

REF, OTHER, THIRD = (BatchRef.parse(text) for text in ("gameball:1", "gameball:2", "believe:3"))
KEY = "test-believe-key"
GOOD = b'{"id": "1", "status": "EXECUTED"}'
BEGINS_AND_ENDS = (EventKind.START, EventKind.DONE, EventKind.LEFT)


@pytest.fixture
def vendors():
    made = FakeVendors()
    made.script(REF, "pending", 503, "processing", "completed")
    made.script(OTHER, "pending", "completed")
    made.script(THIRD, "AVAILABLE_TO_QUEUE", "EXECUTED")
    return made


@pytest.fixture
def heard():
    return []


@pytest.fixture
def client(reader, vendors, heard):
    return reader(vendors=vendors, on_event=heard.append)


def ends(events, ref):
    return [event.kind.value for event in events if event.ref == ref and event.kind in BEGINS_AND_ENDS]


CALLS = {
    "get": lambda client: client.get(REF),
    "get_many": lambda client: client.get_many([REF, OTHER], timeout=90),
    "wait": lambda client: client.wait(REF),
    "wait_all": lambda client: client.wait_all([REF, OTHER, THIRD], timeout=900),
    "as_completed": lambda client: client.as_completed([REF, OTHER], timeout=900),
    "watch": lambda client: client.watch([REF, THIRD], timeout=900),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_events_of_a_call_share_it(client, heard, name):
    """Each ref begins once, before all else, and is done once."""
    CALLS[name](client)
    assert {event.call.name for event in heard} == {name}
    assert len({event.call for event in heard}) == 1
    for ref in {event.ref for event in heard}:
        assert ends(heard, ref) == ["start", "done"]
        assert next(event for event in heard if event.ref == ref).kind is EventKind.START


def test_two_calls_about_a_batch_are_two(client, heard):
    client.get(REF)
    client.get(REF)
    assert len({event.call for event in heard}) == 2


def test_a_step_that_goes_on_is_left(client, heard):
    step = client.step(REF)
    assert ends(heard, REF) == ["start", "left"]
    while not step.is_over:
        heard.clear()
        step = client.step(REF, resume=step.checkpoint)
    assert ends(heard, REF) == ["start", "done"]


def test_a_step_that_sends_nothing_is_left(client, heard, vendors):
    """The pace has no slot in its time."""
    client.step(REF)
    heard.clear()
    assert client.step(REF, timeout=0.01).batch is None
    assert [event.kind for event in heard] == [EventKind.START, EventKind.LEFT]


def test_an_attempt_tells_of_its_exchange(reader, heard):
    answers = [[response(b"", "503 Down")], [HANG_UP], [HANG_UP], [response(GOOD)]]
    with serving(lambda _: answers.pop(0)) as server:
        reader(Believe(KEY, base_url=server.url), on_event=heard.append).get("believe:1")
    attempts = [event for event in heard if event.kind is EventKind.ATTEMPT]
    assert [event.status_code for event in attempts] == [503, None, 200]
    assert {event.method for event in attempts} == {"GET"}
    assert {event.server for event in attempts} == {server.url.removeprefix("http://")}
    assert all(event.url.startswith(server.url) and event.url.endswith("/1") for event in attempts)
    start = heard[0]
    assert (start.method, start.url, start.server, start.status_code) == ("", "", "", None)


def test_a_poll_tells_of_its_exchange(client, heard):
    client.wait(REF)
    attempts = [event for event in heard if event.kind is EventKind.ATTEMPT]
    assert [event.status_code for event in attempts] == [200, 503, 200, 200]
    assert {event.server for event in attempts} == {"api.gameball.co"}


def test_a_query_is_not_told():
    """A vendor of somebody else's may have a key in it."""
    assert (
        exchange(Request(url="https://api.example/v1/1?token=test-key", keys={}))["url"] == "https://api.example/v1/1"
    )


# A caller who leaves


def broken_off(client, heard):
    for _ in client.as_completed([REF, OTHER, THIRD], timeout=900):
        break


def raising(client, heard):
    def fail(batch):
        raise LookupError

    with pytest.raises(LookupError):
        client.wait(REF, on_update=fail)


def closed(client, heard):
    watching = client.watch([REF, OTHER], timeout=900)
    next(watching)
    watching.close()


@pytest.mark.parametrize("leave", [broken_off, raising, closed])
def test_a_call_that_is_broken_off_is_left(vendors, heard, leave):
    """Each batch that has begun ends once, as done or as left."""
    with vendors.client(on_event=heard.append) as client:
        leave(client, heard)
    refs = {event.ref for event in heard}
    assert {tuple(ends(heard, ref)) for ref in refs} <= {("start", "done"), ("start", "left")}
    assert EventKind.LEFT in {event.kind for event in heard}


def test_a_broken_off_wait_in_tasks_is_left(vendors, heard):
    async def main():
        async with vendors.async_client(on_event=heard.append) as client:
            completed = client.as_completed([REF, OTHER, THIRD], timeout=900)
            async for _ in completed:
                break
            await completed.aclose()

    asyncio.run(main())
    assert {tuple(ends(heard, ref)) for ref in (REF, OTHER, THIRD)} == {("start", "done"), ("start", "left")}


@pytest.mark.parametrize("name", ["get", "wait", "step", "get_many"])
def test_a_cancelled_call_is_left(heard, name):
    """In the middle of an exchange."""

    async def main():
        transport = Hanging()
        async with AsyncBatchClient(Believe(KEY), transport=transport, on_event=heard.append) as client:
            call = getattr(client, name)
            task = asyncio.create_task(call([THIRD], timeout=90) if name == "get_many" else call(THIRD))
            await transport.begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert ends(heard, THIRD) == ["start", "left"]
    assert {event.call.name for event in heard} == {name}


def test_a_followed_batch_in_flight_is_left(heard):
    """Others in `follow` neither begin nor are left."""

    async def main():
        transport, told = Hanging(), asyncio.Event()

        def hear(event):
            heard.append(event)
            told.set()

        async with (
            AsyncBatchClient(Believe(KEY), transport=transport, on_event=hear) as client,
            client.follow([THIRD]) as following,
        ):
            outcomes = asyncio.create_task(anext(aiter(following)))
            await transport.begun.wait()
            following.discard(THIRD)
            await told.wait()
            outcomes.cancel()
            await asyncio.wait([outcomes])

    asyncio.run(main())
    assert ends(heard, THIRD) == ["left"]


def test_the_end_of_follow_leaves_what_is_in_flight(heard):
    async def main():
        transport = Hanging()
        async with (
            AsyncBatchClient(Believe(KEY), transport=transport, on_event=heard.append) as client,
            client.follow([THIRD]) as following,
        ):
            outcomes = asyncio.create_task(anext(aiter(following)))
            await transport.begun.wait()
            assert heard == []
            outcomes.cancel()
            await asyncio.wait([outcomes])

    asyncio.run(main())
    assert ends(heard, THIRD) == ["left"]


def test_each_of_many_begins_before_its_request(reader, heard):
    """Also those that are taken in while others are polled: the first one of a second account is polled at once."""
    vendors, refs = FakeVendors(), [BatchRef("gameball", str(number)) for number in range(300)]
    refs += [BatchRef("believe", str(number)) for number in range(20)]
    for ref in refs:
        vendors.script(ref, "completed" if ref.vendor == "gameball" else "EXECUTED")

    def send(event):
        heard.append(event)
        return {}

    client = reader(vendors=vendors, on_event=heard.append, request_headers=send)
    client.wait_all(refs, timeout=10_000)
    order = {}
    for event in heard:
        order.setdefault(event.ref, []).append(event.kind.value)
    assert Counter(map(tuple, order.values())) == {("start", "send", "attempt", "change", "done"): 320}


def test_each_of_many_reads_begins_before_its_request(reader, vendors, heard):
    def send(event):
        heard.append(event)
        return {}

    reader(vendors=vendors, on_event=heard.append, request_headers=send).get_many([REF, OTHER, THIRD], timeout=90)
    for ref in (REF, OTHER, THIRD):
        kinds = [event.kind.value for event in heard if event.ref == ref]
        assert kinds == ["start", "send", "attempt", "done"]


def test_a_wait_that_times_out_is_done(client, heard):
    with pytest.raises(WaitTimeout):
        client.wait(REF, timeout=1)
    assert ends(heard, REF) == ["start", "done"]


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_has_a_summary(kind, vendors):
    with vendors.client() as client:
        batch = client.get(REF)
    assert str(REF) in str(Event(kind=kind, ref=REF, batch=batch, pause=1.0))


# The caller's context

user = contextvars.ContextVar("user", default="nobody")


class Noting:
    """A transport that notes the context of each exchange, and its thread."""

    def __init__(self):
        self.users, self.threads = [], set()

    def send(self, step, timeout):
        self.users.append(user.get())
        self.threads.add(threading.current_thread())
        body = b'{"id": "%s", "status": "EXECUTED"}' % step.request.url.rpartition("/")[2].encode()
        return Response(status=200, headers={}, body=body)

    def discard_idle_connections(self):
        pass

    def close(self):
        pass


class AsyncNoting(Noting):
    async def send(self, step, timeout):
        return super().send(step, timeout)

    async def close(self):
        pass


def test_threads_keep_the_callers_context():
    transport = Noting()
    token = user.set("caller")
    try:
        with BatchClient(Believe(KEY, rate_limit=None), transport=transport) as client:
            client.wait_all([f"believe:{number}" for number in range(8)], timeout=60)
            client.get_many([f"believe:{number}" for number in range(8)], timeout=60)
    finally:
        user.reset(token)
    assert transport.users == ["caller"] * 16
    assert threading.current_thread() not in transport.threads


def test_tasks_keep_the_callers_context():
    transport = AsyncNoting()

    async def main():
        user.set("caller")
        async with AsyncBatchClient(Believe(KEY, rate_limit=None), transport=transport) as client:
            await client.wait_all([f"believe:{number}" for number in range(8)], timeout=60)

    asyncio.run(main())
    assert transport.users == ["caller"] * 8
