"""An example: wait for a batch without a worker, then work with what it found.

It needs a connection of the vendor of its ref, such as `shop_default` for `{"ref": "shop:1748392"}`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from batchstatus import Batch
from batchstatus.engines.airflow import BatchSensor


@dag(schedule=None, params={"ref": "shop:1748392"}, tags=["example", "batchstatus"])
def example_batchstatus() -> None:
    """Wait for a batch, and report its counts."""

    @task
    def report(fields: dict[str, Any]) -> str:
        batch = Batch.from_dict(fields)
        return f"{batch.ref}: {batch.counts.succeeded} of {batch.counts.total} items succeeded"

    wait = BatchSensor(
        task_id="wait",
        ref="{{ params.ref }}",
        timeout=timedelta(hours=6),
        deferrable=True,
    )
    report(wait.output)  # type: ignore[arg-type]  # Airflow gives the task what the sensor returns


example = example_batchstatus()
