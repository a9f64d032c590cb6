"""The sensor, as a worker runs it: what defers, what comes out, and what is skipped."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow_home import connection
from batchstatus import Batch, BatchState
from batchstatus.engines.airflow import BatchSensor, BatchTrigger

OPEN = {"status": "processing"}
TRIGGER_TIMEOUT = {"error": "Trigger timeout"}
TRIGGER_FAILURE = {"error": "Trigger failure", "traceback": ["Traceback", "ImportError: no such module"]}


def sensor(ref, **options) -> BatchSensor:
    return BatchSensor(task_id="wait", ref=str(ref), **options)


def deferred(task: BatchSensor) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as raised:
        task.execute({})
    return raised.value


def resumed(task: BatchSensor, deferral: TaskDeferred):
    """Run the trigger of a deferral without its hold, and give its event to the task."""
    _, kwargs = deferral.trigger.serialize()

    async def main():
        return [event.payload async for event in BatchTrigger(**kwargs | {"hold": 0}).run()]

    (event,) = asyncio.run(main())
    return task.resume_execution(deferral.method_name, {"event": json.loads(json.dumps(event))}, {})


@pytest.mark.parametrize("deferrable", [True, False])
def test_an_ended_batch_does_not_defer(simulator, deferrable):
    """The worker reads once; what it returns is XCom's, as JSON and without results."""
    ref = simulator.add("gameball", status="completed", total=3)
    found = json.loads(json.dumps(sensor(ref, deferrable=deferrable).execute({})))
    batch = Batch.from_dict(found)
    assert (batch.ref, batch.state, batch.counts.succeeded, found["results"]) == (ref, BatchState.SUCCEEDED, 3, None)
    assert len(simulator.reads) == 1


def test_an_open_batch_defers(simulator):
    """What the trigger is given: the end of the wait, and no key."""
    ref = simulator.add("gameball", **OPEN)
    deferral = deferred(sensor(ref, deferrable=True, timeout=3600, poke_interval=60, until=["requires_action"]))
    path, kwargs = deferral.trigger.serialize()
    assert path == "batchstatus.engines.airflow.BatchTrigger"
    assert (kwargs["ref"], kwargs["conn_id"]) == (str(ref), "gameball_default")
    assert (kwargs["until"], kwargs["poll"], kwargs["hold"]) == (["requires_action"], 60.0, 10.0)
    assert kwargs["checkpoint"]["last"]["state"] == "running"
    for key in ("test-gameball-key", "test-gameball-secret"):
        assert key not in json.dumps(kwargs)
    assert deferral.timeout > timedelta(seconds=3600 + 200)  # Airflow's own comes after the trigger's


def test_a_deferred_wait_ends_with_the_batch(simulator):
    ref = simulator.add("gameball", seconds=2)
    task = sensor(ref, deferrable=True)
    assert resumed(task, deferred(task))["state"] == "succeeded"


def test_a_worker_waits_if_it_does_not_defer(simulator):
    ref = simulator.add("believe", seconds=2)
    assert sensor(ref, deferrable=False, timeout=60).execute({})["state"] == "succeeded"


def test_a_state_can_be_waited_for(simulator):
    ref = simulator.add("believe", status="FINALIZED")
    found = sensor(ref, deferrable=True, until={BatchState.REQUIRES_ACTION}).execute({})
    assert found["state"] == "requires_action"


# Failure


