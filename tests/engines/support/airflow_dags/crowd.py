"""A DAG whose tasks wait in the triggerer, beside one that measures the lag of its event loop: `crowd.py RUN`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.sdk import dag
from airflow.triggers.base import BaseTrigger, TriggerEvent
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from batchstatus.engines.airflow import BatchSensor, BatchTrigger
from sqlalchemy import select

BATCHES = range(900_000, 900_500)
TICK = 0.01
"""Seconds that the probe sleeps at a time: how much longer it took is the lag."""


class LoopLag(BaseTrigger):
    """Notes how late the event loop is, and writes it to a file as soon as the test puts another one beside it."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "crowd.LoopLag", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        folder, lags, now = Path(os.environ["CROWD"]), [], time.monotonic()
        while not (folder / "end").exists():
            await asyncio.sleep(TICK)
            before, now = now, time.monotonic()
            lags.append((now, now - before - TICK))
        (folder / "part").write_text(json.dumps(lags))
        (folder / "part").rename(folder / "lags")
        await asyncio.Event().wait()  # else a worker would take the task up
        yield TriggerEvent(None)


@dag(schedule=None)
def crowd():
    """Waits for each batch; a pool without slots keeps workers away, which would take a second for each."""
    BatchSensor(task_id="lag", pool="closed", ref="gameball:1")
    BatchSensor.partial(task_id="wait", pool="closed").expand(ref=[f"gameball:{number}" for number in BATCHES])


def defer(run: str) -> None:
    """Hand all tasks of a run to the triggerer, as a worker does that has looked and found their batches open."""
    end = datetime.now(UTC) + timedelta(hours=1)
    with create_session() as session:
        for ti in session.scalars(select(TaskInstance).where(TaskInstance.run_id == run)):
            wait = BatchTrigger(f"gameball:{BATCHES[ti.map_index]}", "gameball_default", end)
            row = Trigger(*(LoopLag() if ti.task_id == "lag" else wait).serialize())
            session.add(row)
            session.flush()
            ti.state, ti.trigger_id, ti.next_method = TaskInstanceState.DEFERRED, row.id, "execute_complete"


if __name__ == "__main__":
    defer(sys.argv[1])
else:
    crowd()
