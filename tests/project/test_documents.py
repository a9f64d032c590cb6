"""The README's examples run as they stand and print what it says; its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from batchstatus import BatchState, Believe, Gameball
from batchstatus.testing.simulator import BELIEVE_KEY, GAMEBALL_KEY, GAMEBALL_SECRET, Simulator

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("code", "output"), EXAMPLES, ids=[str(number) for number in range(len(EXAMPLES))])
def test_an_example_prints_what_the_readme_says(code, output, tmp_path):
    clock = [0.0]
    with Simulator(clock=lambda: clock[0], epoch=datetime(2025, 1, 27, 12, tzinfo=UTC)) as simulator:
        simulator.add("gameball", id="1748392", status="completed" if "client.wait" in code else "processing")
        simulator.add("believe", id="550e8400-e29b-41d4-a716-446655440000", status="FINALIZED", seconds=600)
        environ = {
            "GAMEBALL_API_KEY": GAMEBALL_KEY,
            "GAMEBALL_SECRET_KEY": GAMEBALL_SECRET,
            "BELIEVE_API_KEY": BELIEVE_KEY,
            "GAMEBALL_BASE_URL": simulator.url,
            "BELIEVE_BASE_URL": simulator.url,
        }
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (run.stderr, run.stdout) == ("", output)


def test_there_are_examples_of_each_kind():
    assert len(EXAMPLES) == 7
    assert sum(1 for _, output in EXAMPLES if output) == 5


def test_every_target_that_the_readme_names_exists_and_every_target_has_a_description():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"\.PHONY: (.*)", makefile)[1].split())
    assert set(re.findall(r"(?:^\$ |`)make ([a-z-]+)", README, re.MULTILINE)) <= targets
    assert set(re.findall(r"^([a-z-]+):.*  ## \w", makefile, re.MULTILINE)) == targets


@pytest.mark.parametrize("vendor", [Gameball, Believe])
def test_the_table_of_words_is_the_vendors(vendor):
    told = {}
    for line in README.splitlines():
        if line.startswith(f"| {vendor.__name__} "):
            words, states = (cell.strip() for cell in line.strip("|").split("|"))
            groups = words.removeprefix(f"{vendor.__name__} ").split(" · ")
            for group, state in zip(groups, states.split(" · "), strict=True):
                told |= dict.fromkeys(group.split(", "), BatchState[state.partition(" ")[0]])
    assert told == dict(vendor.WORDS)
