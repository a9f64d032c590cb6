"""DAGs that wait for the batches they are given."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher, dag, task
from batchstatus.engines.airflow import BatchEventTrigger, BatchSensor


@task
def refs(params: dict) -> list[str]:
    return params["refs"]


@dag(schedule=None, params={"refs": []})
def many():
    """Waits for each ref."""
    BatchSensor.partial(task_id="wait", timeout=600, deferrable=True).expand(ref=refs())


@dag(schedule=None, params={"refs": []})
def planted():
    """Waits for each ref with a key that its vendor refuses."""

    @task
    def arguments(params: dict) -> list[dict[str, str]]:
        return [{"ref": ref, "conn_id": f"planted_{ref.partition(':')[0]}"} for ref in params["refs"]]

    BatchSensor.partial(task_id="wait", timeout=600, deferrable=True).expand_kwargs(arguments())


points = Asset("points", watchers=[AssetWatcher(name="ended", trigger=BatchEventTrigger("gameball:777001"))])


@dag(schedule=[points])
def watching():
    """Runs once a batch has ended."""

    @task
    def report(triggering_asset_events=None) -> str:
        ((event,),) = triggering_asset_events.values()
        return event.extra["payload"]["batch"]["state"] if "payload" in event.extra else str(event.extra)

    report()


many()
planted()
watching()
