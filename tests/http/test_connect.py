"""How a connection is opened: look-ups that hang, hosts with several addresses, and an end in the middle."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from batchstatus import AsyncBatchClient, BatchClient, Believe, RequestTimeout, RetryPolicy, TransportError
from batchstatus._http import connect
from batchstatus._http.connect import HEAD_START, Step, ThreadRace, interleaved, race, race_in_tasks
from leftovers import sockets
from raw_server import elapsed, response, serving
from waiting import HANG, LONG, until

KEY = "test-connect-key"
GOOD = b'{"id": "1", "status": "EXECUTED"}'
ONCE = RetryPolicy(attempts=1)


def at(port):
    return Believe(KEY, rate_limit=None, base_url=f"http://localhost:{port}")


@pytest.fixture
def looked_up(monkeypatch):
    """Let `localhost` have other addresses; the list of its look-ups."""
    asked, real = [], socket.getaddrinfo

    def set_addresses(find):
        def look_up(host, port, *args, **options):
            if host not in ("localhost", b"localhost"):
                return real(host, port, *args, **options)
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in find()]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return asked

    return set_addresses


@contextmanager
def black_holes(port, *addresses):
    """Take connections in and never answer the handshake's start: the backlog is full."""
    with ExitStack() as stack:
        for address in addresses:
            hole = stack.enter_context(socket.create_server((address, port), backlog=0))
            for _ in range(4):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(hole.getsockname())
        yield


# The rule


def told(outcomes, *addresses):
    """The steps of a race that is sent these outcomes, and its result."""
    steps, rule = [], race(addresses)
    try:
        step = next(rule)
        for outcome in outcomes:
            steps.append(step)
            step = rule.send(outcome)
    except StopIteration as end:
        return steps, end.value
    except OSError as error:
        return steps, error
    raise AssertionError(f"it goes on with {step}")


REFUSED, UNREACHABLE = OSError("refused"), OSError("unreachable")


@pytest.mark.parametrize(
    ("outcomes", "steps", "result"),
    [
        pytest.param(["one"], [Step("1", HEAD_START)], "one", id="the first one answers"),
        pytest.param(
            [None, None, "two"],
            [Step("1", HEAD_START), Step("2", HEAD_START), Step("3", math.inf)],
            "two",
            id="each has a head start",
        ),
        pytest.param(
            [UNREACHABLE, "two"], [Step("1", HEAD_START), Step("2", HEAD_START)], "two", id="a failure ends it"
        ),
        pytest.param(
            [None, UNREACHABLE, UNREACHABLE, REFUSED],
            [Step("1", HEAD_START), Step("2", HEAD_START), Step("3", math.inf), Step(None, math.inf)],
            REFUSED,
            id="the last failure is raised",
        ),
    ],
)
def test_addresses_race(outcomes, steps, result):
    assert told(outcomes, "1", "2", "3") == (steps, result)


def test_families_take_turns():
    found = [(10, "::1"), (10, "::2"), (10, "::3"), (2, "127.0.0.1"), (2, "127.0.0.1")]
    assert interleaved(found) == ["::1", "127.0.0.1", "::2", "::3"]


def test_a_late_connection_is_closed():
    """Of two that open, the one that loses is closed, whether it opens before or after the race has ended."""
    gate, closed = threading.Event(), []

    def open_one(address, _):
        if address == "slow":
            gate.wait(LONG)
        return address

    assert ThreadRace(open_one, closed.append).run(["slow", "quick"], lambda: LONG) == "quick"
    gate.set()
    until(lambda: closed == ["slow"])


def test_what_a_signals_handler_raises_is_no_failure_of_an_address():
    class Alarm(BaseException):
        pass

    async def interrupted(address):
        raise Alarm

    with pytest.raises(Alarm):
        asyncio.run(race_in_tasks(["1", "2"], interrupted))


# Real connections


def test_a_silent_address_delays_by_its_head_start(reader, looked_up):
    """The first two addresses are black holes; each would take the whole timeout."""
    with serving(lambda _: [response(GOOD)]) as server:
        port = int(server.url.rpartition(":")[-1])
        with black_holes(port, "127.0.0.2", "127.0.0.3"):
            looked_up(lambda: ("127.0.0.2", "127.0.0.3", "127.0.0.1"))
            started = time.monotonic()
            assert reader(at(port), retry=ONCE).get("believe:1", timeout=60).has_ended
            assert elapsed(started) < 2 * HEAD_START + HANG


