"""The trial: 60 batches, two workers, a worker killed and the server restarted. `HA=1 make test-engines`."""

from __future__ import annotations

import asyncio
import json
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest
from batchstatus.engines.temporal import start_wait
from servers import end, free_port, running
from temporal_server import eventually, history, temporal_server
from temporalio.client import Client

SUPPORT = Path(__file__).parent.parent / "support"
BATCHES = 60

pytestmark = [pytest.mark.ha, pytest.mark.timeout(600)]


def test_sixty_batches_survive_a_kill_and_a_restart(tmp_path, queue, capsys):
    """Each has one end, from one run; no request is refused as one too many."""
    port, folder = free_port(), tmp_path / "server"
    folder.mkdir()
    with ExitStack() as stack:
        vendors = stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(SUPPORT / "temporal_vendors.py"), str(BATCHES)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(vendors.kill)
        world = json.loads(vendors.stdout.readline())
        store = tmp_path / "pace.db"

        def worker(name):
            command = sys.executable, SUPPORT / "temporal_worker.py", f"127.0.0.1:{port}", queue, store
            return running(*command, log=tmp_path / f"{name}.log", env=world["environment"])

        with temporal_server(folder, port) as address:
            one, two = (stack.enter_context(worker(name)) for name in ("one", "two"))
            asyncio.run(start(address, queue, world["ends"]))
            asyncio.run(asyncio.sleep(15))
            end(one, signal.SIGKILL)
            killed_at = time.time()
            stack.enter_context(worker("three"))  # as a supervisor would
            asyncio.run(asyncio.sleep(10))
        restarted_at = time.time()
        with temporal_server(folder, port) as address:
            found = asyncio.run(outcomes(address, world["ends"]))
            assert two.poll() is None
        vendors.stdin.write("\n")
        vendors.stdin.flush()
        told = json.loads(vendors.stdout.readline())

    lags = sorted(at - world["ends"][ref] for ref, (_, at, _) in found.items())
    shares = Counter(name for *_, name in found.values())
    with capsys.disabled():
        print(
            f"\n{BATCHES} batches: {told['reads']} reads, {told['too_many']} x 429;"
            f"\nbusiest second, by the limit, {told['busiest']};"
            f"\nlag median {statistics.median(lags):.1f} s, largest {lags[-1]:.1f} s; ends by worker"
            f" {sorted(shares.values())}; killed {restarted_at - killed_at:.0f} s before the server's restart"
        )
    assert {ref: state for ref, (state, *_) in found.items()} == dict.fromkeys(world["ends"], "succeeded")
    assert told["too_many"] == 0
    assert len(told["busiest"]) == 2
    for limit, most in told["busiest"].items():
        assert most <= int(limit)


async def start(address: str, queue: str, refs) -> None:
    client = await Client.connect(address)
    for _ in range(2):  # the second time joins the first
        await asyncio.gather(*(start_wait(client, ref, task_queue=queue, timeout=600) for ref in refs))


async def outcomes(address: str, refs) -> dict[str, tuple[str, float, str]]:
    """Return the state, the time, and the worker of each end; there is one run, and one end, for each."""
    client = await Client.connect(address)
    found = {}
    for ref in refs:
        handle = client.get_workflow_handle(f"batchstatus:{ref}")
        fields = await handle.result()
        events = await history(handle)
        done = [event for event in events if "activityTaskCompletedEventAttributes" in event]
        assert len(done) == 1
        at = datetime.fromisoformat(done[0]["eventTime"]).timestamp()
        found[fields["ref"]] = fields["state"], at, done[0]["activityTaskCompletedEventAttributes"]["identity"]
    runs = await eventually(lambda: client.count_workflows(""), lambda runs: runs.count >= len(refs))
    assert runs.count == len(refs)
    return found
