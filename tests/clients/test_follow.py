"""A running wait: refs come and go while it goes on."""

from __future__ import annotations

import asyncio
import threading

import pytest
from batchstatus import BatchClient, BatchState, ConfigurationError
from batchstatus.testing import FakeVendors
from batchstatus.testing.simulator import Simulator
from waiting import LONG, until


def states(outcomes):
    return [(str(outcome.ref), outcome.batch.state.value if outcome.batch else None) for outcome in outcomes]


def test_refs_are_added_and_end():
    vendors = FakeVendors()
    vendors.script("gameball:1", "pending", "completed")
    vendors.script("gameball:2", "failed")
    found = []
    with vendors.client() as client, client.follow(["gameball:1"]) as following:
        for outcome in following:
            found.append(outcome)
            if len(found) == 2:
                following.add(["gameball:2", "gameball:2"])
            if len(found) == 3:
                break
    assert states(found) == [("gameball:1", "pending"), ("gameball:1", "succeeded"), ("gameball:2", "failed")]
    vendors.assert_played()


def test_refs_are_added_and_end_in_tasks():
    vendors = FakeVendors()
    vendors.script("gameball:1", "pending", "completed")
    vendors.script("gameball:2", "failed")

    async def main():
        found = []
        async with vendors.async_client() as client, client.follow(["gameball:1"]) as following:
            async for outcome in following:
                found.append(outcome)
                if len(found) == 2:
                    following.add("gameball:2")
                if len(found) == 3:
                    break
        return found

    found = asyncio.run(main())
    assert states(found) == [("gameball:1", "pending"), ("gameball:1", "succeeded"), ("gameball:2", "failed")]


def test_a_discarded_ref_is_not_polled_again():
    vendors = FakeVendors()
    vendors.script("gameball:1", "pending")
    vendors.script("gameball:2", *["processing"] * 5, "completed")
    with vendors.client() as client, client.follow(["gameball:1", "gameball:2"]) as following:
        for outcome in following:
            following.discard("gameball:1")
            if outcome.batch.is_terminal:
                break
    assert [str(ref) for _, ref in vendors.reads].count("gameball:1") <= 2


def test_a_refusal_that_stands_ends_a_ref_which_may_come_back():
    vendors = FakeVendors()
    vendors.script("gameball:1", *[404] * 8, "completed")
    with vendors.client() as client, client.follow(["gameball:1"]) as following:
        outcomes = iter(following)
        assert next(outcomes).error.code == "4004"
        following.add("gameball:1")
        assert next(outcomes).unwrap().state is BatchState.SUCCEEDED


def test_stop_ends_it_and_wakes_it():
    with Simulator(limits=False) as simulator, BatchClient(*simulator.accounts()) as client:
        stop, found = threading.Event(), []
        following = client.follow(stop=stop)
        thread = threading.Thread(target=lambda: found.extend(following))
        thread.start()
        following.add(simulator.add("gameball", status="completed"))  # wakes a wait with nothing to do
        until(lambda: found)
        stop.set()
        thread.join(LONG)
        assert not thread.is_alive()
    assert states(found)[0][1] == "succeeded"


def test_an_unknown_account_is_refused_at_once():
    vendors = FakeVendors()
    with vendors.client() as client, client.follow() as following:
        with pytest.raises(ConfigurationError, match="no account at 'other'"):
            following.add("other:1")
        following.discard("other:1")
