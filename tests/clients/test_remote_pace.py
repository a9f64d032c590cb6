"""A pace that does I/O: it is asked beside the reads, and what it raises or keeps waiting is a read that failed."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pytest
from batchstatus import (
    AsyncBatchClient,
    AsyncPace,
    BatchClient,
    Believe,
    ConfigurationError,
    Gameball,
    Pace,
    PaceState,
    PaceUnavailable,
    WaitTimeout,
)
from batchstatus._clients.remote_pace import Call, Permits
from batchstatus.testing.simulator import Quirk
from batchstatus.testing.simulator.believe import BELIEVE_KEY
from batchstatus.testing.simulator.gameball import GAMEBALL_KEY, GAMEBALL_SECRET
from readers import AsyncReader, SyncReader
from waiting import until


class Lost(Exception):
    """What a driver of a server raises."""


class Shared:
    """A pace elsewhere: `trouble` is called in each call, and may raise, or hang."""

    def __init__(self, spacing=0.0, trouble=lambda: None):
        self.state, self.trouble, self.calls = PaceState(spacing), trouble, []

    def ask(self, name, *arguments):
        self.calls.append(name)
        self.trouble()
        return getattr(self.state, name)(*arguments)


class OwnPace(Shared):
    def reserve(self, now, before):
        return self.ask("reserve", now, before)

    def begin(self, slot, now):
        return self.ask("begin", slot, now)

    def release(self, slot):
        return self.ask("release", slot)

    def refused(self, now, pause):
        return self.ask("refused", now, pause)

    def accepted(self):
        return self.ask("accepted")


class OwnAsyncPace(Shared):
    async def reserve(self, now, before):
        return await self.later("reserve", now, before)

    async def begin(self, slot, now):
        return await self.later("begin", slot, now)

    async def release(self, slot):
        return await self.later("release", slot)

    async def refused(self, now, pause):
        return await self.later("refused", now, pause)

    async def accepted(self):
        return await self.later("accepted")

    async def later(self, name, *arguments):
        await asyncio.sleep(0.001)
        if self.trouble is hang:
            await asyncio.sleep(60)
        return self.ask(name, *arguments)


def lost():
    raise Lost("cannot reach paces.example, password test-secret")


over = threading.Event()


def hang():
    over.wait(60)


@pytest.fixture(autouse=True)
def no_permit_is_late(monkeypatch):
    """However slow the machine is: a late permit is given up, and another slot booked, which tests would count."""
    monkeypatch.setattr("batchstatus._clients.remote_pace.FRESH", 60.0)


@pytest.fixture(autouse=True)
def no_hang_is_left():
    over.clear()
    yield
    over.set()


@pytest.fixture(
    params=[(SyncReader, OwnPace), (AsyncReader, OwnPace), (AsyncReader, OwnAsyncPace)], ids=["sync", "async", "tasks"]
)
def read(request, simulator):
    """A function that makes a client with a pace of one's own at Believe, and none at Gameball."""
    client, kind = request.param
    made = []

    def make(**options):
        pace = kind(**options)
        accounts = (
            Believe(BELIEVE_KEY, base_url=simulator.url, rate_limit=pace),
            Gameball(GAMEBALL_KEY, GAMEBALL_SECRET, base_url=simulator.url, rate_limit=None),
        )
        made.append(client(*accounts))
        return pace, made[-1]

    yield make
    for one in made:
        one.finish()


def test_a_pace_of_ones_own_is_a_pace():
    assert isinstance(OwnPace(), Pace)
    assert isinstance(OwnAsyncPace(), AsyncPace)


def test_reads_follow_it(read, simulator):
    """Every read books a slot, uses it, and reports its answer; slots are kept."""
    pace, client = read(spacing=0.02)
    started = time.monotonic()
    refs = [simulator.add("believe") for _ in range(10)]
    found = client.get_many(refs, timeout=30)
    assert all(outcome.batch for outcome in found.values())
    assert time.monotonic() - started >= 9 * 0.02
    assert pace.calls.count("reserve") >= 10
    assert pace.calls.count("begin") == 10
    until(lambda: pace.calls.count("accepted") >= 9)  # an event loop that has stopped tells of the last one no more


def test_what_it_raises_is_a_read_that_failed(read, simulator, caplog):
    """By its class only: its text may hold a secret."""
    _, client = read(trouble=lost)
    with pytest.raises(PaceUnavailable, match=r"its pace cannot be asked \(Lost\)") as caught:
        client.get(simulator.add("believe"), timeout=2.0)
    assert caught.value.is_retryable
    assert simulator.reads == []
    assert "its pace cannot be asked (Lost)" in caplog.text
    assert "test-secret" not in caplog.text