def test_a_refusing_address_delays_nothing(reader, looked_up):
    with serving(lambda _: [response(GOOD)]) as server:
        looked_up(lambda: ("127.0.0.2", "127.0.0.1"))
        assert reader(at(server.url.rpartition(":")[-1]), retry=ONCE).get("believe:1", timeout=LONG).has_ended


def test_black_holes_alone_are_left_in_time(reader, looked_up):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with black_holes(port, "127.0.0.2", "127.0.0.3"):
            before = sockets()
            client = reader(at(port), retry=ONCE)
            looked_up(lambda: ("127.0.0.2", "127.0.0.3"))
            started = time.monotonic()
            with pytest.raises(RequestTimeout):
                client.get("believe:1", timeout=0.6)
            assert elapsed(started) < 0.6 + HANG
            client.finish()
            until(lambda: sockets() <= before)


# Look-ups


def test_a_hanging_look_up_is_left_in_time(reader, looked_up):
    gate = threading.Event()
    looked_up(lambda: gate.wait(LONG) and ())
    started = time.monotonic()
    try:
        with pytest.raises(RequestTimeout):
            reader(at(9), retry=ONCE).get("believe:1", timeout=0.3)
        assert elapsed(started) < 0.3 + HANG
    finally:
        gate.set()


def test_reads_of_a_host_share_its_look_up(looked_up):
    """Those that come while one is under way; one that gives up costs the others nothing."""
    gate = threading.Event()
    with serving(lambda _: [response(GOOD)]) as server:
        account = at(server.url.rpartition(":")[-1])
        asked = looked_up(lambda: gate.wait(LONG) and ("127.0.0.1",))
        with BatchClient(account, retry=ONCE) as client, ThreadPoolExecutor(20) as threads:
            hasty = threads.submit(client.get, "believe:1", timeout=0.1)
            patient = [threads.submit(client.get, "believe:1", timeout=LONG) for _ in range(19)]
            assert isinstance(hasty.exception(LONG), RequestTimeout)
            gate.set()
            assert all(read.result(LONG).has_ended for read in patient)
        assert 1 <= len(asked) <= 19  # those that come after the answer ask anew
        gate.clear()

        async def main():
            async with AsyncBatchClient(account, retry=ONCE) as client:
                hasty = asyncio.create_task(client.get("believe:1", timeout=LONG))
                patient = [asyncio.create_task(client.get("believe:1", timeout=LONG)) for _ in range(19)]
                await asyncio.sleep(0.1)
                hasty.cancel()
                await asyncio.wait([hasty])
                gate.set()
                return [batch.has_ended for batch in await asyncio.gather(*patient)]

        asked.clear()
        assert asyncio.run(main()) == [True] * 19
        assert len(asked) == 1
    assert not connect._under_way


def test_an_unknown_host_is_a_lasting_failure(reader, looked_up):
    def unknown():
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    looked_up(unknown)
    with pytest.raises(TransportError, match="Name or service not known") as caught:
        reader(at(9), retry=ONCE).get("believe:1")
    assert caught.value.is_lasting
    assert isinstance(caught.value.__cause__, socket.gaierror)


HANGING = """if True:
    import asyncio, socket, sys, time
    from batchstatus import AsyncBatchClient, BatchClient, Believe

    def look_up(*args, **options):
        print("asked", flush=True)
        time.sleep(60)

    socket.getaddrinfo = look_up
    account = Believe("test-connect-key", base_url="http://localhost:9")

    def get():
        BatchClient(account).get("believe:1")

    def wait_all():
        BatchClient(account).wait_all(["believe:1", "believe:2"], timeout=60)

    async def get_async():
        async with AsyncBatchClient(account) as client:
            await client.get("believe:1")

    if sys.argv[1] == "get_async":
        asyncio.run(get_async())
    else:
        globals()[sys.argv[1]]()
"""


@pytest.mark.parametrize("how", ["get", "wait_all", "get_async"])
def test_ctrl_c_waits_for_no_look_up(how):
    """Neither Ctrl-C nor the interpreter's exit."""
    command = [sys.executable, "-W", "ignore", "-c", HANGING, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout.readline() == b"asked\n"
            time.sleep(0.5)  # asyncio.run may miss a signal that comes just as its loop goes to sleep
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(LONG) != 0
            assert elapsed(started) < 0.5 + HANG
        finally:
            process.kill()
