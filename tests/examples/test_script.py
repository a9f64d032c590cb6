"""`examples/wait_for_batches.py`, as a job runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "examples" / "wait_for_batches.py"
COMMAND = sys.executable, "-W", "error", SCRIPT


@pytest.fixture
def wait(user):
    """A function that runs the script to its end; without keys, if it is so asked."""

    def wait(*arguments: object, env=user) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=60, check=False
        )

    return wait


def test_all_succeed(user, simulator):
    slow = simulator.add("gameball", status="processing", total=200)
    fast = simulator.add("believe", status="EXECUTED")
    command = [*COMMAND, str(slow), str(fast)]
    with subprocess.Popen(command, env=user, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        first = waiting.stdout.readline()
        simulator.add("gameball", id=slow.id, status="completed", total=200)
        rest, said = waiting.communicate(timeout=60)
    assert (waiting.returncode, said) == (0, "")
    assert first + rest == f"{fast} succeeded 8 of 8\n{slow} succeeded 200 of 200\n"


@pytest.mark.parametrize("bad", [{"status": "failed"}, {"status": "completed", "failed": 1}], ids=["batch", "item"])
def test_one_does_not_succeed(wait, simulator, bad):
    ended = wait(simulator.add("gameball", status="completed"), simulator.add("gameball", **bad))
    assert (ended.returncode, len(ended.stdout.splitlines())) == (1, 2)


def test_a_refusal_counts_more_than_the_time(wait, user, simulator):
    refused = simulator.add("believe", status="FINALIZED")
    env = user | {"BELIEVE_API_KEY": "test-wrong-key"}
    ended = wait(simulator.add("gameball", status="processing"), refused, "--timeout", 1, env=env)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"{refused}: " in ended.stderr
    assert "test-wrong-key" not in ended.stderr


def test_the_time_is_up(wait, simulator):
    ref = simulator.add("gameball", status="processing")
    ended = wait(ref, "--timeout", 1)
    assert (ended.returncode, ended.stdout) == (75, "")
    assert f"{ref}: still RUNNING" in ended.stderr


def test_sigterm_ends_it(user, simulator):
    refs = simulator.add("gameball", status="completed"), simulator.add("gameball", status="processing")
    command = [*COMMAND, *map(str, refs)]
    with subprocess.Popen(command, env=user, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as script:
        try:
            assert script.stdout.readline() == f"{refs[0]} succeeded 8 of 8\n"
            script.send_signal(signal.SIGTERM)
            assert script.wait(30) == 75
            assert str(refs[1]) in script.stderr.read()
        finally:
            script.kill()


def test_misuse_is_told(wait, environ):
    """Without a key, a ref or a vendor."""
    for said in (wait("gameball:1", env=environ), wait(), wait("1748392")):
        assert (said.returncode, said.stdout) == (2, "")
        assert said.stderr.startswith("usage: wait_for_batches.py")
