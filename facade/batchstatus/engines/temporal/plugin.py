"""The plugin of a worker: activities, workflow and sandbox in one line."""

from __future__ import annotations

import dataclasses

from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkerConfig, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from batchstatus import AsyncBatchClient, ConfigurationError

from .activities import Activities
from .workflows import VersionedWaitForBatch, WaitForBatch


class BatchStatusPlugin(SimplePlugin):
    """Lets a worker wait for batches: `Worker(..., plugins=[BatchStatusPlugin(batches)])`.

    It registers the workflow `WaitForBatch` and the activities `batchstatus.read`, `batchstatus.wait` and
    `batchstatus.wait_many`, and lets workflows import this package as it is. It needs no data converter, and goes along
    with any: all values are plain JSON.

    Args:
        client: The client with the accounts, which stays the caller's to close after the worker has ended. Workers that
            share an account share its pace, too. None registers no activities: for a worker of workflows only, and for
            a Replayer.
    """

    def __init__(self, client: AsyncBatchClient | None = None) -> None:
        if client is not None and not isinstance(client, AsyncBatchClient):
            raise ConfigurationError(f"BatchStatusPlugin takes an AsyncBatchClient, not {type(client).__name__}")
        super().__init__(
            "batchstatus.temporal",
            activities=None if client is None else Activities(client).all(),
            workflows=[WaitForBatch],
            workflow_runner=_pass_through,
        )

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """See the base class."""
        configured = super().configure_worker(config)
        deployment = configured.get("deployment_config")
        if deployment is not None and deployment.use_worker_versioning:
            workflows = configured.get("workflows", ())
            configured["workflows"] = [VersionedWaitForBatch if one is WaitForBatch else one for one in workflows]
        return configured


def _pass_through(runner: WorkflowRunner | None) -> WorkflowRunner:
    """Keep the sandbox from reloading this package for each workflow: it would cost time, and errors would be of
    other classes.
    """
    assert runner is not None, "a worker has a runner"
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner
    restrictions = runner.restrictions.with_passthrough_modules("batchstatus", "attr", "attrs")
    return dataclasses.replace(runner, restrictions=restrictions)
