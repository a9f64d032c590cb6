"""`run` as a service: its address, its log and its end."""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest
from batchstatus import ConfigurationError
from batchstatus.cli.log import show_log, text_line
from batchstatus.cli.monitor import listening
from batchstatus.cli.output import Output
from batchstatus.service.store import Store
from commandline import COMMAND, run
from waiting import LONG, until

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (INFO|WARNING|ERROR) .+")


@contextmanager
def running(user, log, *arguments):
    """A service whose messages go to a file; yields it, ended at last."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*COMMAND, "run", *map(str, arguments)], env=user, stdout=subprocess.DEVNULL, stderr=said
        )
    try:
        until(lambda: "following the batches" in log.read_text() or process.poll() is not None)
        yield process
    finally:
        process.kill()
        process.wait(LONG)


def end(process):
    process.send_signal(signal.SIGTERM)
    return process.wait(LONG)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def test_it_ends_with_0_on_sigterm(user, log):
    with running(user, log) as service:
        assert end(service) == 0
    assert "stopped; 0 batches open; the same command goes on" in log.read_text()


def test_every_line_has_time_and_level(user, simulator, log):
    """Those of the log, of the service, and of an error that ends it."""
    with Store(f"{user['HOME']}/.local/state/batchstatus/store.sqlite3") as store:
        store.track([simulator.add("believe", status="PENDING_APPROVAL")])
    with running(user, log) as service:
        until(lambda: "it needs approval" in log.read_text())
        end(service)
    lines = log.read_text().splitlines()
    assert len(lines) > 3
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert {line.split()[1] for line in lines} == {"INFO", "WARNING"}
    failed = run(user, "run", "--http", "nowhere")
    assert LINE.fullmatch(failed.stderr.strip())


def test_the_lines_of_libraries_are_like_the_others(capsys, monkeypatch):
    """One that has line ends is one line."""
    output, root = Output(), logging.getLogger()
    output.line = text_line
    monkeypatch.setattr(root, "handlers", [])
    show_log(output)
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: ...")
    logging.getLogger("batchstatus").warning("once")
    lines = capsys.readouterr().err.splitlines()
    assert [bool(LINE.fullmatch(line)) for line in lines] == [True, True]
    assert r"retrieved\nfuture" in lines[0]


def test_an_exception_is_told_by_its_class_and_line(capsys, monkeypatch):
    """Its text may quote anything."""
    log = logging.getLogger("batchstatus")
    for name in ("handlers", "level"):
        monkeypatch.setattr(log, name, getattr(log, name))
    show_log(Output())
    try:
        int("planted")
    except ValueError:
        log.exception("a reading cannot be stored")
    said = capsys.readouterr().err
    assert re.fullmatch(r"batchstatus: a reading cannot be stored: ValueError at test_run_options\.py:\d+\n", said)


def test_every_line_is_an_object_on_request(user, simulator, log):
    url, ref = "http://127.0.0.1:9/hook", simulator.add("believe", status="PENDING_APPROVAL")
    with Store(f"{user['HOME']}/.local/state/batchstatus/store.sqlite3") as store:
        store.track([ref])
        name = store.destination_name(url)
    with running(user | {"BATCHSTATUS_RUN_DELIVER": url}, log, "--log-format", "json") as service:
        until(lambda: "it needs approval" in log.read_text() and "is not delivered" in log.read_text())
        end(service)
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["level"] for line in told} == {"info", "warning"}
    assert all(line["time"] and line["message"] for line in told)
    about = {(line["ref"], line.get("destination")) for line in told if line["level"] == "warning"}
    assert about == {(str(ref), None), (str(ref), name)}
    assert [line["message"] for line in told if line["message"].startswith(f"changes go to {name}")]
    failed = run(user, "run", "--log-format", "json", "--http", "nowhere")
    assert json.loads(failed.stderr) | {"time": ""} == {
        "time": "",
        "level": "error",
        "message": "nowhere is not an address to listen on: write 127.0.0.1:9464, [::1]:9464 or 9464",
        "error": "ConfigurationError",
        "exit_code": 2,
    }


def test_one_pass_has_no_times(user):
    """It is a command like the others, unless it is asked for."""
    assert run(user, "run", "--once").stderr == ""
    failed = run(user | {"BELIEVE_BASE_URL": "nonsense"}, "run", "--once")
    assert failed.stderr.startswith("batchstatus: ")
    failed = run(user | {"BELIEVE_BASE_URL": "nonsense"}, "run", "--once", "--log-format", "text")
    assert LINE.fullmatch(failed.stderr.strip())


def test_a_quiet_service_says_only_errors(user, log):
    with log.open("wb") as said:
        process = subprocess.Popen([*COMMAND, "run", "-q", "--http", "0"], env=user, stderr=said)
    try:
        store = f"{user['HOME']}/.local/state/batchstatus/store.sqlite3"
        until(lambda: is_claimed(store))
        assert end(process) == 0
    finally:
        process.kill()
        process.wait(LONG)
    assert log.read_text() == ""


def is_claimed(path):
    with Store(path) as store:
        return store.summary()["watchers"]


def test_it_shows_where_its_page_is(user, log):
    with running(user, log, "--http", "127.0.0.1:0") as service:
        until(lambda: "shows them" in log.read_text())
        (url,) = re.findall(r"INFO (http://127\.0\.0\.1:\d+/) shows them", log.read_text())
        with urllib.request.urlopen(f"{url}livez") as answer:
            assert answer.read() == b"alive\n"
        assert end(service) == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_a_port_in_use_is_a_usage_error(user):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        said = run(user, "run", "--http", address)
    assert said.returncode == 2
    assert f"cannot listen on {address}: Address already in use; name another address, or port" in said.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--http", "0.0.0.0:0"], "allow it with --http-remote"),
        (["--http", "0", "--http-host", "a b"], "a b is not a host's name"),
        (["--http-remote"], "--http-host and --http-remote need --http"),
        (["--once", "--http", "0"], "--once ends by itself"),
        (["--http-host", "status.example"], "--http-host and --http-remote need --http"),
    ],
)
def test_wrong_options_are_usage_errors(user, options, says):
    said = run(user, "run", *options)
    assert said.returncode == 2
    assert says in said.stderr


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("batchstatus.service.http")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with (
        Store(tmp_path / "store.sqlite3") as store,
        pytest.raises(ConfigurationError, match=r"pip install 'batchstatus\[http\]'"),
        listening(store, [], address="0", hosts=(), remote=False),
    ):
        pass
