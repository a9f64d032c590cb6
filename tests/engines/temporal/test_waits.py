"""Waits over a real server: what comes out, what survives, and what a workflow is told."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from batchstatus import Batch, BatchState, Believe
from batchstatus.engines.temporal import BatchStatusPlugin, start_wait, wait_id
from batchstatus.testing.simulator import Simulator
from servers import end, running
from temporal_server import attempt, eventually, history, working
from temporal_workflows import Approval, Many
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import WorkerDeploymentVersion
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import Worker, WorkerDeploymentConfig

WORKER = Path(__file__).parent.parent / "support" / "temporal_worker.py"

Scene = Callable[[Client], Coroutine[Any, Any, Any]]


def wrong_key(simulator: Simulator) -> Believe:
    """Return an account whose key is refused."""
    return Believe("test-other-key", base_url=simulator.url)


@pytest.fixture
def worker(address, queue, simulator, tmp_path) -> Callable[[], AbstractContextManager[Any]]:
    """A function that runs a worker in a process of its own, on its `queue`."""

    def run() -> AbstractContextManager[Any]:
        log, env = tmp_path / "worker.log", simulator.environment()
        return running(sys.executable, WORKER, address, queue, log=log, env=env)

    run.queue = queue
    return run


@pytest.fixture
def play(address) -> Callable[[Scene], Any]:
    """A function that runs a coroutine function with a client of the server."""

    def run(scene: Scene) -> Any:
        async def main() -> Any:
            return await scene(await Client.connect(address))

        return asyncio.run(main())

    return run


@pytest.mark.parametrize("held", [False, True], ids=["read", "held"])
def test_a_wait_ends_with_the_batch(play, add, simulator, queue, held):
    """The batch comes back whole but for the results."""
    ref = add("gameball", seconds=3, total=200, failed=2)

    async def scene(client):
        async with working(client, queue, simulator.accounts()):
            handle = await start_wait(client, ref, task_queue=queue, timeout=600, held=held)
            return await handle.result(), await history(handle)

    fields, events = play(scene)
    batch = Batch.from_dict(fields)
    assert (batch.ref, batch.state, batch.counts.succeeded) == (ref, BatchState.SUCCEEDED, 198)
    assert [failure.message for failure in batch.failures] == ["refused", "refused"]
    assert fields["results"] is None
    assert len(events) <= 17  # however many polls there were


def test_results_come_if_asked_for(play, add, simulator, queue):
    ref = add("gameball", status="completed", total=3)

    async def scene(client):
        async with working(client, queue, simulator.accounts()):
            handle = await start_wait(client, ref, task_queue=queue, timeout=600, results=True)
            return await handle.result()

    assert len(play(scene)["results"]) == 3


def test_a_failed_batch_is_a_result(play, add, simulator, queue):
    """The workflow succeeds: it has found out what it was asked."""
    ref = add("believe", status="FAILED")

    async def scene(client):
        async with working(client, queue, simulator.accounts()):
            return await (await start_wait(client, ref, task_queue=queue, timeout=600)).result()

    assert Batch.from_dict(play(scene)).state is BatchState.FAILED


def test_a_workflow_waits_until_a_state(play, add, simulator, queue):
    """`wait_for_batch` runs in the sandbox of a user's workflow, and gives a Batch."""
    ref = add("believe", status="FINALIZED")

    async def scene(client):
        async with working(client, queue, simulator.accounts(), Approval):
            return await client.execute_workflow(Approval.run, str(ref), id=queue, task_queue=queue)

    assert play(scene) == ["requires_action", "FINALIZED", str(ref)]


def test_a_workflow_waits_for_many(play, add, simulator, queue):
    """Each ref has its batch or its error."""
    good, failed, refused = add("gameball", seconds=1), add("gameball", status="failed"), add("believe")
    accounts = [one if one.vendor == "gameball" else wrong_key(simulator) for one in simulator.accounts()]

    async def scene(client):
        async with working(client, queue, accounts, Many):
            refs = [str(good), str(refused), str(failed), str(good)]
            return await client.execute_workflow(Many.run, args=[refs, 60.0], id=queue, task_queue=queue)

    found = play(scene)
    assert found.pop(str(refused)).startswith(f"AuthenticationError: {refused}: HTTP 401")
    assert found == {str(good): "succeeded", str(failed): "failed"}


def test_a_versioned_deployment_waits(play, add, simulator, queue):
    """A worker of a versioned deployment takes the workflow, and a wait moves along with its versions."""
    ref = add("gameball", status="completed")
    version = WorkerDeploymentVersion(deployment_name=queue, build_id="1")
    deployment = WorkerDeploymentConfig(version=version, use_worker_versioning=True)
    current = SetWorkerDeploymentCurrentVersionRequest(namespace="default", deployment_name=queue, build_id="1")

    async def scene(client):
        async with working(client, queue, simulator.accounts(), deployment_config=deployment):
            service = client.workflow_service
            await eventually(lambda: service.set_worker_deployment_current_version(current), lambda _: True)
            return await (await start_wait(client, ref, task_queue=queue, timeout=60)).result()

    assert play(scene)["state"] == "succeeded"


