"""Builds wheels and fresh environments, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parent.parent.parent
LOCK = ROOT / "requirements-dev.txt"


def run(*command: object, cwd: Path = ROOT, code: int = 0) -> str:
    """Return what a command prints; it has to end with the code."""
    ended = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def build(target: Path, *options: str, source: Path = ROOT) -> Path:
    """Build into a folder outside the tree and return the wheel; without options the sdist is there, too."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, *options, source)
    return only(target, "*.whl")


def only(folder: Path, pattern: str) -> Path:
    """Return the one file of a folder whose name is like that."""
    (found,) = folder.glob(pattern)
    return found


def environment(folder: Path, *packages: object) -> Path:
    """Return the Python of a fresh environment with packages and what they require, at the locked versions."""
    python = folder / "venv" / "bin" / "python"
    run(find_uv_bin(), "venv", "--quiet", "--python", sys.executable, python.parent.parent)
    run(find_uv_bin(), "pip", "install", "--quiet", "--python", python, "--constraints", LOCK, *packages)
    return python
