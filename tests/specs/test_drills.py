"""Both pages changed in every way that was thought of: each ends green and right, or red with the line to edit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pulling import pull_specs

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs"

sys.path[:0] = [str(SPECS), str(Path(__file__).parent / "drills")]
import believe  # noqa: E402 (drills/ and specs/ are no packages)
import gameball  # noqa: E402 (the same)
import sources  # noqa: E402 (the same)
from drill import MEND, page_of, told  # noqa: E402 (the same)

pytestmark = pytest.mark.timeout(240)  # three processes, one of which generates a client

VENDORS = {"believe": believe, "gameball": gameball}
DRILLS = [(name, drill) for name, vendor in VENDORS.items() for drill in vendor.DRILLS]
PLACE = re.compile(r"(\S+):(\d+): (.*)")


@pytest.fixture
def project(tmp_path):
    """A copy of what a spec change touches."""

    def copy(vendor):
        for folder in ("specs", "generated"):
            shutil.copytree(ROOT / folder, tmp_path / folder)
        (tmp_path / "facade").symlink_to(ROOT / "facade")
        # One vendor is enough for its page, and generated in half the time.
        known = sources.load()
        for name in known.keys() - {vendor}:
            (tmp_path / "specs" / f"{name}.overlay.yaml").unlink()
        (tmp_path / "specs" / "SOURCES.toml").write_text(sources.dump({vendor: known[vendor]}, sources.versions()))
        return tmp_path

    return copy


def run(project, script, *arguments, **more):
    folders = os.pathsep.join(str(project / folder) for folder in ("generated", "facade"))
    environment = {**os.environ, "PYTHONPATH": folders, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, script, *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False, **more)


def files(folder):
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    ("vendor", "drill"),
    [
        pytest.param(vendor, drill, id=f"{vendor}: {drill.name}", marks=[] if drill.chosen else pytest.mark.drill)
        for vendor, drill in DRILLS
    ],
)
def test_a_changed_page_ends_as_it_should(vendor, drill, project):
    """A page goes the way of a maintainer, in a copy of the project."""
    folder = project(vendor)
    page = page_of(vendor, drill)
    (folder / "page.md").write_bytes(page if isinstance(page, bytes) else page.encode())
    pull = pull_specs(folder / "specs", "--page", folder / "page.md", vendor)
    if drill.by == "pull":
        assert pull.returncode == 1, pull.stdout
        assert_findings(pull.stderr, vendor, drill, folder)
        assert told(pull.stdout) == drill.told, f"{vendor}.py: {MEND}"
        return
    assert (pull.returncode, pull.stderr) == (0, "")
    assert told(pull.stdout) == drill.told, f"{vendor}.py: {MEND}"

    before = files(folder / "generated")
    regen = run(folder, folder / "specs" / "regen.py")
    assert "Traceback" not in regen.stdout + regen.stderr
    if drill.red:
        assert regen.returncode == 1, "green, and it should be red"
        assert_findings(regen.stderr, vendor, drill, folder)
        assert files(folder / "generated") == before
        return
    assert regen.returncode == 0, regen.stderr
    given = json.dumps({"status": drill.status, "body": drill.body or VENDORS[vendor].BODY})
    read = run(folder, Path(__file__).parent / "drills" / "read.py", vendor, input=given)
    said = json.loads(read.stdout or "null") or read.stderr
    reads = drill.reads or VENDORS[vendor].READS
    headers = said.get("headers", {})
    said["headers"] = {name: headers[name] for name in reads.get("headers", {}) if name in headers}  # of others, none
    assert {name: said[name] for name in reads} == reads


def assert_findings(output, vendor, drill, folder):
    """Check that the output has these findings and no others, each with the line of the text that it is about."""
    found = [match.groups() for match in map(PLACE.match, output.replace(": ", "\n", 1).splitlines()) if match]
    assert [words for words, *_ in drill.red if words not in output] == []
    placed = [red for red in drill.red if red.at]
    assert len(found) == len(placed), output
    for (name, number, words), red in zip(found, placed, strict=True):
        file = red.file or ("page.md" if drill.by == "pull" else f"specs/{vendor}.yaml")
        line = (folder / file).read_text().splitlines()[int(number) - 1]
        assert (name.removeprefix(f"{folder}/"), line.strip()) == (file, red.at.strip())
        assert red.words in words


def test_there_are_a_hundred_of_a_kind_each():
    names = [(vendor, drill.name) for vendor, drill in DRILLS]
    assert len(names) == len(set(names)) >= 100
    assert sum(drill.chosen for _, drill in DRILLS) == 12
