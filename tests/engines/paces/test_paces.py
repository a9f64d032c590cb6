"""Paces on real servers: four processes keep one limit, whatever becomes of the server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pace_servers
import pytest
from batchstatus import BatchClient, Believe, ConfigurationError
from batchstatus.paces import paced
from batchstatus.paces.postgres import PostgresPace
from batchstatus.paces.redis import RedisPace
from batchstatus.testing.simulator import Simulator
from batchstatus.testing.simulator.believe import BELIEVE_KEY

HA = bool(os.environ.get("HA"))
SECONDS = 30.0 if HA else 10.0
WORKERS = 4
PACES = {"redis": RedisPace, "postgres": PostgresPace}
SECRET = "test-secret"


@pytest.fixture(params=["redis", "postgres"])
def server(request, tmp_path):
    made = {"redis": pace_servers.Redis, "postgres": pace_servers.Postgres}[request.param](tmp_path)
    made.start()
    yield made
    made.end()


@pytest.fixture
def black_hole(server):
    made = pace_servers.BlackHole(server)
    yield made
    made.close()


def together(url, *, seconds=SECONDS, when_lost="wait", trouble=lambda: None):
    """Let four processes read at one pace; return what they say, and how often the simulator was asked."""
    with Simulator() as simulator:
        ref = str(simulator.add("believe"))
        worker = str(Path(__file__).parent.parent / "support" / "pace_worker.py")
        command = [sys.executable, worker, url, when_lost, simulator.url, ref, str(seconds)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(WORKERS)]
        try:
            for process in processes:
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                process.stdin.write("\n")
                process.stdin.flush()
            time.sleep(seconds / 3)
            trouble()
            said = [process.communicate(timeout=seconds + 60) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.communicate()
        assert [errors for _, errors in said if "Traceback" in errors] == []
        assert SECRET not in str(said)
        found = [json.loads(out) for out, _ in said]
        print(*found, f"{len(simulator.reads)} reads", sep="\n")
        return found, len(simulator.reads)


def test_four_processes_keep_one_limit(server):
    """That no 429 comes, and all of the pace is used, needs a quiet machine: the simulator's limit is exact."""
    found, reads = together(server.url)
    shares = [each["read"] for each in found]
    assert all(shares)
    assert reads <= 9.0 * SECONDS + WORKERS
    if HA:
        assert [each["429"] for each in found] == [0] * WORKERS
        assert max(shares) <= 1.5 * min(shares)
        assert reads >= 9.0 * SECONDS / 2


@pytest.mark.parametrize("trouble", ["killed", "stopped", "black hole"])
def test_a_server_that_is_away_is_survived(server, black_hole, trouble):
    """Nothing is sent without it; no foreign exception comes out; reads go on when it is back."""

    def away():
        if trouble == "killed":
            server.kill()
            time.sleep(2.0)
            server.start()
        elif trouble == "stopped":
            server.signal(signal.SIGSTOP)
            time.sleep(5.0)
            server.signal(signal.SIGCONT)
        else:
            black_hole.is_black = True
            time.sleep(3.0)
            black_hole.is_black = False

    found, reads = together(server.url.replace(str(server.port), str(black_hole.port)), seconds=15.0, trouble=away)
    if HA:
        assert [each["429"] for each in found] == [0] * WORKERS
    assert all(each["read"] for each in found)
    assert reads <= 9.0 * 15.0 + WORKERS


def test_without_the_server_reads_go_on_alone_if_that_is_asked_for(server):
    """At the limit divided by the members that were seen."""
    _, reads = together(server.url, seconds=15.0, when_lost="local", trouble=server.kill)
    before = 9.0 * 15.0 / 3
    assert reads <= 9.0 * 15.0 + WORKERS
    assert reads > before or not HA


def test_an_account_with_other_keys_has_another_pace(server):
    with Simulator() as simulator:
        accounts = [Believe(key, base_url=simulator.url) for key in (BELIEVE_KEY, "test-other-key")]
        for account in accounts:
            pace = PACES[type(server).__name__.lower()](server.url, account)
            slots = [pace.reserve(now := time.monotonic(), now + 60.0) for _ in range(2)]
            assert slots[1] - slots[0] == pytest.approx(1 / 9.0, abs=0.05)
            assert slots[0] < 1.5
            pace.close()


def test_no_key_is_kept_there(server):
    with Simulator() as simulator:
        account = Believe(BELIEVE_KEY, base_url=simulator.url)
        pace = PACES[type(server).__name__.lower()](server.url, account)
        assert SECRET not in repr(pace)
        with BatchClient(account.with_rate_limit(pace)) as client:
            client.get(simulator.add("believe"))
        pace.close()
    kept = everything(server)
    assert "batchstatus" in kept
    assert BELIEVE_KEY not in kept


def everything(server):
    """Return all that a server keeps, as text."""
    if isinstance(server, pace_servers.Redis):
        import redis

        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            return str({key: client.get(key) for key in client.scan_iter()})
    import psycopg

    with psycopg.connect(server.url) as connection:
        return "batchstatus_paces" + str(connection.execute("SELECT * FROM batchstatus_paces").fetchall())


def test_a_row_that_is_gone_is_made_again(server):
    with Simulator() as simulator:
        account = Believe(BELIEVE_KEY, base_url=simulator.url)
        pace = PACES[type(server).__name__.lower()](server.url, account)
        with BatchClient(account.with_rate_limit(pace)) as client:
            client.get(simulator.add("believe"))
            forget(server)
            client.get(simulator.add("believe"))
        pace.close()


def forget(server):
    if isinstance(server, pace_servers.Redis):
        import redis

        with redis.Redis.from_url(server.url) as client:
            client.flushall()
        return
    import psycopg

    with psycopg.connect(server.url) as connection:
        connection.execute("TRUNCATE batchstatus_paces")


def test_the_command_line_takes_it_from_its_settings(server):
    """Another process that shares the pace leaves it no slot."""
    with Simulator() as simulator:
        account = Believe(BELIEVE_KEY, base_url=simulator.url)
        pace = PACES[type(server).__name__.lower()](server.url, account)
        environment = os.environ | simulator.environment() | {"BATCHSTATUS_PACE": server.url}
        command = [sys.executable, "-m", "batchstatus.cli", "status", str(simulator.add("believe")), "--timeout", "3s"]
        good = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (good.returncode, len(simulator.reads)) == (0, 1), good.stderr
        for _ in range(200):
            now = time.monotonic()
            pace.reserve(now, now + 600.0)
        pace.close()
        late = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (late.returncode, len(simulator.reads)) == (5, 1)
        assert "the pace of its account has no slot left" in late.stderr
        assert SECRET not in good.stderr + late.stderr


@pytest.mark.parametrize("url", ["redis://:test-secret@[", "postgresql://u:test-secret@h:port/x?y=", "http://x", "", 7])
def test_a_url_that_cannot_work_is_refused_without_its_secret(url):
    with pytest.raises(ConfigurationError) as caught:
        paced(url, [Believe(BELIEVE_KEY)])
    assert SECRET not in str(caught.value)
