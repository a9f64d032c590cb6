"""What stands in histories: values that a server takes, and that another version reads."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from batchstatus import AsyncBatchClient, Batch, BatchClient, BatchState, ConfigurationError
from batchstatus.engines._payload import fitting
from batchstatus.engines.temporal import WaitRequest
from batchstatus.engines.temporal.activities import MAX_PAYLOAD, Activities
from batchstatus.engines.temporal.messages import wait_many_request, wait_request
from batchstatus.testing.simulator.gameball import GameballQuirk
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment


@pytest.fixture
def batch(simulator, add) -> Batch:
    """A batch with a thousand results, and ten failures."""
    ref = add("gameball", status="completed", total=1_010, failed=10, quirks={GameballQuirk.LONG_RESULTS})
    with BatchClient(*simulator.accounts()) as client:
        return client.get(ref)


def test_a_batch_that_fits_is_whole(batch):
    fields = fitting(batch, results=True, most=MAX_PAYLOAD)
    assert len(fields["results"]) == 1_000
    assert Batch.from_dict(fields).failures == batch.failures


def test_a_list_that_is_too_long_is_left_out(batch):
    """First the results, then the failures; a problem says so, and the state stays."""
    whole = len(json.dumps(fitting(batch, results=True, most=MAX_PAYLOAD)))
    fields = fitting(batch, results=True, most=whole - 1)
    assert (fields["results"], len(fields["failures"])) == ([], 10)
    assert f"results: 1000 left out, as a payload above {whole - 1} bytes may be refused" in fields["problems"]
    least = fitting(batch, results=True, most=900)
    assert (least["results"], least["failures"], least["state"]) == ([], [], "succeeded")


def test_the_largest_payload_is_below_the_servers_limit():
    assert MAX_PAYLOAD < 2 * 1024 * 1024


def test_a_request_is_plain_json():
    request = wait_request("believe:17", timeout=timedelta(days=1), until={BatchState.REQUIRES_ACTION, "unknown"})
    assert request == WaitRequest(ref="believe:17", timeout=86_400.0, until=["requires_action", "unknown"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({"ref": "17", "timeout": 5}, "a ref is written", id="ref"),
        pytest.param({"ref": "believe:17", "timeout": 0}, "timeout is a positive number", id="no time"),
        pytest.param({"ref": "believe:17", "timeout": True}, "timeout is a positive number", id="bool"),
        pytest.param({"ref": "believe:17", "timeout": float("nan")}, "timeout is a positive number", id="nan"),
        pytest.param({"ref": "believe:17", "timeout": 5, "until": ["done"]}, "until takes states", id="until"),
    ],
)
def test_a_request_that_cannot_work_is_refused(arguments, said):
    with pytest.raises(ConfigurationError, match=said):
        wait_request(**arguments)


def test_refs_for_many_are_counted():
    assert wait_many_request(["believe:1", "believe:2", "believe:1"], timeout=5).refs == ["believe:1", "believe:2"]
    with pytest.raises(ConfigurationError, match=r"1,000 refs at most, not 1,001"):
        wait_many_request((f"believe:{number}" for number in range(1_001)), timeout=5)


@pytest.mark.parametrize("details", [{"batchstatus_checkpoint": 99}, "text", ["list"]], ids=["version", "text", "list"])
@pytest.mark.parametrize("name", ["read", "wait"])
def test_a_checkpoint_of_another_version_is_dropped(simulator, add, name, details):
    """A deployment ends none of the waits that it finds."""
    ref = add("gameball", status="completed")

    async def main():
        environment = ActivityEnvironment()
        info = environment.default_info()
        environment.info = replace(info, heartbeat_details=[details], started_time=info.scheduled_time)
        async with AsyncBatchClient(*simulator.accounts()) as client:
            call = getattr(Activities(client), name)
            return await environment.run(call, WaitRequest(ref=str(ref), timeout=60.0))

    assert asyncio.run(main())["state"] == "succeeded"


def test_a_heartbeat_keeps_its_details(simulator, add):
    """Each heartbeat has the newest checkpoint, since a server forgets what the next one lacks."""
    ref, beats = add("gameball", seconds=2), []

    async def main():
        environment = ActivityEnvironment()
        info = environment.default_info()
        environment.info = replace(
            info, started_time=info.scheduled_time, heartbeat_timeout=timedelta(seconds=0.3), heartbeat_details=[]
        )
        environment.on_heartbeat = lambda *details: beats.append(details)
        async with AsyncBatchClient(*simulator.accounts()) as client:
            return await environment.run(Activities(client).wait, WaitRequest(ref=str(ref), timeout=60.0))

    assert asyncio.run(main())["state"] == "succeeded"
    told = [bool(details) for details in beats]
    assert told == sorted(told)
    assert len(beats) > 10


@pytest.mark.parametrize("wrong", [{"ref": "17"}, {"until": ["done"]}], ids=["ref", "until"])
def test_a_request_that_no_worker_can_serve_is_not_tried_again(simulator, wrong):
    """Another language may have sent it."""

    async def main():
        environment = ActivityEnvironment()
        info = environment.default_info()
        environment.info = replace(info, started_time=info.scheduled_time)
        async with AsyncBatchClient(*simulator.accounts()) as client:
            request = replace(WaitRequest(ref="believe:17", timeout=60.0), **wrong)
            await environment.run(Activities(client).read, request)

    with pytest.raises(ApplicationError) as raised:
        asyncio.run(main())
    assert (raised.value.type, raised.value.non_retryable) == ("ConfigurationError", True)
