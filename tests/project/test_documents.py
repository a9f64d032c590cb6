"""The examples of the documents run as they are and print the documented output; their commands and links exist."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime

import command_page
import picture
import pytest
import schema_page
import states_page
from batchstatus.testing.simulator import Simulator
from blocks import DOCUMENTS, EXAMPLES, ROOT


@pytest.mark.parametrize(("code", "output"), EXAMPLES)
def test_an_example_prints_its_output(code, output, tmp_path):
    """Every Python block of the documents runs as it is."""
    clock = [0.0]
    with Simulator(clock=lambda: clock[0], epoch=datetime(2025, 1, 27, 12, tzinfo=UTC)) as simulator:
        state = "completed" if "client.wait" in code else "processing"
        simulator.add("gameball", id="1748392", status=state, total=200)  # as in `batchstatus simulate`
        simulator.add("believe", id="550e8400-e29b-41d4-a716-446655440000", status="FINALIZED", seconds=600)
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=simulator.environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (run.stderr, run.stdout) == ("", output)


def test_there_are_examples_of_each_kind():
    assert len(EXAMPLES) == 21
    assert sum(1 for example in EXAMPLES if example.values[1]) == 16


def test_the_readme_is_short():
    assert len(DOCUMENTS[0].read_text(encoding="utf-8").splitlines()) <= 120


def test_links_between_documents_lead_somewhere():
    for path in (*DOCUMENTS, *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "examples/README.md"))):
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_the_table_of_examples_is_complete():
    """Each program of examples/ stands in its README."""
    told = re.findall(
        r"^\| \[[^]]+\]\(([^)]+)\)", (ROOT / "examples" / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    there = {path.name for path in (ROOT / "examples").iterdir() if path.name not in {"README.md", "__pycache__"}}
    assert {link.split("/")[0] for link in told} - {".."} == {name for name in there if not name.startswith(".")}


def test_every_documented_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"\.PHONY: (.*)", makefile)[1].split())
    for path in (*DOCUMENTS, ROOT / "CONTRIBUTING.md"):
        assert set(re.findall(r"(?:^\$ |`)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)) <= targets
    assert set(re.findall(r"^([a-z-]+):.*  ## \w", makefile, re.MULTILINE)) == targets


@pytest.mark.parametrize("drawn", [schema_page, command_page, states_page, picture], ids=lambda drawn: drawn.PAGE.stem)
def test_a_drawn_page_is_as_make_pages_draws_it(drawn):
    """The objects, the command line's help, the vendors' words and quirks, and the table that moves."""
    assert drawn.PAGE.read_text(encoding="utf-8") == drawn.page(), "make pages"