def test_a_pace_that_hangs_is_a_read_that_failed(read, simulator):
    """At the deadline; other accounts are read meanwhile."""
    _, client = read(trouble=hang)
    with pytest.raises(PaceUnavailable, match="no answer"):
        client.get(simulator.add("believe"), timeout=3.0)
    refs = [simulator.add("believe"), simulator.add("gameball", status="completed")]
    ended = client.as_completed(refs, timeout=4.0)
    assert [(outcome.ref, outcome.error is None) for outcome in ended] == [(refs[1], True), (refs[0], False)]
    assert isinstance(ended[1].error, WaitTimeout)
    assert isinstance(ended[1].error.__cause__, PaceUnavailable)


def test_a_pace_that_comes_back_is_asked_again(read, simulator):
    failures = itertools.count()

    def at_first():
        if next(failures) < 3:
            lost()

    _, client = read(trouble=at_first)
    assert client.get(simulator.add("believe"), timeout=30).ref.vendor == "believe"


def test_a_step_says_that_the_pace_is_away(read, simulator):
    _, client = read(trouble=lost)
    step = client.step(simulator.add("believe"), timeout=2.0)
    assert isinstance(step.error, PaceUnavailable)
    assert (step.batch, step.pause, step.is_over) == (None, 5.0, False)
    assert step.reason == "nothing was sent: the pace of the account is away"


def test_a_429_is_reported(read, simulator):
    """And nothing is sent while it closes the account, even before the pace has heard of it."""
    pace, client = read()
    ref = simulator.add("believe", quirks=[Quirk.OUTAGE])
    with pytest.raises(Exception, match="HTTP 503"):
        client.get(ref, timeout=30)
    assert "refused" not in pace.calls
    until(lambda: "accepted" in pace.calls)


def test_no_slot_in_time_is_said_as_before(read, simulator):
    pace, client = read(spacing=60.0)
    client.get(simulator.add("believe"))
    with pytest.raises(TimeoutError, match="the pace of its account has no slot left"):
        client.get(simulator.add("believe"), timeout=0.5)
    assert pace.calls.count("begin") == 1


def test_a_pace_without_a_slot_leaves_the_others_alone(read, simulator):
    """It answers at once, and is not asked again and again meanwhile."""
    pace, client = read(spacing=60.0)
    client.get(simulator.add("believe"))
    refs = [simulator.add("believe"), simulator.add("gameball", status="completed")]
    ended = client.wait_all(refs, timeout=4.0)
    assert ended[refs[1]].batch.state.name == "SUCCEEDED"
    assert isinstance(ended[refs[0]].error, WaitTimeout)
    assert pace.calls.count("reserve") <= 6


def test_an_async_pace_needs_an_event_loop():
    with pytest.raises(ConfigurationError, match="an AsyncPace works in an AsyncBatchClient"):
        BatchClient(Believe(BELIEVE_KEY, rate_limit=OwnAsyncPace()))


def test_a_cancelled_read_gives_its_slot_back(simulator):
    async def main():
        pace = OwnPace(spacing=5.0)
        async with AsyncBatchClient(Believe(BELIEVE_KEY, base_url=simulator.url, rate_limit=pace)) as client:
            await client.get(simulator.add("believe"))
            reading = asyncio.create_task(client.get(simulator.add("believe")))
            await asyncio.to_thread(until, lambda: pace.calls.count("reserve") == 2)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await asyncio.to_thread(until, lambda: "release" in pace.calls)
            assert pace.calls.count("begin") == 1

    asyncio.run(main())


@pytest.mark.parametrize("kind", [OwnPace, OwnAsyncPace])
def test_it_leaves_nothing_behind(simulator, kind):
    async def main():
        pace = kind(spacing=0.01)
        client = AsyncBatchClient(Believe(BELIEVE_KEY, base_url=simulator.url, rate_limit=pace))
        await client.get(simulator.add("believe"))
        await client.close()
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    assert asyncio.run(main()) == []
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "batchstatus-pace"])


class Hand:
    """A clock that a test turns by hand."""

    now = 0.0

    def monotonic(self):
        return self.now


def test_a_late_permit_is_given_up_but_not_twice(monkeypatch):
    """It might come too close to another machine's slot; a machine that is always late would never send."""
    monkeypatch.setattr("batchstatus._clients.remote_pace.FRESH", 0.02)
    clock, pace = Hand(), OwnPace()
    permits = Permits("believe", pace, clock, lambda: None)

    def taken(late):
        """Ask for a permit, let the worker get it, and take it so many seconds later; return whether it is good."""
        permits.reserve(clock.now, clock.now + 10)
        work, brought = permits.work(), None
        while isinstance(step := work.send(brought), Call):
            brought = step.call()
        work.close()
        clock.now += late
        return permits.begin(clock.now, clock.now)

    assert [taken(late) for late in (0.0, 0.019, 0.021, 0.5, 0.5, 0.01)] == [True, True, False, True, False, True]
