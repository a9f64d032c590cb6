"""The command `batchstatus`."""

from __future__ import annotations

import os
import sys

COMPLETE = "_BATCHSTATUS_COMPLETE"
"""The variable by which a shell's script asks for completions."""


def in_checkout(extra: str) -> str:
    """Return how an extra is installed in a checkout, by each of the tools that install commands."""
    checkout = f"'.[{extra}]'"
    return (
        f"In a checkout: pip install {checkout}, pipx install --force {checkout}, or uvx --from {checkout} batchstatus"
    )


def main() -> None:
    """Run the command line, and leave with its exit code; no traceback reaches a user."""
    try:
        from .app import run  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    if instruction := os.environ.get(COMPLETE):
        from .completion import answer  # noqa: PLC0415

        sys.exit(answer(instruction))
    sys.exit(run(sys.argv[1:]))
