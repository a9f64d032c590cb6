"""The testing kit: waits that play at once, through the real clients."""

from __future__ import annotations

import asyncio
import threading

import pytest
from batchstatus import (
    AuthenticationError,
    BatchClient,
    BatchNotFound,
    BatchState,
    Believe,
    Gameball,
    RateLimited,
    RequestTimeout,
    RetryPolicy,
    ServerError,
    TransportError,
    WaitStopped,
    WaitTimeout,
)
from batchstatus.testing import FakeClock, FakeVendors, failure, reading, refusal

REF = "gameball:1748392"
STORY = ["pending", "pending", "pending", 503, refusal(429, retry_after=7), "completed"]


@pytest.fixture(params=["sync", "async"])
def play(request, fake_vendors):
    """Call a method of a client of `fake_vendors`, of either kind."""

    def call(method, *args, accounts=(), options=None, **parameters):
        if request.param == "sync":
            with fake_vendors.client(*accounts, **(options or {})) as client:
                return getattr(client, method)(*args, **parameters)

        async def main():
            async with fake_vendors.async_client(*accounts, **(options or {})) as client:
                return await getattr(client, method)(*args, **parameters)

        return asyncio.run(main())

    return call


def test_a_script_plays_in_its_own_time(play, fake_vendors):
    """A wait of a script plays at once and in its own time."""
    fake_vendors.script(REF, *STORY)
    done = play("wait", REF, timeout=900)
    assert (done.state, done.vendor_status, done.counts.total) == (BatchState.SUCCEEDED, "completed", 8)
    assert [(at, str(ref)) for at, ref in fake_vendors.reads] == [
        (0.0, REF),
        (1.0, REF),
        (2.0, REF),
        (3.0, REF),
        (4.0, REF),
        (11.0, REF),
    ]
    assert fake_vendors.clock.now == 11.0


def test_the_last_step_holds_for_ever(play, fake_vendors):
    fake_vendors.script("believe:1", "FINALIZED")
    with pytest.raises(WaitTimeout) as caught:
        play("wait", "believe:1", timeout=3600)
    assert fake_vendors.clock.now == 3600.0
    assert caught.value.last.state is BatchState.REQUIRES_ACTION


def test_a_step_that_nobody_reads_fails_the_test():
    vendors = FakeVendors()
    vendors.script("believe:1", "FINALIZED", "EXECUTED")
    vendors.script("believe:2", "EXECUTED")
    with vendors.client() as client:
        client.get("believe:1")
        client.get("believe:2")
    with pytest.raises(AssertionError, match=r"never read: 1 of believe:1$"):
        vendors.assert_played()


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (401, AuthenticationError),
        (refusal(404), BatchNotFound),
        (503, ServerError),
        (520, ServerError),
        (refusal(429, retry_after="Mon, 27 Jan 2025 13:00:00 GMT"), RateLimited),
        (TransportError, TransportError),
        (failure(RequestTimeout), RequestTimeout),
        (reading("completed", seconds=90), RequestTimeout),
    ],
    ids=str,
)
def test_each_kind_of_failure_can_be_scripted(play, fake_vendors, step, error):
    fake_vendors.script(REF, step)
    with pytest.raises(error) as caught:
        play("get", REF, options={"retry": RetryPolicy(attempts=1)})
    assert type(caught.value) is error


def test_vendors_answer_with_their_errors(play, fake_vendors):
    """Both vendors answer in their own error body."""
    fake_vendors.script(REF, 404)
    fake_vendors.script("believe:1", 404)
    outcomes = play("get_many", [REF, "believe:1"], timeout=60)
    assert sorted(outcome.error.code for outcome in outcomes.values()) == ["4004", "ERR_BATCH_NOT_FOUND"]


def test_a_batch_without_a_script_is_not_found(play):
    for ref in (REF, "believe:1"):
        with pytest.raises(BatchNotFound):
            play("get", ref)


@pytest.mark.parametrize("processed", [0, 57, 199, 200])
def test_counts_can_be_scripted(play, fake_vendors, processed):
    fake_vendors.script(REF, reading("processing", total=200, processed=processed))
    batch = play("get", REF)
    assert (batch.counts.total, batch.counts.processed) == (200, processed)


def test_a_body_can_be_scripted_whole(play, fake_vendors):
    fake_vendors.script("believe:1", {"id": "1", "status": "EXECUTED", "new": True})
    assert play("get", "believe:1").payload == {"id": "1", "status": "EXECUTED", "new": True}


def test_an_answer_takes_its_time(play, fake_vendors):
    fake_vendors.script(REF, reading("completed", seconds=2.5))
    assert play("get", REF).elapsed == 2.5


