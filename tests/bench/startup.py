"""How long `batchstatus --help` takes to start, against a bare click program with as many commands."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from _report import Figure
from batchstatus.cli.app import COMMANDS

ROUNDS = 15
BARE = """
import click


@click.group(epilog="Some words.")
@click.version_option("1.0", prog_name="bare")
def app():
    "Do things."


{commands}
app()
"""
COMMAND = """
@app.command()
@click.argument("refs", nargs=-1)
@click.option("--timeout", default="30m")
def {name}(refs, timeout):
    "{help}"
"""


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        commands = "".join(COMMAND.format(name=name, help=text) for name, text in COMMANDS.items())
        bare.write_text(BARE.format(commands=commands))
        theirs = [sys.executable, str(bare), "--help"]
        ours = [str(Path(sys.executable).with_name("batchstatus")), "--help"]
        rounds = [(spent(theirs), spent(ours)) for _ in range(ROUNDS)]
    bare_s, ours_s = (statistics.median(times) for times in zip(*rounds, strict=True))
    yield Figure("start of a bare click program's --help", bare_s * 1e3, unit="ms")
    yield Figure("start of batchstatus --help, of that", ours_s / bare_s, 1.3)


def spent(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started
