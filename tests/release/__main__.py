"""`make release-check`: each file of dist/ is installed into a fresh environment of every CPython, and reads batches.

`tests/project/test_packaging.py` has looked into the files before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from batchstatus.testing.simulator import Simulator
from uv import find_uv_bin

ROOT = Path(__file__).parent.parent.parent
LOCK = ROOT / "requirements-dev.txt"
IMPORT = "import batchstatus, batchstatus_raw; print(*(getattr(batchstatus, name) for name in batchstatus.__all__))"


def run(*command: object, path: str = os.environ["PATH"], **env: str) -> str:
    """Return what a command prints; one that fails ends the program, with all that it said.

    It sees no account, setting or module of whoever runs this.
    """
    theirs = "BATCHSTATUS_", "BELIEVE_", "GAMEBALL_", "PYTHON"
    keep = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    ended = subprocess.run(
        [str(part) for part in command],
        env=keep | {"PATH": path} | env,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise SystemExit(f"release-check: {' '.join(map(str, command))}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def interpreters() -> dict[str, str]:
    """Return the path of the newest CPython of each supported minor version, by its version: on PATH, or pyenv's."""
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [Path(sys.base_prefix) / "bin", *pyenv.glob("versions/*/bin")]
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    listed = run(find_uv_bin(), "python", "list", "--only-installed", "--output-format=json", supported, path=path)
    newest = dict[int, tuple[int, str, str]]()
    for one in json.loads(listed):
        number, is_shim = one["version_parts"], "shims" in Path(one["path"]).parts
        if (one["implementation"], one["variant"]) == ("cpython", "default") and not is_shim:
            candidate = number["patch"], one["version"], one["path"]
            newest[number["minor"]] = max(candidate, newest.get(number["minor"], candidate))
    return {version: python for _, (_, version, python) in sorted(newest.items())}


def check(file: Path, interpreter: str, venv: Path, simulator: Simulator) -> None:
    """Install a file, and use it as its users do."""
    python, command = venv / "bin" / "python", venv / "bin" / "batchstatus"
    run(find_uv_bin(), "venv", "--quiet", "--python", interpreter, venv)
    pins = "--constraints", LOCK, "--build-constraints", LOCK
    run(find_uv_bin(), "pip", "install", "--quiet", "--python", python, *pins, file)
    run(find_uv_bin(), "pip", "check", "--quiet", "--python", python)
    run(python, "-I", "-W", "error", "-c", IMPORT)
    version = file.name.split("-")[1].removesuffix(".tar.gz")
    assert run(command, "--version") == f"batchstatus, version {version}\n"
    for vendor, word in (("gameball", "completed"), ("believe", "EXECUTED")):
        ref = str(simulator.add(vendor, status=word))
        said = json.loads(run(command, "status", ref, "--output", "ndjson", HOME=str(venv), **simulator.environment()))
        assert (said["ref"], said["state"]) == (ref, "succeeded"), said


def main(files: list[Path]) -> None:
    """Check each file with each interpreter."""
    if not files:
        raise SystemExit("release-check: give it the files, as make release-check does")
    with tempfile.TemporaryDirectory(prefix="release-") as folder, Simulator(limits=False) as simulator:
        for version, python in interpreters().items():
            for file in files:
                check(file, python, Path(folder) / version / file.name, simulator)
                print(f"CPython {version}: {file.name} installs, imports and reads", flush=True)


if __name__ == "__main__":
    main([Path(word).resolve() for word in sys.argv[1:]])