@pytest.mark.parametrize("how", ["deferred", "here"])
@pytest.mark.parametrize(("soft", "raised"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_a_timeout_says_state_and_seconds(simulator, how, soft, raised):
    ref = simulator.add("gameball", **OPEN)
    task = sensor(ref, deferrable=how == "deferred", timeout=2, soft_fail=soft)
    with pytest.raises(raised) as error:
        resumed(task, deferred(task)) if how == "deferred" else task.execute({})
    assert type(error.value) is raised
    assert str(error.value).startswith(f"{ref}: no end within 2 s: still RUNNING (processing), 4 of 8 done, ")


@pytest.mark.parametrize("word", ["failed", "cancelled"])
@pytest.mark.parametrize(("soft", "raised"), [(False, AirflowFailException), (True, AirflowSkipException)])
def test_a_failed_batch_fails_without_another_try(simulator, word, soft, raised):
    ref = simulator.add("gameball", status=word)
    with pytest.raises(raised, match=f"{ref} ended as {word.upper()} \\({word}\\)") as error:
        sensor(ref, deferrable=True, soft_fail=soft).execute({})
    assert type(error.value) is raised


def test_a_failed_batch_can_be_waited_for(simulator):
    ref = simulator.add("gameball", status="failed")
    assert sensor(ref, until=["failed"]).execute({})["state"] == "failed"


@pytest.mark.parametrize("soft", [False, True])
def test_what_cannot_be_read_is_not_skipped(simulator, monkeypatch, soft):
    """`soft_fail` is about batches: a wrong key, a missing connection or a wrong ref would be skipped for ever."""
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", connection("believe", simulator.url, "test-other-key"))
    for options, message in (
        ({"ref": "believe:17", "conn_id": "other"}, "believe:17: HTTP 401"),
        ({"ref": "believe:17", "conn_id": "nowhere"}, "believe:17: Airflow has no connection 'nowhere'"),
        ({"ref": "1748392"}, "a ref is written vendor:id"),
        ({"ref": "other:1"}, "Airflow has connections for believe and gameball, and none for other"),
    ):
        with pytest.raises(AirflowFailException) as error:
            sensor(**options, deferrable=True, soft_fail=soft).execute({})
        assert str(error.value).startswith(message)
        assert "test-other-key" not in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"poke_interval": 0}, id="interval"),
        pytest.param({"until": ["done"]}, id="until"),
        pytest.param({"mode": "reschedule"}, id="mode"),
    ],
)
def test_a_wrong_argument_fails_the_dag(wrong):
    with pytest.raises(ValueError, match=r"PollPolicy|until takes states|must be|mode must be"):
        sensor("gameball:1", **wrong)


# Airflow's own timeouts


def test_an_execution_timeout_counts_while_deferred(simulator):
    """Airflow forgets it as a task defers."""
    ref = simulator.add("gameball", **OPEN)
    task = sensor(ref, deferrable=True, timeout=3600, execution_timeout=timedelta(seconds=3))
    with pytest.raises(AirflowSensorTimeout, match=r"no end within 2\.7 s: still RUNNING"):
        resumed(task, deferred(task))


@pytest.mark.parametrize("why", [TRIGGER_TIMEOUT, TRIGGER_FAILURE], ids=["timeout", "failure"])
def test_a_worker_looks_if_the_triggerer_did_not(simulator, why):
    """No triggerer until Airflow's own timeout, or a trigger that could not be loaded: an end is found all the same."""
    ref = simulator.add("gameball", status="completed")
    found = sensor(ref, deferrable=True).resume_execution("__fail__", why, {})
    assert found["state"] == "succeeded"


@pytest.mark.parametrize(
    ("why", "soft", "raised", "message"),
    [
        pytest.param(TRIGGER_TIMEOUT, False, AirflowSensorTimeout, "no triggerer has answered", id="timeout"),
        pytest.param(TRIGGER_TIMEOUT, True, AirflowSkipException, "no triggerer has answered", id="timeout-soft"),
        pytest.param(TRIGGER_FAILURE, False, AirflowFailException, "the trigger failed", id="failure"),
        pytest.param(TRIGGER_FAILURE, True, AirflowFailException, "the trigger failed", id="failure-soft"),
    ],
)
def test_it_says_why_the_triggerer_did_not(simulator, why, soft, raised, message):
    ref = simulator.add("gameball", **OPEN)
    with pytest.raises(raised, match=f"still RUNNING .*; {message}") as error:
        sensor(ref, deferrable=True, soft_fail=soft).resume_execution("__fail__", why, {})
    assert type(error.value) is raised
