"""What `make bench` says and how it ends; what it measures is no test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench"


def bench(*arguments):
    command = [sys.executable, str(BENCH), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_the_last_line_counts_the_goals():
    """A subject is measured and the last line counts its goals."""
    run = bench("pace")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines()[-1] == "5 of 5 goals hold."


def test_an_unknown_subject_is_refused():
    run = bench("speed")
    assert run.returncode == 1
    assert run.stderr.startswith("bench: no subject speed; there are jobs, ")


@pytest.mark.parametrize(("value", "status"), [(1.0, 0), (1.1, 1), (float("nan"), 1)])
def test_a_goal_that_fails_ends_it_with_1(tmp_path, value, status):
    (tmp_path / "planted.py").write_text(
        f"from _report import Figure\ndef figures():\n    yield Figure('planted', float('{value}'), 1.0)\n"
    )
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(BENCH)!r}]\n"
        "import planted; planted.__doc__ = 'Planted.'\n"
        "import runpy; main = runpy.run_path(sys.path[1] + '/__main__.py')['main']\n"
        "main.__globals__['SUBJECTS'] = ('planted',); sys.exit(main([]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (status, "")
    assert run.stdout.splitlines()[-1] == f"{1 - status} of 1 goals hold."
