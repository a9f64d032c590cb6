"""A DAG that waits for the batches it is given, and one that watches for events."""

from __future__ import annotations

from airflow.sdk import dag, task
from batchstatus.engines.airflow import BatchSensor


@dag(schedule=None, params={"refs": [], "timeout": 600})
def many():
    """Waits for each ref."""

    @task
    def refs(params: dict) -> list[str]:
        return params["refs"]

    BatchSensor.partial(task_id="wait", timeout=600, deferrable=True).expand(ref=refs())


many()
