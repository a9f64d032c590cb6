"""Many reads under one pace, each as `get` does it; and the check of accounts."""

from __future__ import annotations

import asyncio

import pytest
from batchstatus import BatchClient, Believe, RequestTimeout, RetryPolicy, ServerError
from batchstatus.testing import FakeVendors
from batchstatus.testing.simulator import Simulator
from waiting import LONG


@pytest.fixture(params=["sync", "async"])
def get_many(request):
    """A function that reads many refs with either client."""

    def read(vendors, refs, *, timeout=60, **options):
        if request.param == "sync":
            with vendors.client(**options) as client:
                return client.get_many(refs, timeout=timeout)

        async def main():
            async with vendors.async_client(**options) as client:
                return await client.get_many(refs, timeout=timeout)

        return asyncio.run(main())

    return read


def test_it_retries_as_get_does(get_many):
    vendors = FakeVendors()
    refs = [vendors.script(f"gameball:{number}", 503, 503, "completed") for number in range(5)]
    found = get_many(vendors, refs)
    assert {outcome.unwrap().attempts for outcome in found.values()} == {3}
    vendors.assert_played()


def test_it_obeys_the_retry_policy(get_many):
    vendors = FakeVendors()
    ref = vendors.script("gameball:1", 503, "completed")
    (outcome,) = get_many(vendors, [ref, ref], retry=RetryPolicy(attempts=1)).values()
    assert isinstance(outcome.error, ServerError)
    assert len(vendors.reads) == 1


def test_refs_without_a_slot_in_time_are_refused(get_many):
    vendors = FakeVendors()
    refs = [vendors.script(f"believe:{number}", "EXECUTED") for number in range(100)]
    found = get_many(vendors, refs, timeout=5)
    late = [outcome.error for outcome in found.values() if outcome.error]
    assert len(found) == 100
    assert len(found) - len(late) in {45, 46}, "five seconds at nine a second"
    assert {type(error) for error in late} == {RequestTimeout}
    assert {error.detail[:16] for error in late} == {"nothing was sent"}


def test_a_busy_account_holds_up_no_other(get_many):
    """Of each account one read at a time waits for its first slot."""
    vendors = FakeVendors()
    busy = [vendors.script(f"believe:{number}", "EXECUTED") for number in range(400)]
    other = vendors.script("gameball:1", "completed")
    found = get_many(vendors, [*busy, other], timeout=600)
    assert all(outcome.batch for outcome in found.values())
    assert next(at for at, ref in vendors.reads if ref == other) < 1.0


def test_check_proves_keys_and_reach():
    with Simulator() as simulator:
        good, bad = simulator.account("gameball"), Believe("test-other-key", base_url=simulator.url)
        with BatchClient(good, bad) as client:
            first, second = client.check()
        assert (first.account, first.error) == (good, None)
        assert abs(first.clock_offset) < LONG
        assert second.error.code == "ERR_KEY_NOT_FOUND"
