"""The recipe of docs/how-to/run-from-cron.md for cron, run as cron runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from batchstatus.testing.simulator import Simulator

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "how-to" / "run-from-cron.md"
RECIPE = DOCUMENT.read_text(encoding="utf-8").partition("\n## Cron\n")[2]
(SCRIPT,) = re.findall(r"^```python\n(.*?)^```\n", RECIPE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def simulator():
    with Simulator(limits=False) as simulator:
        yield simulator


@pytest.fixture
def look(simulator, tmp_path):
    """A function that runs the script once, and returns what it prints."""

    def look() -> str:
        command = [sys.executable, "-W", "error", "-c", SCRIPT]
        env = simulator.environment()
        ended = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.stderr == ""
        return ended.stdout

    return look


@pytest.fixture
def waits(tmp_path):
    """The file of open waits: a function that returns them, and makes all of them due."""
    path = tmp_path / "waits.json"

    def waits(**refs: dict) -> dict:
        if refs:
            path.write_text(json.dumps(refs))
        found = json.loads(path.read_text())
        path.write_text(json.dumps({ref: kept | {"next": 0} for ref, kept in found.items()}))
        return found

    return waits


def test_cron_waits_from_run_to_run(simulator, look, waits):
    """The checkpoint lies in the file; the end is printed once, and the wait is gone."""
    ref, other = str(simulator.add("gameball", status="processing")), str(simulator.add("believe", status="FAILED"))
    waits(**{ref: {}, other: {}})
    assert look() == f"{other} FAILED\n"
    (kept,) = waits().values()
    assert kept["checkpoint"]["last"]["state"] == "running"
    assert kept["checkpoint"]["attempts"] == 1
    assert look() == ""
    assert waits()[ref]["checkpoint"]["attempts"] == 2
    simulator.add("gameball", id=ref.partition(":")[2], status="completed")
    assert look() == f"{ref} SUCCEEDED\n"
    assert waits() == {}
    assert look() == ""


def test_cron_polls_only_when_it_is_time(simulator, look, tmp_path):
    ref = str(simulator.add("gameball", status="processing"))
    (tmp_path / "waits.json").write_text(json.dumps({ref: {"next": 10**10}}))
    assert look() == ""
    assert simulator.reads == []


def test_no_key_is_in_the_file(simulator, look, waits, tmp_path):
    waits(**{str(simulator.add("gameball", status="processing")): {}})
    look()
    for name, value in simulator.environment().items():
        if "KEY" in name:
            assert value not in (tmp_path / "waits.json").read_text()
