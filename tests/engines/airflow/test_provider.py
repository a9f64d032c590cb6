"""What Airflow's command line shows of the provider, and the example DAG, on SQLite."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from airflow_home import airflow, connections, settings
from batchstatus.testing.simulator import Simulator

DOCUMENT = Path(__file__).parent.parent.parent.parent / "docs" / "how-to" / "run-on-airflow.md"
TRY = """
import json, sys
from example import example
run = example.test(run_conf={"refs": sys.argv[1:]})
for ti in sorted(run.get_task_instances(), key=lambda ti: (ti.task_id, ti.map_index)):
    print("RESULT", ti.task_id, ti.state, ti.xcom_pull(task_ids=ti.task_id) if ti.task_id == "report" else "")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The environment of an Airflow with a database."""
    env = settings(tmp_path_factory.mktemp("home"))
    airflow("db", "migrate", env=env)
    return env


def listed(*words, env):
    return json.loads(airflow(*words, "--output", "json", env=env))


def test_the_provider_is_listed(home):
    (found,) = [one for one in listed("providers", "list", env=home) if one["package_name"] == "batchstatus"]
    assert found["description"] == "Know when a batch has ended, at any vendor"


def test_the_hooks_are_listed(home):
    found = {one["connection_type"]: one for one in listed("providers", "hooks", env=home)}
    for vendor, name in (("gameball", "GameballHook"), ("believe", "BelieveHook")):
        assert found[vendor]["class"] == f"batchstatus.engines.airflow.{name}"
        assert found[vendor]["conn_id_attribute_name"] == f"{vendor}_conn_id"
        assert found[vendor]["hook_name"] == name.removesuffix("Hook")


def test_a_connection_can_be_tested(home):
    """It does what the Test button does."""
    with Simulator(limits=False) as simulator:
        said = airflow("connections", "test", "gameball_default", env=home | connections(simulator))
    assert "Connection success!" in said
    assert "test-gameball-key" not in said


def results(home, simulator, *refs):
    """Run the DAG of examples/ by `dag.test()`; return the state of each task, and what the last one returned."""
    ended = subprocess.run(
        [sys.executable, "-c", TRY, *map(str, refs)],
        env=os.environ | home | connections(simulator),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-4_000:] + ended.stderr[-4_000:]
    assert "test-gameball-key" not in ended.stdout + ended.stderr
    return [line.removeprefix("RESULT ").strip() for line in ended.stdout.splitlines() if line.startswith("RESULT")]


def test_the_example_runs(home):
    """Its waits defer, are resumed, and their XComs are read by the next task."""
    with Simulator(limits=False) as simulator:
        refs = simulator.add("gameball", seconds=3, total=200, failed=2), simulator.add("believe", seconds=0)
        found = results(home, simulator, *refs)
    assert found == ["refs success", "report success 2 batches, 2 items failed", "wait success", "wait success"]


def test_a_failed_batch_fails_the_example(home):
    with Simulator(limits=False) as simulator:
        refs = simulator.add("gameball", status="failed"), simulator.add("gameball", status="completed")
        found = results(home, simulator, *refs)
    assert found == ["refs success", "report upstream_failed None", "wait failed", "wait success"]


def test_the_documents_examples_load():
    """As Airflow would load them; the other documents' examples are run by the project's tests."""
    found = re.findall(r"^```py\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    ours = [block for block in found if "batchstatus.engines.airflow" in block]
    assert len(ours) == 2
    for block in ours:
        exec(block, {"__name__": "example"})
