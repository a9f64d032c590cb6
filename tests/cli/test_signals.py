"""How signals end a command, whatever it is doing."""

from __future__ import annotations

import asyncio
import gc
import os
import signal

import pytest
from batchstatus.cli.exit_codes import INTERRUPTED, TERMINATED
from batchstatus.cli.signals import Terminated, code_of_signal, handle_sigterm, run_tasks


@pytest.fixture(autouse=True)
def _handled():
    before = signal.getsignal(signal.SIGTERM)
    handle_sigterm()
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)])
def test_a_signal_that_comes_within_a_task_cancels_the_command(number, code, caplog):
    """It raises in none of its tasks, whose exception asyncio would log as never retrieved."""
    ended = []

    async def interrupted():
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(60)
        finally:
            ended.append("task")

    async def main():
        beside = asyncio.create_task(interrupted())
        try:
            await asyncio.wait([beside])
        finally:
            ended.append("command")

    with pytest.raises(KeyboardInterrupt) as caught:
        run_tasks(main())
    gc.collect()
    assert (code_of_signal(caught.value), ended, caplog.text) == (code, ["command", "task"], "")


def test_after_it_the_signal_is_handled_as_before():
    async def main():
        return 7

    assert run_tasks(main()) == 7
    with pytest.raises(Terminated):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_cancellation_that_no_signal_caused_stays_one():
    async def main():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_tasks(main())
