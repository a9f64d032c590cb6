"""Connections: which one a read takes, when one is kept, and that none is lost or answers for another."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import ssl
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from batchstatus import (
    AsyncBatchClient,
    BatchClient,
    BatchNotFound,
    Believe,
    RequestTimeout,
    RetryPolicy,
    TransportError,
)
from batchstatus._http import pool as pool_module
from leftovers import sockets
from raw_server import HANG_UP, RawServer, elapsed, response, serving
from waiting import HANG, LONG, until

KEY = "test-connections-key"
GOOD = b'{"id": "%d", "status": "EXECUTED"}'
ONCE = RetryPolicy(attempts=1)


def believe(server):
    return Believe(KEY, base_url=server.url, rate_limit=None)


def asked(head):
    """The id that a request asks for."""
    return int(head.split()[1].rpartition(b"/")[2])


def echo(head):
    return [response(GOOD % asked(head))]


def opened(server):
    return len(server._connections)


def test_one_connection_serves_many_reads(reader):
    """One connection serves reads that follow each other."""
    with serving(echo) as server:
        client = reader(believe(server))
        for number in range(5):
            client.get(f"believe:{number}")
        assert opened(server) == 1


@pytest.mark.parametrize("surplus", [GOOD % 1, b"junk"], ids=["an answer", "junk"])
@pytest.mark.quirk("G25")
def test_bytes_after_a_response_are_never_used(reader, surplus):
    """The shape of Gameball's tutorials, which echoes no id, would be believed; here a status tells the two apart."""
    with serving(lambda head: [response(GOOD % asked(head)) + response(surplus, "404 Not Found")]) as server:
        client = reader(believe(server), retry=ONCE)
        for number in range(3):
            assert client.get(f"believe:{number}").ref.id == str(number)
        assert opened(server) == 3


def test_what_comes_later_answers_no_other_read(reader):
    with serving(lambda head: [response(GOOD % asked(head)), 0.05, response(b"", "404 Not Found"), 60.0]) as server:
        client = reader(believe(server), retry=ONCE)
        for number in range(3):
            client.get(f"believe:{number}")
            time.sleep(0.15)
        assert opened(server) == 3


class OneAnswerEach(RawServer):
    """Answers one request of each connection, keeps it open, and hangs up when the next one comes."""

    def serve(self, connection):
        with connection:
            if head := self.receive(connection):
                connection.sendall(response(GOOD % asked(head)))
                self.heads.append(self.receive(connection))


def test_a_stale_connection_is_replaced(reader):
    """A kept connection that closes as the next read comes is replaced at once."""
    server = OneAnswerEach(echo)
    acceptor = threading.Thread(target=server.accept)
    acceptor.start()
    try:
        client = reader(believe(server), retry=ONCE)
        for number in range(4):
            assert client.get(f"believe:{number}").attempts == 1
        client.close()
    finally:
        server.close()
        acceptor.join(LONG)
    assert opened(server) == 4


def test_a_fresh_connection_is_not_retried(reader):
    """A fresh connection that closes is not tried again within the attempt."""
    with serving(lambda _: [HANG_UP]) as server:
        with pytest.raises(TransportError):
            reader(believe(server), retry=ONCE).get("believe:1")
        assert len(server.heads) == 1


def test_a_half_read_answer_is_never_read_on(reader):
    def script(head):
        body = GOOD % asked(head)
        return [response(body)[:-5], 0.6, body[-5:]] if asked(head) == 1 else [response(body)]

    with serving(script) as server:
        client = reader(believe(server), retry=ONCE)
        with pytest.raises(RequestTimeout):
            client.get("believe:1", timeout=0.3)
        assert client.get("believe:2").ref.id == "2"
        assert opened(server) == 2


def test_idle_connections_are_closed(monkeypatch):
    """Connections that idle for too long are closed."""
    monkeypatch.setattr(pool_module, "MAX_IDLE_SECONDS", 0.2)
    gate = threading.Barrier(5)

    def script(head):
        if asked(head) < 5:
            gate.wait(5)
        return echo(head)

    before = sockets()
    with serving(script) as server, BatchClient(believe(server)) as client, ThreadPoolExecutor(5) as threads:
        list(threads.map(client.get, [f"believe:{number}" for number in range(5)]))
        assert opened(server) == 5
        time.sleep(0.3)
        client.get("believe:7")
        free = client._transport._pool._free.values()
        assert [len(stack) for stack in free] == [1]
    assert sockets() == before


def test_more_reads_than_connections_wait_for_one(monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_CONNECTIONS", 4)
    under_way, most = 0, 0
    lock = threading.Lock()

    def script(head):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.01)
        with lock:
            under_way -= 1
        return echo(head)

    refs = [f"believe:{number}" for number in range(40)]
    with serving(script) as server:
        with BatchClient(believe(server)) as client, ThreadPoolExecutor(40) as pool:
            assert [str(batch.ref) for batch in pool.map(client.get, refs)] == refs

        async def main():
            async with AsyncBatchClient(believe(server)) as client:
                return [str(batch.ref) for batch in await asyncio.gather(*map(client.get, refs))]

        assert asyncio.run(main()) == refs
    assert most == 4


