"""The HTTP server of a service, over real HTTP: its answers, to whom, and its end."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
from contextlib import asynccontextmanager
from functools import partial

import pytest
import uvicorn_logs
from batchstatus import Believe
from batchstatus.service import Store, Watcher
from batchstatus.service.http import Monitor
from batchstatus.service.http import app as app_module
from batchstatus.service.http import feed as feed_module

PATHS = ["/", "/livez", "/readyz", "/metrics", "/events", "/page.css", "/page.js", "/icon.svg"]


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.sqlite3") as store:
        yield store


@asynccontextmanager
async def serving(store, accounts=(), **options):
    """A watcher and its monitor; yields a function that asks it, in a thread."""
    accounts = accounts or [Believe("test-believe-key")]
    with Monitor(store, accounts, "127.0.0.1:0", **options) as monitor:
        watcher, stop = Watcher(store, accounts, on_event=monitor.on_event), asyncio.Event()
        async with monitor.serving(watcher):
            running = asyncio.create_task(watcher.run(stop))
            yield partial(asyncio.to_thread, ask, monitor.url)
            stop.set()
            await running


def ask(url, path, *, method="GET", host=None):
    """Return status, headers and the beginning of the body."""
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=30)
    try:
        connection.request(method, path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        body = answer.read1() if path == "/events" and answer.status == 200 else answer.read()
        return answer.status, answer.headers, body.decode()
    finally:
        connection.close()


async def until(asked, expected):
    """Ask until it is so."""
    async with asyncio.timeout(30):
        while True:
            if expected(answer := await asked()):
                return answer
            await asyncio.sleep(0.02)


def test_it_tells_life_and_readiness(store):
    async def told():
        async with serving(store) as ask:
            await until(lambda: ask("/livez"), lambda answer: answer[0] == 200)
            status, headers, body = await ask("/readyz")
            return status, headers["content-type"], json.loads(body)

    assert asyncio.run(told()) == (200, "application/json", {"ready": True, "problems": []})


def test_a_watcher_that_does_not_run_is_told(store):
    async def told():
        with Monitor(store, [], "127.0.0.1:0") as monitor:
            async with monitor.serving(Watcher(store, [Believe("test-believe-key")])):
                return [await asyncio.to_thread(ask, monitor.url, path) for path in ("/livez", "/readyz")]

    (livez, _, _), (readyz, _, body) = asyncio.run(told())
    assert (livez, readyz, json.loads(body)["ready"]) == (503, 503, False)


def test_a_refused_key_is_not_ready(store, simulator):
    """The reasons name the account, and hold no key."""
    store.track([simulator.add("believe", status="PENDING")])

    async def told():
        accounts = [Believe("test-wrong-key", base_url=simulator.url)]
        async with serving(store, accounts) as ask:
            return await until(lambda: ask("/readyz"), lambda answer: answer[0] == 503)

    _, _, body = asyncio.run(told())
    (problem,) = json.loads(body)["problems"]
    assert problem.startswith("believe: no poll has succeeded yet: AuthenticationError: ")
    assert "test-wrong-key" not in body


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
def test_another_host_gets_nothing(store, path):
    """A page whose name was rebound to this address cannot read anything."""

    async def told():
        async with serving(store) as ask:
            return await ask(path, host="evil.example:80")

    status, headers, body = asyncio.run(told())
    assert status == 421
    assert body == "this service does not know the host of the request: allow it with --http-host\n"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_named_hosts_are_answered(store):
    async def told():
        async with serving(store, hosts=["Status.example"]) as ask:
            return [(await ask("/livez", host=host))[0] for host in ("status.example", "localhost:1", "other.example")]

    assert asyncio.run(told()) == [200, 200, 421]


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
def test_every_answer_is_confined(store, path):
    """No browser keeps it, frames it, guesses its type, or loads anything from elsewhere for it."""

    async def told():
        async with serving(store) as ask:
            return await ask(path)

    _, headers, _ = asyncio.run(told())
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'"}
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["access-control-allow-origin"] is None
    assert headers["server"] is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_it_only_reads(store, method):
    async def told():
        async with serving(store) as ask:
            return [(await ask(path, method=method))[0] for path in PATHS]

    assert asyncio.run(told()) == [405] * len(PATHS)


def test_the_page_follows_by_events(store, simulator):
    """First all of it, then the changes."""
    ref = simulator.add("believe", status="PENDING")

    async def told():
        accounts = [account for account in simulator.accounts() if account.vendor == "believe"]
        async with serving(store, accounts) as ask:
            _, headers, body = await ask("/events")
            first = body
            store.track([ref])
            return headers["content-type"], first, await until(lambda: ask("/"), lambda found: ref.id in found[2])

    kind, first, (_, _, page) = asyncio.run(told())
    assert kind.startswith("text/event-stream")
    assert first.startswith("retry: ")
    assert str(ref) in page


def test_a_stream_sends_only_news_and_ends_with_the_service(store, monkeypatch):
    """Its end does not hold up the service's."""
    monkeypatch.setattr(feed_module, "INTERVAL", 0.05)
    messages = []

    async def told():
        async with serving(store) as ask:
            reading = asyncio.create_task(asyncio.to_thread(read_stream, ask.args[1], messages))
            await until(partial(ask, "/livez"), lambda _: len(messages) > 3)
        await asyncio.wait_for(reading, 30)

    asyncio.run(told())
    assert set(messages[0]["parts"]) >= {"health", "numbers", "attention", "trouble", "open", "states", "changes"}
    assert messages[-1]["parts"] == {}


