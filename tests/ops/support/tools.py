"""Runs the tools of people who operate a service."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent.parent
DEPLOY = ROOT / "deploy"


def run(*command: object, code: int = 0, stdin: str = "", **options: object) -> str:
    """Return what a command prints; it has to end with the code."""
    words = [str(word) for word in command]
    ended = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert ended.returncode == code, f"{words[:3]} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
    return str(ended.stdout + ended.stderr)
