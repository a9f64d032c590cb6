"""A DAG for batches that another system starts: it waits for all of them without a worker, and reports their counts.

It needs the extra `airflow` and a connection `gameball_default`. The job that starts the batches starts a run
of it with `{"refs": ["gameball:1748392", ...]}`.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, get_current_context, task
from batchstatus import Batch
from batchstatus.engines.airflow import BatchSensor


@dag(schedule=None, params={"refs": ["gameball:1748392"]}, tags=["batchstatus"])
def report_batches() -> None:
    @task
    def refs() -> list[str]:
        return [*get_current_context()["params"]["refs"]]

    @task
    def report(ended: list[dict[str, Any]]) -> str:
        batches = [Batch.from_dict(fields) for fields in ended]
        failed = sum(batch.counts.failed or 0 for batch in batches)
        return f"{len(batches)} batches, {failed} items failed"

    waits = BatchSensor.partial(task_id="wait", timeout=timedelta(hours=6), deferrable=True).expand(ref=refs())
    report(waits.output)  # type: ignore[arg-type]  # Airflow gives it the batches; if a wait has failed, it is not run


example = report_batches()