@pytest.mark.parametrize(("files", "expected"), [(64, 1), (100, 36), (4096, 256), (-1, 256)])
def test_connections_leave_descriptors_for_others(monkeypatch, files, expected):
    """A process with 64 of them can still open its store."""
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert pool_module.max_connections() == expected


def test_a_full_pool_is_a_timeout(monkeypatch):
    """A read that gets no connection in time says so."""
    monkeypatch.setattr(pool_module, "MAX_CONNECTIONS", 1)
    with (
        serving(lambda head: [1.0, *echo(head)]) as server,
        BatchClient(believe(server), retry=ONCE) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(client.get, "believe:1")
        until(lambda: server.heads)
        started = time.monotonic()
        with pytest.raises(RequestTimeout):
            client.get("believe:2", timeout=0.2)
        assert elapsed(started) < 1.0 + HANG
        assert first.result().ref.id == "1"


def test_cancelled_reads_leave_nothing_behind():
    """A storm of 2,000 reads, most of them cancelled: no socket, task, thread or place is lost, no answer mixed up."""
    draw = random.Random(5)
    before, threads = sockets(), threading.active_count()

    async def main(server):
        async with AsyncBatchClient(believe(server), retry=ONCE) as client:
            for _ in range(10):
                tasks = [asyncio.create_task(client.get(f"believe:{number}")) for number in range(200)]
                for task in draw.sample(tasks, 150):
                    asyncio.get_running_loop().call_later(draw.uniform(0, 0.3), task.cancel)
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
                assert {type(outcome).__name__ for outcome in outcomes} <= {"Batch", "CancelledError"}
                good = [outcome for outcome in outcomes if not isinstance(outcome, asyncio.CancelledError)]
                assert all(batch.payload["id"] == batch.ref.id for batch in good)
            assert (await client.get("believe:999")).ref.id == "999"
            assert client._transport._room._value == pool_module.MAX_CONNECTIONS
        return len(asyncio.all_tasks())

    with serving(lambda head: [draw.uniform(0, 0.05), *echo(head)]) as server:
        assert asyncio.run(main(server)) == 1
    assert sockets() <= before
    until(lambda: threading.active_count() <= threads)


def test_a_twice_cancelled_read_loses_nothing():
    """A read that is cancelled twice loses no connection."""
    before = sockets()

    async def main(server):
        async with AsyncBatchClient(believe(server)) as client:
            task = asyncio.create_task(client.get("believe:1"))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with serving(lambda _: [60.0]) as server:
        asyncio.run(main(server))
    assert sockets() == before


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
def test_a_stuck_handshake_leaves_no_socket(how):
    """A tls handshake that goes nowhere leaves no socket."""

    async def main(port):
        account = Believe(KEY, base_url=f"https://127.0.0.1:{port}", rate_limit=None)
        async with AsyncBatchClient(account, retry=ONCE, verify=ssl.create_default_context()) as client:
            before = sockets()
            task = asyncio.create_task(client.get("believe:1", timeout=0.2 if how == "timed out" else 30))
            await asyncio.sleep(0.1)
            if how == "cancelled":
                task.cancel()
            with pytest.raises((asyncio.CancelledError, RequestTimeout)):
                await task
            await asyncio.sleep(0.05)
            return sockets() - before

    with socket.create_server(("127.0.0.1", 0)) as silent, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert asyncio.run(main(silent.getsockname()[1])) == 0
        gc.collect()


def test_a_thousand_tasks_share_a_client():
    failures = []

    def note(event):
        if event.error is not None:
            failures.append(str(event.error))

    async def main(server):
        async with AsyncBatchClient(believe(server), on_event=note) as client:
            batches = await asyncio.gather(*[client.get(f"believe:{number}") for number in range(1_000)])
        return [int(batch.ref.id) for batch in batches]

    with serving(echo) as server:
        assert asyncio.run(main(server)) == list(range(1_000))
        assert failures == []
        assert opened(server) <= pool_module.MAX_CONNECTIONS


def test_a_client_that_is_never_closed_says_so():
    with serving(echo) as server:
        client = BatchClient(believe(server))
        client.get("believe:1")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del client
            gc.collect()
    assert "unclosed client of batchstatus: call its close(), or use `with`" in [str(w.message) for w in caught]


@pytest.mark.parametrize("used", [False, True])
def test_a_closed_client_does_not_warn(used):
    """A client that is closed or was never used says nothing."""
    with serving(lambda _: [response(b"", "404 Not Found")]) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        client = BatchClient(believe(server))
        if used:
            with pytest.raises(BatchNotFound):
                client.get("believe:1")
            client.close()
        del client
        gc.collect()
