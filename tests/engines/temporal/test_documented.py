"""The examples of docs/how-to/run-on-temporal.md run as they are, and print the documented output."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from servers import running

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "how-to" / "run-on-temporal.md"
ENDING = "import os, runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__'); sys.stdout.flush(); os._exit(0)"
"""Runs a script, and ends before the interpreter is taken down, which temporalio's threads may crash: see the page."""
BLOCKS = re.compile(r'^```python title="(\w+\.py)"\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?', re.MULTILINE | re.DOTALL)


def test_the_examples_run(address, simulator, tmp_path):
    output = ""
    for name, code, text in BLOCKS.findall(PAGE.read_text(encoding="utf-8")):
        (tmp_path / name).write_text(code, encoding="utf-8")
        output += text
    assert {path.name for path in tmp_path.iterdir()} == {"workflows.py", "worker.py", "start.py"}
    simulator.add("gameball", id="1748392", seconds=2, total=200)
    there = {"TEMPORAL_ADDRESS": address, "HOME": str(tmp_path)}
    worker = sys.executable, "-W", "error", tmp_path / "worker.py"
    with running(*worker, log=tmp_path / "worker.log", env=simulator.environment() | there):
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", ENDING, tmp_path / "start.py"],
            env=there,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (run.returncode, run.stderr, run.stdout) == (0, "", output)
