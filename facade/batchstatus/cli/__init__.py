"""The command `batchstatus`; it needs the extra `cli`."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

COMPLETE = "_BATCHSTATUS_COMPLETE"
"""The variable by which a shell's script asks for completions."""
EXTRA = "click", "rich", "tomlkit"
"""The packages of the extra: another package may have brought one of them alone, as uvicorn does with click."""


def in_checkout(extras: str) -> str:
    """Return how extras are installed in a checkout, by each of the tools that install commands."""
    checkout = f"'.[{extras}]'"
    return (
        f"In a checkout: pip install {checkout}, pipx install --force {checkout}, or uvx --from {checkout} batchstatus"
    )


def main() -> None:
    """Run the command line, and leave with its exit code; no traceback reaches a user."""
    if not all(map(find_spec, EXTRA)):
        needed = "batchstatus: the command line needs the extra: pip install 'batchstatus[cli]'"
        sys.stderr.write(f"{needed}\n{in_checkout('cli')}\n")
        sys.exit(2)
    try:
        from .app import run  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    if instruction := os.environ.get(COMPLETE):
        from .completion import answer  # noqa: PLC0415

        sys.exit(answer(instruction))
    sys.exit(run(sys.argv[1:]))
