"""Forked processes: what the parent was doing in another thread does not hang the child."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from batchstatus import BatchClient, Believe, RateLimit
from waiting import LONG

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

WHILE_LOADING = """if True:
    import os, sys, threading, time
    import batchstatus

    def make():
        from batchstatus import BatchClient, Believe
        BatchClient(Believe("test-believe-key")).close()

    thread = threading.Thread(target=make)
    thread.start()
    time.sleep(float(sys.argv[1]))
    child = os.fork()
    make()
    if child:
        thread.join()
        _, status = os.waitpid(child, 0)
        sys.exit(os.waitstatus_to_exitcode(status))
    os._exit(0)
"""


def in_child(work):
    """Return whether the work ends well in a child of this process."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 (the child must end here, whatever happens)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1])
def test_a_fork_while_a_thread_loads_the_package(seconds):
    """A thread makes the first client, the process forks a moment later, and the child makes one, too."""
    command = [sys.executable, "-W", "ignore", "-c", WHILE_LOADING, str(seconds)]
    assert subprocess.run(command, timeout=LONG, check=False, stderr=subprocess.DEVNULL).returncode == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_while_other_threads_hold_the_locks(simulator):
    """Those of a pace and of a TLS context."""
    account = Believe("test-simulator-believe-key", base_url=simulator.url, rate_limit=RateLimit(100))
    client = BatchClient(account)
    locks = [*[pace._lock for pace in client._paces.values()], client._transport._routes._lock]
    held, done = threading.Event(), threading.Event()

    def hold():
        for lock in locks:
            lock.__enter__()
        held.set()
        done.wait(LONG)
        for lock in locks:
            lock.__exit__(None, None, None)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(LONG)
    try:
        assert in_child(lambda: client.check(timeout=LONG / 2))
    finally:
        done.set()
        thread.join()
    client.close()


def test_a_client_of_the_parent_reads_in_the_child(simulator):
    """As with a server that loads the application before it forks."""
    ref = simulator.add("gameball", status="completed")
    with BatchClient(*simulator.accounts()) as client:
        client.get(ref)
        assert in_child(lambda: client.get(ref))
        assert client.get(ref).has_ended
