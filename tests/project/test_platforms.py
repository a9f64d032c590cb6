"""Other platforms: all works where fcntl, forks, SIGHUP, CLOCK_BOOTTIME and signal handlers of loops are missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import commandline
import pytest

ELSEWHERE = Path(commandline.__file__).parent / "elsewhere"

IMPORT_ALL = """if True:
    import importlib, pkgutil, time
    import batchstatus, batchstatus_raw
    assert not hasattr(time, "CLOCK_BOOTTIME")
    for package in (batchstatus, batchstatus_raw):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            is_extra = module.name.startswith("batchstatus.engines.")  # with libraries of their own
            if not module.name.endswith("__main__") and not is_extra:
                importlib.import_module(module.name)
"""
READ = """if True:
    import asyncio, sys
    from batchstatus import AsyncBatchClient, BatchClient

    async def main():
        async with AsyncBatchClient.from_env() as client:
            return await client.wait_all(sys.argv[1:], timeout=30)

    with BatchClient.from_env() as client:
        found = [*client.wait_all(sys.argv[1:], timeout=30).values(), *asyncio.run(main()).values()]
    assert all(outcome.unwrap().has_ended for outcome in found)
"""


@pytest.fixture
def elsewhere(user):
    return user | {"PYTHONPATH": str(ELSEWHERE)}


def python(environ, code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    run = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_every_module_imports(elsewhere):
    python(elsewhere, IMPORT_ALL)


def test_both_clients_read(elsewhere, simulator):
    python(elsewhere, READ, *(simulator.add(vendor, seconds=0.5) for vendor in ("gameball", "believe")))


def test_the_command_line_and_the_service_work(elsewhere, simulator):
    refs = [simulator.add(vendor, seconds=0.5) for vendor in ("gameball", "believe")]
    for command in (["status"], ["wait"], ["watch"], ["track", "add"]):
        assert commandline.run(elsewhere, *command, *refs).returncode == 0
    kinds = [line["kind"] for line in commandline.lines(commandline.run(elsewhere, "run", "--once"))]
    assert kinds == ["ended", "ended"]
    assert [line["ended"] for line in commandline.lines(commandline.run(elsewhere, "track", "list"))] == [True, True]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_the_service(elsewhere, simulator, number, code):
    commandline.run(elsewhere, "track", "add", simulator.add("gameball", seconds=600))
    command = [*commandline.COMMAND, "run"]
    with subprocess.Popen(command, env=elsewhere, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as service:
        try:
            assert b"Ctrl-C ends it" in service.stderr.readline()
            os.kill(service.pid, number)
            assert service.wait(30) == code
            assert service.stderr.read().splitlines()[-1].endswith(b" interrupted")
        finally:
            service.kill()