# One run for one batch


def test_a_second_start_joins_the_first(play, add, simulator, queue):
    ref = add("gameball", status="processing")

    async def scene(client):
        handles = [await start_wait(client, ref, task_queue=queue, timeout=600) for _ in range(3)]
        return {handle.id for handle in handles}, {(await handle.describe()).run_id for handle in handles}

    ids, runs = play(scene)
    assert ids == {wait_id(ref)}
    assert len(runs) == 1


def test_an_ended_wait_does_not_run_anew(play, add, simulator, queue):
    """A third start, after the end, has the same answer from the same run, without another poll."""
    ref = add("gameball", status="completed")

    async def scene(client):
        async with working(client, queue, simulator.accounts()):
            first = await start_wait(client, ref, task_queue=queue, timeout=600)
            found = await first.result()
            reads = len(simulator.reads)
            again = await start_wait(client, ref, task_queue=queue, timeout=600)
            assert await again.result() == found
            assert (await again.describe()).run_id == (await first.describe()).run_id
            assert len(simulator.reads) == reads

    play(scene)


def test_a_failed_wait_runs_anew(play, add, simulator, queue):
    """It goes on from the checkpoint of the one that timed out."""
    ref = add("gameball", status="processing")

    async def scene(client):
        async with working(client, queue, simulator.accounts()):
            first = await start_wait(client, ref, task_queue=queue, timeout=2)
            with pytest.raises(WorkflowFailureError) as raised:
                await first.result()
            checkpoint = raised.value.cause.details[0]["checkpoint"]
            simulator.add("gameball", id=ref.id, status="completed")
            again = await start_wait(client, ref, task_queue=queue, timeout=60, resume=checkpoint)
            return (await again.result())["state"]

    assert play(scene) == "succeeded"


def test_other_questions_are_other_waits():
    """Waits with other answers do not join each other."""
    ids = {
        wait_id("believe:17"),
        wait_id("believe/acme:17"),
        wait_id("believe:17", until={BatchState.REQUIRES_ACTION}),
        wait_id("believe:17", results=True),
    }
    assert len(ids) == 4


# Ends that are not the batch's


@pytest.mark.parametrize("held", [False, True], ids=["read", "held"])
def test_a_timeout_says_state_and_seconds(play, add, simulator, queue, held):
    ref = add("gameball", status="processing", total=8)

    async def scene(client):
        async with working(client, queue, simulator.accounts()):
            with pytest.raises(WorkflowFailureError) as raised:
                await (await start_wait(client, ref, task_queue=queue, timeout=3, held=held)).result()
            return raised.value.cause

    error = play(scene)
    assert isinstance(error, ApplicationError)
    assert error.type == "WaitTimeout"
    assert str(error) == f"WaitTimeout: {ref}: still RUNNING (processing), 4 of 8 done after 3.0 s"
    assert Batch.from_dict(error.details[0]["last"]).state is BatchState.RUNNING


def test_a_refusal_is_not_tried_again(play, add, simulator, queue):
    """A refusal that is believed, here of the keys, ends the workflow at once."""
    ref = add("believe", status="PENDING")

    async def scene(client):
        async with working(client, queue, [wrong_key(simulator)]):
            with pytest.raises(WorkflowFailureError) as raised:
                await (await start_wait(client, ref, task_queue=queue, timeout=3600)).result()
            return raised.value.cause

    error = play(scene)
    assert (error.type, error.non_retryable) == ("AuthenticationError", True)
    assert len(simulator.reads) == 1


def test_another_workers_account_is_waited_for(play, add, simulator, queue):
    """A worker that lacks the account fails no wait: one that has it may come, as in a deployment."""
    ref = add("believe", status="FAILED")
    gameball, believe = sorted(simulator.accounts(), key=lambda one: one.vendor != "gameball")

    async def scene(client):
        async with working(client, queue, [gameball]):
            handle = await start_wait(client, ref, task_queue=queue, timeout=3600)
            pending = await eventually(lambda: attempt(handle), lambda one: one.HasField("last_failure"))
        async with working(client, queue, [believe]):
            return pending.last_failure.message, await handle.result()

    message, fields = play(scene)
    assert "believe" in message
    assert fields["state"] == "failed"


