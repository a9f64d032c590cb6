"""A third party's vendor: the example's package beside the wheel, and its spec and simulator against each other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import yaml
from batchstatus.testing.simulator import SimulatedBatch
from wheels import ROOT, build, environment, run

pytestmark = pytest.mark.timeout(400)  # it builds wheels and an environment, and runs a suite in it

EXAMPLE = ROOT / "examples" / "third_vendor"
OFFLINE = ("--block-network", r"--allowed-hosts=127\.0\.0\.\d+")

sys.path[:0] = [str(ROOT / "specs"), str(EXAMPLE / "src")]
import contract  # noqa: E402 (specs/ holds scripts, not a package)
from batchstatus_quillon.simulator import SimulatedQuillon  # noqa: E402 (it is not installed here)


@pytest.fixture(scope="module")
def beside(wheel, tmp_path_factory) -> Path:
    """The Python of a fresh environment with the wheel and the example's package."""
    example = build(tmp_path_factory.mktemp("example"), "--wheel", source=EXAMPLE)
    folder = tmp_path_factory.mktemp("beside")
    return environment(folder, f"{wheel}[simulator]", f"{example}[test]", "pytest-recording")


def test_its_package_passes_every_vendors_tests(beside, tmp_path):
    """Offline, and from a folder of its own: no file of the checkout is on its path."""
    (tmp_path / "tests").symlink_to(EXAMPLE / "tests")
    said = run(beside, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *OFFLINE, "tests", cwd=tmp_path)
    assert int(re.search(r"(\d+) passed in", said)[1]) > 60


def test_its_types_are_checked(beside, tmp_path):
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache"]
    source = EXAMPLE / "src" / "batchstatus_quillon"
    assert "no issues found" in run(*mypy, "--python-executable", beside, source, cwd=tmp_path)


def test_the_package_beside_is_found(beside):
    said = run(beside, "-I", "-m", "batchstatus.cli", "doctor", "--offline", "--output", "ndjson", code=4)
    assert "quillon (batchstatus-quillon 1.0)" in said
    assert "QUILLON_API_KEY and QUILLON_PROJECT" in said


def test_the_guide_shows_its_files():
    """Each whole, and none is left out that a package needs."""
    guide = (ROOT / "docs" / "how-to" / "add-a-vendor.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', guide, re.MULTILINE | re.DOTALL))
    for name, text in shown.items():
        assert text == (EXAMPLE / name).read_text(encoding="utf-8"), name
    package = {path for path in EXAMPLE.rglob("*") if path.suffix in {".py", ".toml"} and path.stat().st_size}
    assert {EXAMPLE / name for name in shown} == package


def spec() -> bytes:
    return (EXAMPLE / "specs" / "quillon.yaml").read_bytes()


def test_its_spec_and_its_account_fit():
    overlay = (EXAMPLE / "specs" / "quillon.overlay.yaml").read_bytes()
    assert contract.findings_of(SimulatedQuillon().account(None), spec(), overlay) == []


@pytest.mark.parametrize("word", SimulatedQuillon.ACCOUNT.WORDS)
def test_its_simulator_keeps_to_its_spec(word):
    vendor, document = SimulatedQuillon(), yaml.safe_load(spec())
    batch = SimulatedBatch(vendor="quillon", id="batch_1", status=word, failed=2)
    body = vendor.status_body(batch, *vendor.phase(batch, 0.0), datetime(2025, 1, 27, tzinfo=UTC))
    for name, value in {"Batch": body, "Error": vendor.error_body(404)}.items():
        jsonschema.validate(value, document | {"$ref": f"#/components/schemas/{name}"})


# The raw client, for those who want one


@pytest.fixture(scope="module")
def registered(tmp_path_factory) -> dict[str, str]:
    """The environment of this Python with the example's package on its path."""
    folder = tmp_path_factory.mktemp("registered")
    example = build(folder / "wheel", "--wheel", source=EXAMPLE)
    with zipfile.ZipFile(example) as archive:
        archive.extractall(folder / "path")
    return {**os.environ, "PYTHONPATH": str(folder / "path")}


def generate(environ, specs, output, code=0):
    command = [sys.executable, str(ROOT / "specs" / "third_party.py"), "quillon", str(specs), str(output)]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stderr


def test_its_raw_client_can_be_generated(registered, tmp_path):
    for _ in range(2):
        assert generate(registered, EXAMPLE / "specs", tmp_path / "quillon_raw") == ""
    code = (
        "from quillon_raw.api.default import get_batch_status as operation; from quillon_raw import models;"
        "batch = models.BatchStatusResponse.from_dict({'status': 'new', 'request_counts': {'total': 3}});"
        "print(operation._get_kwargs('a b', '1')['url'], batch.request_counts.total)"
    )
    assert run(sys.executable, "-c", code, cwd=tmp_path) == "/v1/projects/a%20b/batches/1 3\n"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("scheme: bearer", "scheme: basic", "change KEY_HEADERS and KEY_SCHEMES in {account}"),
        ("completed, expired", "completed, paused, expired", "the status word 'paused' has no state: add it to WORDS"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused(registered, tmp_path, old, new, says):
    """By the places in the vendor's own files."""
    shutil.copytree(EXAMPLE / "specs", tmp_path / "specs")
    assert spec().decode().count(old) == 1
    (tmp_path / "specs" / "quillon.yaml").write_text(spec().decode().replace(old, new))
    said = generate(registered, tmp_path / "specs", tmp_path / "raw", code=1)
    account = Path(registered["PYTHONPATH"]) / "batchstatus_quillon" / "account.py"
    assert says.format(account=account) in said
    assert said.startswith(f"third_party: {tmp_path}/specs/quillon.yaml:")
    assert not (tmp_path / "raw").exists()


def test_another_folder_is_never_replaced(registered, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert "is not the folder of a raw client" in generate(registered, EXAMPLE / "specs", tmp_path, code=1)
    assert (tmp_path / "notes.txt").read_text() == "mine"
