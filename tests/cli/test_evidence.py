"""What ends a command: one odd answer does not. Through its process, over real HTTP."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import time

import pytest
from batchstatus.cli import follow as follow_module
from batchstatus.cli.app import run as run_here
from commandline import COMMAND, config, lines, run
from raw_server import response, serving
from waiting import LONG, until

GOES_ON = {"batchId": "1", "status": "processing", "totalItems": 10, "processedItems": 5}
ENDED = {"batchId": "1", "status": "completed", "totalItems": 10, "processedItems": 10, "failedItems": 0}
UNKNOWN = ({"code": 4004, "message": "no such batch"}, "404 Not Found")
QUICK = "[poll]\nfloor = 0.05\nceiling = 0.1\n"


def answer(body, status="200 OK"):
    return response(body if isinstance(body, bytes) else json.dumps(body).encode(), status)


def vendor(*answers):
    """A server that gives one answer after the other; the last one repeats."""
    given = iter(answers[:-1])
    return serving(lambda _: [next(given, answers[-1])])


def wait(user, server, *arguments):
    return run(user | {"GAMEBALL_BASE_URL": server.url}, "wait", "gameball:1", *arguments)


def test_a_wait_outlives_that_a_new_batch_is_not_visible(user):
    config(user["HOME"], QUICK)
    with vendor(answer(*UNKNOWN), answer(GOES_ON), answer(ENDED)) as server:
        said = wait(user, server)
    assert (said.returncode, lines(said)[0]["state"]) == (0, "succeeded")
    assert "HTTP 404, 4004: no such batch" in said.stderr, "it is told, and goes on"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 409, 410, 421, 422, 423, 451, 499])
def test_a_wait_outlives_one_refusal(user, status):
    config(user["HOME"], QUICK)
    with vendor(answer(GOES_ON), answer({"code": 1, "message": "no"}, f"{status} No"), answer(ENDED)) as server:
        assert wait(user, server).returncode == 0


def test_a_look_has_no_grace(user):
    with vendor(answer(*UNKNOWN)) as server:
        assert wait(user, server, "--timeout", "0").returncode == 3
        assert run(user | {"GAMEBALL_BASE_URL": server.url}, "status", "gameball:1").returncode == 3


def test_a_terminal_word_before_the_final_counts_ends_no_command(user):
    early = {**ENDED, "totalItems": 200, "processedItems": 150}
    final = {**ENDED, "totalItems": 200, "processedItems": 200, "failedItems": 2}
    with vendor(answer(early), answer(final)) as server:
        said = wait(user, server, "--for", "succeeded")
    assert (said.returncode, [line["counts"]["processed"] for line in lines(said)]) == (1, [200])


def test_counts_that_do_not_settle_look_open_at_once(user):
    with vendor(answer({**ENDED, "processedItems": 5})) as server:
        said = wait(user, server, "--timeout", "0")
    assert said.returncode == 8
    assert "5 of 10 items processed" in lines(said)[0]["problems"][0]


def test_an_unsettled_end_is_printed_at_the_deadline_and_has_timed_out(user):
    with vendor(answer({**ENDED, "processedItems": 5})) as server:
        said = wait(user, server, "--timeout", "1s")
    assert (said.returncode, lines(said)[0]["state"], lines(said)[0]["has_ended"]) == (124, "succeeded", False)
    assert "its counts were not final in time: counts: it has succeeded with 5 of 10" in said.stderr


@pytest.mark.parametrize(
    ("says", "answers"),
    [("cannot connect", None), ("is not JSON", [answer(b"<html>hello</html>")])],
    ids=["unknown host", "page"],
)
def test_what_time_does_not_mend_is_told_at_once_and_raised_soon(user, says, answers):
    with vendor(*answers or [answer(ENDED)]) as server:
        server.url = server.url if answers else "https://gameball.invalid"
        said = wait(user, server, "--timeout", "1s")
        assert said.returncode == 5
        assert says in said.stderr
        assert "the wait goes on" in said.stderr.splitlines()[0]
        config(user["HOME"], QUICK + "startup_grace = 0")
        said = wait(user, server, "--timeout", "30m")
    assert said.returncode == 5
    assert says in said.stderr.splitlines()[-1]


def test_a_large_end_is_noticed(user):
    """A terminal body of 17 MiB: the default says what to set, and with that it is read."""
    config(user["HOME"], QUICK)
    with vendor(answer({**ENDED, "results": ["x" * 17 * 1024 * 1024]})) as server:
        said = wait(user, server)
        assert said.returncode == 5
        assert "--max-body" in said.stderr
        assert wait(user, server, "--max-body", "32M", "-o", "id").returncode == 0
        config(user["HOME"], '[retry]\nmax_body = "32M"')
        assert wait(user, server, "-o", "id").returncode == 0


def test_a_process_that_stood_still_looks_once_more(user, simulator):
    """It is stopped across its deadline; the batch ended meanwhile."""
    ref = simulator.add("gameball", seconds=8.0)
    command = [*COMMAND, "wait", str(ref), "--timeout", "6s"]
    with subprocess.Popen(command, env=user, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: simulator.reads)
            process.send_signal(signal.SIGSTOP)
            time.sleep(9.0)
            process.send_signal(signal.SIGCONT)
            said, _ = process.communicate(timeout=LONG)
        finally:
            process.kill()
    assert (process.returncode, json.loads(said)["state"]) == (0, "succeeded")


def test_off_a_terminal_there_is_a_sign_of_life(user, simulator, monkeypatch, capsys):
    monkeypatch.setattr(follow_module, "SIGN_OF_LIFE", 0.2)
    log = logging.getLogger("batchstatus")
    before = [*log.handlers], log.level
    for name, value in user.items():
        monkeypatch.setenv(name, value)
    try:
        run_here(["wait", str(simulator.add("gameball", seconds=60)), "--timeout", "1s"])
    finally:
        log.handlers[:], level = before
        log.setLevel(level)
    assert "1 of 1 batch open; " in capsys.readouterr().err
