"""Waits, by both clients, over real HTTP: what ends them, what they tell, what they leave behind."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time

import pytest
from batchstatus import (
    AsyncBatchClient,
    BatchClient,
    BatchNotFound,
    BatchRef,
    BatchState,
    Believe,
    ConfigurationError,
    TransportError,
    WaitStopped,
    WaitTimeout,
)
from batchstatus.testing import FakeClock, FakeVendors, reading
from batchstatus.testing.simulator import Quirk, Simulator
from raw_server import HANG_UP, elapsed, response, serving
from transports import Hanging
from waiting import HANG, LONG, until

KEY = "test-believe-key"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def moving(clock):
    """Both vendors, whose batches move with the clock of the waits."""
    with Simulator(clock=clock.monotonic, epoch=clock.utc()) as simulator:
        yield simulator


def test_a_wait_returns_the_ended_batch(reader, moving, clock):
    """A wait ends with its batch and tells each change."""
    ref, seen = moving.add("gameball", seconds=100, total=200, failed=2), []
    done = reader(*moving.accounts(), clock=clock).wait(ref, timeout=900, on_update=seen.append)
    assert (done.state, done.is_partial) == (BatchState.SUCCEEDED, True)
    assert seen[0].state is BatchState.PENDING
    assert seen[-1] == done
    assert [batch.counts.processed for batch in seen] == sorted({batch.counts.processed for batch in seen})
    assert 100 <= clock.now < 103
    assert len(moving.reads) <= 20


def test_a_batch_that_has_ended_is_read_once(reader, moving, clock):
    assert reader(*moving.accounts(), clock=clock).wait(moving.add("believe", seconds=0)).state is BatchState.SUCCEEDED
    assert (len(moving.reads), clock.now) == (1, 0.0)


def test_a_failed_batch_is_a_result(reader, moving, clock):
    ref = moving.add("believe", seconds=30, ends="FAILED", failed=3)
    assert reader(*moving.accounts(), clock=clock).wait(ref).state is BatchState.FAILED


def test_a_wait_can_end_at_requires_action(reader, moving, clock, caplog):
    """A wait can end where somebody has to act which is announced once."""
    ref = moving.add("believe", seconds=600)
    client = reader(*moving.accounts(), clock=clock)
    assert client.wait(ref, until={BatchState.REQUIRES_ACTION}).state is BatchState.REQUIRES_ACTION
    client.wait(ref)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2  # once in each wait
    assert "needs approval or execution" in warnings[0]


def test_until_takes_states_or_their_names(reader, moving, clock):
    """Until takes one state or its word and refuses others."""
    client = reader(*moving.accounts(), clock=clock)
    ref = moving.add("gameball", seconds=100)
    assert client.wait(ref, until=BatchState.PENDING).state is BatchState.PENDING
    assert client.wait(ref, until=["running"]).state is BatchState.RUNNING
    with pytest.raises(ConfigurationError, match="until takes states"):
        client.wait(ref, until={"nonsense"})


def test_a_timeout_carries_a_checkpoint(reader, moving, clock):
    """A timeout carries the last batch and a checkpoint that goes on elsewhere."""
    ref = moving.add("gameball", seconds=100, total=10)
    with pytest.raises(WaitTimeout, match=r"still RUNNING \(processing\) after 50.0 s") as caught:
        reader(*moving.accounts(), clock=clock).wait(ref, timeout=50)
    error = caught.value
    assert (error.last.state, error.elapsed, error.attempts) == (BatchState.RUNNING, 50.0, len(moving.reads))
    assert clock.now == 50.0
    assert error.last.read_at.timestamp() > clock.utc().timestamp() - 3, "the last read is just before the deadline"
    text = json.dumps(error.checkpoint)
    other = reader(*moving.accounts(), clock=clock)
    assert other.wait(ref, timeout=900, resume=text).state is BatchState.SUCCEEDED


def test_a_checkpoint_keeps_its_fields(reader, moving, clock):
    """A checkpoint keeps deadline states and reads."""
    ref = moving.add("believe", status="FINALIZED")
    client = reader(*moving.accounts(), clock=clock)
    with pytest.raises(WaitTimeout) as caught:
        client.wait(ref, timeout=10)
    checkpoint = {**caught.value.checkpoint, "deadline": (clock.utc().isoformat()).replace("+00:00", "Z")}
    checkpoint["deadline"] = checkpoint["deadline"].replace("12:00:10", "12:00:30")
    with pytest.raises(WaitTimeout) as again:
        client.wait(ref, resume=checkpoint)
    assert clock.now == 30.0
    assert again.value.attempts == len(moving.reads)


@pytest.mark.parametrize(
    "bad", ["", "{}", "[]", "7", {"batchstatus_checkpoint": 3}, {"batchstatus_checkpoint": 1}], ids=repr
)
def test_what_is_no_checkpoint_is_refused(reader, moving, clock, bad):
    with pytest.raises(ConfigurationError, match="resume takes"):
        reader(*moving.accounts(), clock=clock).wait("believe:1", resume=bad)
    assert moving.reads == []


def test_a_checkpoint_of_another_batch_is_refused(reader, moving, clock):
    client = reader(*moving.accounts(), clock=clock)
    with pytest.raises(WaitTimeout) as caught:
        client.wait(moving.add("believe", status="FINALIZED"), timeout=1)
    with pytest.raises(ConfigurationError, match="is about believe:"):
        client.wait("believe:other", resume=caught.value.checkpoint)


def test_an_exception_of_on_update_ends_the_wait(reader, moving, clock):
    def fail(batch):
        raise LookupError(batch.vendor_status)

    with pytest.raises(LookupError, match="pending"):
        reader(*moving.accounts(), clock=clock).wait(moving.add("gameball"), on_update=fail)


def test_a_wait_outlives_an_outage_of_a_minute(reader, clock):
    def script(_):
        status = "503 Down" if clock.now < 60 else "200 OK"
        return [response(b'{"id": "1", "status": "EXECUTED"}', status)]

    with serving(script) as server:
        client = reader(Believe(KEY, base_url=server.url, rate_limit=None), clock=clock)
        assert client.wait("believe:1").state is BatchState.SUCCEEDED
    assert 60 <= clock.now < 95


def test_a_vendor_that_never_answers_costs_the_whole_timeout(reader, clock):
    with serving(lambda _: [HANG_UP]) as server:
        client = reader(Believe(KEY, base_url=server.url, rate_limit=None), clock=clock)
        with pytest.raises(WaitTimeout) as caught:
            client.wait("believe:1", timeout=600)
    assert clock.now == 600.0
    assert isinstance(caught.value.__cause__, TransportError)


def test_a_429_is_obeyed_until_the_deadline(reader, clock):
    """It closes the account, so no last poll is sent either."""
    with serving(lambda _: [response(b"", "429 Slow", retry_after="50")]) as server:
        client = reader(Believe(KEY, base_url=server.url), clock=clock)
        with pytest.raises(WaitTimeout, match="HTTP 429") as caught:
            client.wait("believe:1", timeout=120)
    assert (caught.value.__cause__.retry_after, clock.now, len(server.heads)) == (50.0, 120.0, 3)


def test_many_are_told_as_they_end_each_once(reader, moving, clock):
    refs = [moving.add(vendor, seconds=seconds) for seconds in (90, 30, 60) for vendor in ("gameball", "believe")]
    client = reader(*moving.accounts(), clock=clock)
    outcomes = client.as_completed([*refs, str(refs[0]), "believe:missing"], timeout=900)
    missing = next(outcome for outcome in outcomes if outcome.ref.id == "missing")
    assert isinstance(missing.error, BatchNotFound)
    found = [outcome for outcome in outcomes if outcome is not missing]
    assert {outcome.unwrap().state for outcome in found} == {BatchState.SUCCEEDED}
    assert sorted(map(str, (outcome.ref for outcome in found))) == sorted(map(str, refs))
    assert {outcome.ref for outcome in found[:2]} == set(refs[2:4])


def test_no_refs_are_no_outcomes(reader, moving):
    client = reader(*moving.accounts())
    assert client.as_completed([], timeout=1) == []
    assert client.wait_all([], timeout=1) == {}


def test_an_unread_ref_has_an_outcome(reader, moving, clock):
    """A ref never read in time is accounted for."""
    refs = [moving.add("believe", status="FINALIZED") for _ in range(100)]
    outcomes = reader(*moving.accounts(), clock=clock).wait_all(refs, timeout=5)
    assert set(outcomes) == set(refs)
    assert all(isinstance(outcome.error, WaitTimeout) for outcome in outcomes.values())
    unread = [outcome for outcome in outcomes.values() if outcome.error.last is None]
    assert len(unread) == 100 - len(set(moving.reads))
    assert 100 - len(unread) in range(40, 47)
    read = next(outcome.error.last for outcome in outcomes.values() if outcome.error.last is not None)
    assert (read.state, read.raw, read.payload) == (BatchState.REQUIRES_ACTION, None, None)


@pytest.mark.parametrize(("return_when", "ended"), [("all", 3), ("any", 1), ("first_failed", 2)])
def test_wait_all_returns_when_enough_have_ended(reader, moving, clock, return_when, ended):
    refs = [moving.add("gameball", seconds=20), moving.add("gameball", seconds=50, ends="failed")]
    refs.append(moving.add("gameball", seconds=300))
    outcomes = reader(*moving.accounts(), clock=clock).wait_all(refs, timeout=900, return_when=return_when)
    assert list(map(str, sorted(outcomes, key=str))) == sorted(map(str, refs))
    assert len([outcome for outcome in outcomes.values() if outcome.batch]) == ended
    assert all(isinstance(outcome.error, WaitStopped) for outcome in outcomes.values() if not outcome.batch)


def test_wait_all_refuses_another_word(reader, moving):
    with pytest.raises(ConfigurationError, match="return_when is"):
        reader(*moving.accounts()).wait_all(["believe:1"], timeout=1, return_when="some")


def test_get_many_reads_each_ref_once(reader, moving, clock):
    refs = [
        moving.add("gameball", seconds=100),
        moving.add("believe", status="FINALIZED"),
        BatchRef("believe", "missing"),
    ]
    outcomes = reader(*moving.accounts(), clock=clock).get_many(refs, timeout=60)
    assert [outcomes[ref].batch and outcomes[ref].batch.state for ref in refs] == [
        BatchState.PENDING,
        BatchState.REQUIRES_ACTION,
        None,
    ]
    assert len(moving.reads) == 3


def test_watch_yields_each_change_or_each_reading(reader, moving, clock):
    client = reader(*moving.accounts(), clock=clock)
    changes = client.watch([moving.add("believe", seconds=60)], timeout=900)
    assert [outcome.batch.state for outcome in changes] == [
        BatchState.PENDING,
        BatchState.REQUIRES_ACTION,
        BatchState.SUCCEEDED,
    ]
    before = len(moving.reads)
    readings = client.watch([moving.add("believe", seconds=60)], timeout=900, changes_only=False)
    assert len(readings) == len(moving.reads) - before > 3


def test_one_ref_can_be_watched_as_it_is(reader, moving, clock):
    ref = moving.add("believe", seconds=30)
    client = reader(*moving.accounts(), clock=clock)
    assert len(client.watch(str(ref), timeout=900)) == len(["pending", "requires_action", "succeeded"])
    assert [outcome.ref for outcome in client.watch(ref, timeout=900)] == [ref]


def test_an_abandoned_wait_leaves_nothing():
    """An abandoned wait leaves no thread and no task behind."""
    with Simulator(limits=False) as simulator:
        refs = [simulator.add("gameball", status=status) for status in ("completed", "pending", "pending")]
        before = threading.active_count()
        with BatchClient(*simulator.accounts()) as client:
            for outcome in client.as_completed(refs, timeout=60):
                assert outcome.ref == refs[0]
                break
            until(lambda: threading.active_count() == before)  # those in an exchange end with it

        async def main():
            async with AsyncBatchClient(*simulator.accounts()) as client:
                outcomes = client.as_completed(refs, timeout=60)
                assert (await anext(outcomes)).ref == refs[0]
                await outcomes.aclose()
                reading = [task for task in asyncio.all_tasks() if task.get_coro().__name__ != "close"]
            return len(reading), len(asyncio.all_tasks())

        assert asyncio.run(main()) == (1, 1), "while connections are closed, and once the client is closed"


def test_stop_ends_a_wait_in_a_pause_at_once():
    with Simulator(limits=False) as simulator:
        ref = simulator.add("believe", status="FINALIZED")
        stop = threading.Event()
        timer = threading.Timer(0.3, stop.set)
        with BatchClient(*simulator.accounts()) as client:
            client.get(ref)  # what is loaded at the first read takes its time, too
            timer.start()
            started = time.monotonic()
            with pytest.raises(WaitStopped) as caught:
                client.wait(ref, stop=stop)
            assert elapsed(started) < HANG
        assert caught.value.last.state is BatchState.REQUIRES_ACTION
        timer.join(LONG)

        async def main():
            halt = asyncio.Event()
            asyncio.get_running_loop().call_later(0.3, halt.set)
            async with AsyncBatchClient(*simulator.accounts()) as client:
                began = time.monotonic()
                with pytest.raises(WaitStopped):
                    await client.wait(ref, stop=halt)
                return elapsed(began)

        assert asyncio.run(main()) < HANG


@pytest.mark.parametrize("script", [lambda _: [9.0], lambda _: [response(b"{}", "503 Down")]], ids=["silent", "down"])
def test_a_wait_never_overruns_its_timeout(script):
    with serving(script) as server:
        account = Believe(KEY, base_url=server.url, rate_limit=None)
        with BatchClient(account) as client:
            started = time.monotonic()
            with pytest.raises(WaitTimeout):
                client.wait("believe:1", timeout=1.0)
            assert elapsed(started) < 1.0 + HANG

        async def main():
            async with AsyncBatchClient(account) as client:
                began = time.monotonic()
                with pytest.raises(WaitTimeout):
                    await client.wait("believe:1", timeout=1.0)
                return elapsed(began)

        assert asyncio.run(main()) < 1.0 + HANG


def test_a_coroutine_on_update_is_awaited(moving, clock):
    """A coroutine function is awaited at each change."""
    seen = []

    async def note(batch):
        await asyncio.sleep(0)
        seen.append(batch.state)

    async def main():
        async with AsyncBatchClient(*moving.accounts(), clock=clock) as client:
            await client.wait(moving.add("believe", seconds=30), on_update=note)

    asyncio.run(main())
    assert seen == [BatchState.PENDING, BatchState.REQUIRES_ACTION, BatchState.SUCCEEDED]


def test_unknown_words_never_end_a_wait(reader, moving, clock):
    with pytest.raises(WaitTimeout, match="still UNKNOWN"):
        reader(*moving.accounts(), clock=clock).wait(moving.add("gameball", status="paused"), timeout=60)


def test_without_counts_polls_get_rarer(reader, moving, clock):
    """A batch without counts is read ever more rarely."""
    with pytest.raises(WaitTimeout):
        reader(*moving.accounts(), clock=clock).wait(moving.add("believe", status="FINALIZED"), timeout=600)
    assert 20 < len(moving.reads) < 60
    assert Quirk.OUTAGE not in moving.quirks


@pytest.mark.parametrize("asked", [6, "6.5", 40])
def test_a_reading_may_ask_for_a_pause(asked):
    """A Retry-After with a 200 decides when the next poll is."""
    vendors = FakeVendors()
    vendors.script("gameball:1", reading("pending", retry_after=asked), "completed")
    with vendors.client() as client:
        client.wait("gameball:1")
    assert [at for at, _ in vendors.reads] == [0.0, float(asked)]


def test_a_reading_cannot_ask_beyond_the_deadline():
    """It moves the next poll to the last one before the deadline."""
    vendors = FakeVendors()
    vendors.script("gameball:1", reading("pending", retry_after=3000), "completed")
    with vendors.client() as client:
        assert client.wait("gameball:1", timeout=60).is_terminal
    assert 55 <= vendors.reads[-1][0] < 60


def slow_and_fast(head):
    """One batch has ended; the vendor takes long to answer about the other."""
    number = head.split()[1].rpartition(b"/")[2].decode()
    body = json.dumps({"id": number, "status": "EXECUTED"}).encode()
    return [response(body)] if number == "1" else [HANG / 2, HANG / 2, HANG, response(body)]


REFS = ["believe:1", "believe:2"]


@pytest.mark.parametrize("way", ["wait_all", "as_completed", "stop"])
def test_an_early_end_waits_for_no_request(way):
    """Nor does closing the client."""
    with serving(slow_and_fast) as server:
        started = time.monotonic()
        with BatchClient(Believe(KEY, base_url=server.url, rate_limit=None)) as client:
            if way == "wait_all":
                outcomes = client.wait_all(REFS, timeout=600, return_when="any")
                assert isinstance(outcomes[BatchRef.parse(REFS[1])].error, WaitStopped)
            elif way == "as_completed":
                for outcome in client.as_completed(REFS, timeout=600):
                    assert outcome.ref.id == "1"
                    break
            else:
                stop = threading.Event()
                for outcome in client.as_completed(REFS, timeout=600, stop=stop):
                    assert outcome.ref.id == "1" or isinstance(outcome.error, WaitStopped)
                    stop.set()
        assert elapsed(started) < HANG


@pytest.mark.parametrize("call", ["wait_all(refs, timeout=600)", "get_many(refs, timeout=600)", "get(refs[1])"])
def test_ctrl_c_waits_for_no_request(call):
    """Neither does the interpreter's exit."""
    code = f"""if True:
        import sys
        from batchstatus import BatchClient, Believe
        refs = {REFS}
        with BatchClient(Believe("{KEY}", base_url=sys.argv[1])) as client:
            client.{call}"""
    with serving(slow_and_fast) as server:
        arguments = [sys.executable, "-c", code, server.url]
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
            try:
                until(lambda: any(b"/2 " in head for head in server.heads))
                started = time.monotonic()
                process.send_signal(signal.SIGINT)
                said = process.communicate(timeout=LONG)[1]
            finally:
                process.kill()
        assert "KeyboardInterrupt" in said
        assert elapsed(started) < HANG


class Alarm(BaseException):
    """As the handler of a signal raises it, in whichever task is running: a time limit of an engine or a test."""


@pytest.mark.parametrize("name", ["wait_all", "get_many"])
def test_what_comes_up_in_an_exchange_is_raised(name):
    """Nothing waits for a response that will not come."""

    class Interrupted(Hanging):
        async def send(self, step, timeout):
            raise Alarm

    async def main():
        async with AsyncBatchClient(Believe(KEY), transport=Interrupted()) as client:
            await getattr(client, name)(REFS, timeout=600)

    with pytest.raises(Alarm):
        asyncio.run(main())
