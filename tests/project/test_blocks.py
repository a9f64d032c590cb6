"""The blocks of the documents do as they stand: in a shell beside `batchstatus simulate`, and under `mypy --strict`."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib

import pytest
from batchstatus.cli.app import app
from batchstatus.cli.context import Context
from batchstatus.cli.help import Command
from blocks import DOCUMENTS, EXAMPLES, ROOT
from commandline import COMMAND

OF_AN_ACCOUNT = [example for example in EXAMPLES if ".from_env(" in example.values[0]]
LINES = [
    pytest.param(line, id=f"{path.stem}-{number}")
    for path in DOCUMENTS
    for number, line in enumerate(
        re.findall(r"^[$#] (.*\bbatchstatus (?:[a-z]+\b).*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    )
]
ENDLESS = re.compile(r"batchstatus (?:simulate|run|init)|--all|--follow|--deliver|^sudo|^docker|quillon:")
"""Commands that end with a key alone, ask, or need another machine or vendor."""


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """The environment of a shell beside `batchstatus simulate`, with all its batches tracked, and read once."""
    home = tmp_path_factory.mktemp("home")
    for folder in (".local/share/bash-completion/completions", ".zfunc", ".config/fish/completions", "bin"):
        (home / folder).mkdir(parents=True)
    command = home / "bin" / "batchstatus"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    command.chmod(0o700)
    environment = {"HOME": str(home), "PATH": f"{command.parent}:{os.defpath}"}
    simulate = [*COMMAND, "simulate", "--seconds", "8s", "-o", "json"]
    with subprocess.Popen(simulate, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            said = json.loads(process.stdout.readline())
            environment |= said["environment"]
            run(f"batchstatus track add {' '.join(said['refs'])} && batchstatus run --once", environment)
            run("batchstatus wait gameball:1748392", environment)  # so that a wait for it prints its end alone
            yield environment
        finally:
            process.send_signal(signal.SIGTERM)


def run(line, environment):
    """Run a line as a shell does; return it once it has ended with 0."""
    shell = ["bash", "-c", line]
    ended = subprocess.run(
        shell, env=environment, cwd=environment["HOME"], capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended


@pytest.mark.parametrize(("code", "output"), OF_AN_ACCOUNT)
def test_an_example_runs_beside_the_simulator(code, output, shell):
    ended = run(shlex.join([sys.executable, "-W", "error", "-c", code]), shell)
    assert ended.stderr == ""
    if "client.wait(" in code:  # what others print depends on the moment
        assert ended.stdout == output


@pytest.mark.parametrize("line", [line for line in LINES if not ENDLESS.search(line.values[0])])
def test_a_command_runs_beside_the_simulator(line, shell):
    run(line, shell)


@pytest.mark.parametrize("line", [line for line in LINES if ENDLESS.search(line.values[0])])
def test_any_other_command_is_understood(line, monkeypatch, tmp_path):
    """Command and options exist."""
    reached = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(Command, "invoke", lambda self, ctx: reached.append(ctx.command_path))
    words = shlex.split(re.search(r"\bbatchstatus ((?:[a-z]+\b).*)", line)[1], comments=True)
    end = next((place for place, word in enumerate(words) if word in {"<", ">", "|", "&&"}), None)
    app.main(words[:end], prog_name="batchstatus", standalone_mode=False, obj=Context(words[:end]))
    assert reached[0].startswith(f"batchstatus {words[0]}")


@pytest.mark.timeout(240)  # without a cache mypy reads all dependencies
def test_every_example_passes_a_strict_type_check(tmp_path):
    files = []
    for example in EXAMPLES:
        files.append(tmp_path / f"{example.id.lower().replace('-', '_')}.py")
        files[-1].write_text(example.values[0], encoding="utf-8")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={ROOT / '.mypy_cache' / 'docs'}"]
    environment = os.environ | {"MYPYPATH": f"{ROOT / 'facade'}:{ROOT / 'generated'}"}
    ended = subprocess.run([*mypy, *files], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout


def test_every_documented_extra_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for path in DOCUMENTS:
        for names in re.findall(r"install '(?:\.|batchstatus)\[([a-z,]+)\]'", path.read_text(encoding="utf-8")):
            assert set(names.split(",")) <= extras.keys(), path.name


def test_there_are_blocks_of_each_kind():
    endless = sum(1 for line in LINES if ENDLESS.search(line.values[0]))
    assert len(OF_AN_ACCOUNT) >= 10
    assert endless >= 12
    assert len(LINES) - endless >= 20
