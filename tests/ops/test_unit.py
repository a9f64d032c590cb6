"""The systemd unit: systemd takes it, and a service tells systemd all that the unit expects."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest
from service import serving
from tools import DEPLOY, run

UNIT = (DEPLOY / "batchstatus.service").read_text()


@pytest.fixture
def unit(tmp_path) -> Path:
    """The unit for a program that is there."""
    file = tmp_path / "batchstatus.service"
    program = Path(sys.executable).parent / "batchstatus"
    file.write_text(UNIT.replace("/opt/batchstatus/bin/batchstatus", str(program)))
    assert str(program) in file.read_text()
    return file


def test_systemd_takes_the_unit(unit):
    assert run("systemd-analyze", "verify", unit) == ""


def test_a_wrong_unit_would_be_noticed(unit):
    unit.write_text(unit.read_text().replace("WatchdogSec=120s", "WatchdogSec=often"))
    assert "Failed to parse" in run("systemd-analyze", "verify", unit, code=0)


def test_the_service_is_confined(unit):
    """Systemd rates the exposure of an unconfined service as 9.6."""
    said = run("systemd-analyze", "security", "--offline=true", unit)
    assert float(re.search(r"Overall exposure level for \S+: ([\d.]+)", said)[1]) < 2


def test_the_command_of_the_unit_tells_systemd(user, tmp_path):
    """With the unit's command and its kinds of variables: it is ready, lives, stops, and ends with 0."""
    (command,) = re.findall(r"^ExecStart=\S+/batchstatus (.*) --http \S+$", UNIT, re.MULTILINE)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    environ = {name: value for name, value in user.items() if not name.endswith("_KEY")}
    for variable, file in re.findall(r"^Environment=(\w+)_FILE=%d/(\S+)$", UNIT, re.MULTILINE):
        (credentials / file).write_text(user[variable])
        (credentials / file).chmod(0o400)
        environ[f"{variable}_FILE"] = str(credentials / file)
    environ |= {"BATCHSTATUS_STORE": str(tmp_path / "state" / "store.sqlite3")}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0batchstatus-test-{os.getpid()}")
        systemd.settimeout(30)
        environ |= {"NOTIFY_SOCKET": f"@batchstatus-test-{os.getpid()}", "WATCHDOG_USEC": "400000"}
        program = sys.executable, "-m", "batchstatus.cli"
        with serving(environ, tmp_path, command=(*program, *command.split())) as service:
            heard = [systemd.recv(100).decode() for _ in range(4)]
            assert sorted(set(heard)) == ["READY=1", "WATCHDOG=1"]
            service.process.send_signal(signal.SIGTERM)
            while systemd.recv(100) != b"STOPPING=1":
                pass
            assert service.process.wait(30) == 0