def read_stream(url, messages):
    """Read messages until the stream ends."""
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=30)
    connection.request("GET", "/events")
    for line in connection.getresponse():
        if line.startswith(b"data: "):
            messages.append(json.loads(line.removeprefix(b"data: ")))
    connection.close()


def test_there_are_so_many_streams_at_most(store, monkeypatch):
    monkeypatch.setattr(app_module, "MAX_STREAMS", 0)

    async def told():
        async with serving(store) as ask:
            return await ask("/events")

    assert asyncio.run(told())[0] == 503


def test_the_store_is_not_read_if_nobody_looks(store, monkeypatch):
    """Probes of life and readiness cost no query."""
    asked = []
    overview = store.overview
    monkeypatch.setattr(store, "overview", lambda: asked.append(1) or overview())

    async def told():
        async with serving(store) as ask:
            for path in ("/livez", "/readyz", "/page.css"):
                await ask(path)
            before = len(asked)
            await asyncio.gather(*(ask(path) for path in ("/", "/metrics", "/", "/metrics")))
            return before, len(asked)

    assert asyncio.run(told()) == (0, 1)


def test_it_leaves_logging_alone(store):
    """The application around it may be served by uvicorn itself."""

    async def told():
        async with serving(store) as ask:
            return await ask("/livez")

    with uvicorn_logs.left_alone() as written:
        assert asyncio.run(told())[0] in {200, 503}
    assert "uvicorn.access" not in written


def test_signals_stay_the_services(store):
    async def told():
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        async with serving(store) as ask:
            await ask("/livez")
            return before, [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    before, meanwhile = asyncio.run(told())
    assert before == meanwhile


def test_a_store_that_cannot_be_read_leaves_the_page(store, monkeypatch):
    """The rest of it is there."""
    import sqlite3

    def fail():
        error = sqlite3.OperationalError("disk I/O error")
        store.faults.note(error)
        raise error

    monkeypatch.setattr(store, "overview", fail)

    async def told():
        async with serving(store) as ask:
            return [await ask(path) for path in ("/", "/metrics")]

    (page, _, html), (metrics, _, text) = asyncio.run(told())
    assert (page, metrics) == (200, 200)
    assert "store: disk I/O error" in html
    assert "batchstatus_store_errors_total 1.0" in text
    assert "batchstatus_batches" not in text
