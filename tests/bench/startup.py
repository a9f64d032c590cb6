"""What the start of a program costs: with a first client, and `batchstatus --help` against a bare click program."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
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


MAKING = {
    "batchstatus": "import batchstatus as b; b.BatchClient(b.Believe('test-key')).close()",
    "the generated client": "from batchstatus_raw.believe import AuthenticatedClient as A;"
    "from batchstatus_raw.believe.api.default import get_batch_status;"
    "A(base_url='https://localhost', token='test-key').get_httpx_client()",
    "httpx": "import httpx; httpx.Client()",
    "aiohttp": "import aiohttp",
    "urllib3": "import urllib3; urllib3.PoolManager()",
    "pycurl": "import pycurl; pycurl.Curl()",
    "openai": "import openai; openai.OpenAI(api_key='test-key')",
    "google-api-core": "import google.api_core.future.polling",
    "azure-core": "import azure.core; azure.core.PipelineClient('https://localhost')",
    "botocore": "import botocore.session; botocore.session.get_session()",
}
"""A program that imports a package and makes a client, or what there is of one."""


def figures() -> Iterator[Figure]:
    for name, program in MAKING.items():
        try:
            rounds = [spent([sys.executable, "-c", program]) for _ in range(ROUNDS // 2)]
        except subprocess.CalledProcessError:
            print(f"  ({name} is left out: it is not installed)")
            continue
        yield Figure(f"CPU of an import and a first client: {name}", statistics.median(rounds) * 1e3, unit="ms")
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        commands = "".join(COMMAND.format(name=name, help=text) for name, text in COMMANDS.items())
        bare.write_text(BARE.format(commands=commands))
        theirs = [sys.executable, str(bare), "--help"]
        ours = [str(Path(sys.executable).with_name("batchstatus")), "--help"]
        rounds = [(spent(theirs), spent(ours)) for _ in range(ROUNDS)]
    bare_s, ours_s = (statistics.median(times) for times in zip(*rounds, strict=True))
    yield Figure("CPU of a bare click program's --help", bare_s * 1e3, unit="ms")
    yield Figure("CPU of batchstatus --help, of that", ours_s / bare_s, 1.3)


def spent(command: list[str]) -> float:
    """Return the CPU seconds of a program: the time that it takes depends on what else the machine does."""
    before = os.times()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system