def test_accounts_of_ones_own_can_be_used(play, fake_vendors):
    fake_vendors.script("believe/acme:a b/c", "EXECUTED")
    accounts = [
        Believe("test-acme-key", name="acme", base_url="https://127.0.0.1/some/prefix"),
        Gameball("test-gameball-key", "test-gameball-secret"),
    ]
    assert play("get", "believe/acme:a b/c", accounts=accounts).state is BatchState.SUCCEEDED


def test_many_waits_play_at_the_vendors_pace(play, fake_vendors):
    refs = [fake_vendors.script(f"believe:{number}", "FINALIZED", "EXECUTED") for number in range(90)]
    outcomes = play("wait_all", refs, timeout=600)
    assert all(outcome.unwrap().state is BatchState.SUCCEEDED for outcome in outcomes.values())
    assert fake_vendors.clock.now == pytest.approx((2 * 90 - 1) / 9)


class OwnPace:
    """As those have who share an account among processes; its second slot is closed by another one."""

    def __init__(self):
        self.told = []

    def reserve(self, now, before):
        self.told.append("reserve")
        return 2.0 if now + 2.0 < before else None

    def begin(self, slot, now):
        self.told.append("begin")
        return self.told.count("begin") != 2

    def release(self, slot):
        self.told.append("release")

    def refused(self, now, pause):
        self.told.append(f"refused {pause:.0f}")

    def accepted(self):
        self.told.append("accepted")


@pytest.mark.parametrize("method", ["get", "wait"])
def test_a_callers_pace_is_asked_each_time(play, fake_vendors, method):
    """A pace of ones own is asked for every exchange."""
    fake_vendors.script("believe:1", refusal(429, retry_after=7), "EXECUTED")
    pace = OwnPace()
    play(method, "believe:1", accounts=[Believe("test-own-pace", rate_limit=pace)])
    assert pace.told == [*("reserve", "begin", "refused 7"), *("reserve", "begin") * 2, "accepted"]
    assert fake_vendors.clock.now == 2 + 7 + 2 + 2


def test_a_stop_is_heard_at_once():
    vendors, stop = FakeVendors(), threading.Event()
    vendors.script("believe:1", "FINALIZED")
    with vendors.client() as client, pytest.raises(WaitStopped):
        client.wait("believe:1", stop=stop, on_update=lambda _: stop.set())
    assert vendors.clock.now == 0.0


def test_an_applications_client_takes_the_parts(fake_vendors):
    """A client that the application makes can be given the parts."""
    fake_vendors.script("believe:1", "EXECUTED")
    account = Believe("test-application-key")
    with BatchClient(account, clock=fake_vendors.clock, transport=fake_vendors.transport) as client:
        assert client.get("believe:1").state is BatchState.SUCCEEDED


@pytest.mark.parametrize(
    ("ref", "steps", "says"),
    [
        (REF, [], "at least one step"),
        ("other:1", ["pending"], "needs one of believe, gameball"),
        (REF, [None], "a step is a status word"),
        (REF, [True], "a step is a status word"),
        (REF, [ValueError], "a step is a status word"),
    ],
)
def test_a_wrong_script_is_refused(ref, steps, says):
    """A script that cannot be played is refused."""
    with pytest.raises(ValueError, match=says):
        FakeVendors().script(ref, *steps)


def test_a_second_script_is_refused(fake_vendors):
    """A second script for a batch and unknown counts are refused."""
    vendors = FakeVendors()
    vendors.script(REF, "pending")
    with pytest.raises(ValueError, match="has a script already"):
        vendors.script(REF, "completed")
    with pytest.raises(TypeError, match="not done"):
        reading("completed", done=3)


def test_time_passes_in_sleeps_alone():
    clock = FakeClock()
    clock.sleep(5)
    asyncio.run(clock.sleep_async(2.5))
    clock.sleep(-1)
    assert clock.monotonic() == 7.5
    assert clock.utc().isoformat() == "2025-01-27T12:00:07.500000+00:00"


def test_the_fixture_comes_with_the_package(pytester):
    pytester.makepyfile("""
        def test_played(fake_vendors):
            fake_vendors.script("believe:1", "FINALIZED", "EXECUTED")
            with fake_vendors.client() as client:
                assert client.wait("believe:1").is_terminal

        def test_not_played(fake_vendors):
            fake_vendors.script("believe:1", "FINALIZED", "EXECUTED")
            with fake_vendors.client() as client:
                client.get("believe:1")
    """)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*steps of a script that were never read: 1 of believe:1"])