@pytest.mark.parametrize("held", [False, True], ids=["read", "held"])
def test_a_cancelled_workflow_stops_the_reads(play, add, simulator, queue, held):
    ref = add("gameball", status="processing")

    async def scene(client):
        async with working(client, queue, simulator.accounts()):
            handle = await start_wait(client, ref, task_queue=queue, timeout=3600, held=held)
            await eventually(lambda: attempt(handle), lambda _: len(simulator.reads) > 1)
            await handle.cancel()
            with pytest.raises(WorkflowFailureError) as raised:
                await handle.result()
            assert isinstance(raised.value.cause, CancelledError)
            status = (await handle.describe()).status

            async def reads_in_a_while():
                before = len(simulator.reads)
                await asyncio.sleep(3)
                return len(simulator.reads) - before

            await eventually(reads_in_a_while, lambda more: more == 0)
            return status

    assert play(scene) is WorkflowExecutionStatus.CANCELED


# Workers come and go


@pytest.mark.parametrize("held", [False, True], ids=["read", "held"])
def test_a_wait_moves_on_from_a_worker_that_leaves(play, add, simulator, queue, held):
    """A worker that shuts down hands over the checkpoint; the next one goes on from it."""
    ref = add("gameball", status="processing")

    async def scene(client):
        async with working(client, queue, simulator.accounts()):
            handle = await start_wait(client, ref, task_queue=queue, timeout=3600, held=held)
            await eventually(lambda: attempt(handle), lambda _: len(simulator.reads) > 1)
        left = await eventually(lambda: attempt(handle), lambda one: one.HasField("last_failure"))
        checkpoint = left.heartbeat_details.payloads[0].data
        simulator.add("gameball", id=ref.id, status="completed")
        async with working(client, queue, simulator.accounts()):
            return left.last_failure.application_failure_info.type, checkpoint, await handle.result()

    kind, checkpoint, fields = play(scene)
    assert kind == "NotEnded"
    assert b"batchstatus_checkpoint" in checkpoint
    assert b'"processing"' in checkpoint
    assert fields["state"] == "succeeded"


@pytest.mark.parametrize("held", [False, True], ids=["read", "held"])
def test_a_wait_survives_a_killed_worker(play, add, simulator, worker, held):
    """Another worker takes up the checkpoint of one that was killed."""
    ref = add("gameball", status="processing")

    async def scene(client):
        with worker() as first:
            handle = await start_wait(client, ref, task_queue=worker.queue, timeout=3600, held=held)
            found = await eventually(lambda: attempt(handle), lambda one: one.heartbeat_details.payloads)
            end(first, signal.SIGKILL)
        simulator.add("gameball", id=ref.id, status="completed")
        with worker():
            return found.heartbeat_details.payloads[0].data, await handle.result()

    checkpoint, fields = play(scene)
    assert b'"processing"' in checkpoint
    assert fields["state"] == "succeeded"


def test_a_last_look_follows_an_absence(play, add, simulator, queue):
    """If no worker was there when the time ended, the first one that comes back looks before it says so."""
    ref = add("gameball", status="completed")

    async def scene(client):
        handle = await start_wait(client, ref, task_queue=queue, timeout=1)
        # The workflow begins with its first worker; one without accounts leaves the activity without a worker.
        async with Worker(client, task_queue=queue, plugins=[BatchStatusPlugin()]):
            await eventually(lambda: history(handle), lambda events: "TIMED_OUT" in str(events))
        async with working(client, queue, simulator.accounts()):
            return await handle.result()

    assert play(scene)["state"] == "succeeded"


def test_a_wait_that_nobody_answers_says_so(play, simulator, queue, add):
    """Workers of workflows only: the wait ends, and says what was known and what is missing."""
    ref = add("gameball", status="processing")

    async def scene(client):
        handle = await start_wait(client, ref, task_queue=queue, timeout=4)
        async with working(client, queue, simulator.accounts()):
            await eventually(lambda: attempt(handle), lambda one: one.HasField("last_failure"))
        async with Worker(client, task_queue=queue, plugins=[BatchStatusPlugin()]):
            with pytest.raises(WorkflowFailureError) as raised:
                await handle.result()
        return raised.value.cause

    error = play(scene)
    assert error.type == "WaitTimeout"
    stands = f"{ref}: still RUNNING (processing) after 4.0 s, and no worker has answered for 15 s more: "
    assert error.message.startswith(stands)


def test_what_was_found_of_many_outlives_the_workers(play, simulator, queue, add):
    """The ended ones are known even if no worker comes back; the others say that none has."""
    ended, open_ = add("gameball", status="completed"), add("gameball", status="processing")

    async def scene(client):
        refs = [str(open_), str(ended)]
        handle = await client.start_workflow(Many.run, args=[refs, 6.0], id=queue, task_queue=queue)
        async with working(client, queue, simulator.accounts(), Many):
            await eventually(lambda: attempt(handle), lambda _: len(simulator.reads) > 2)
        async with Worker(client, task_queue=queue, workflows=[Many], plugins=[BatchStatusPlugin()]):
            return await handle.result()

    found = play(scene)
    assert found[str(ended)] == "succeeded"
    assert found[str(open_)].startswith(f"WaitTimeout: {open_}: still unread after 6.0 s, and no worker has answered")
