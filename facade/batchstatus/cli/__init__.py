"""The command `batchstatus`; it needs the extra `cli` (click and rich)."""

from __future__ import annotations

import os
import sys

COMPLETE = "_BATCHSTATUS_COMPLETE"
"""The variable by which a shell's script asks for completions."""


def main() -> None:
    """Run the command line, and leave with its exit code; no traceback reaches a user."""
    try:
        import click  # noqa: F401, PLC0415

        from .app import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write("batchstatus: the command line needs the extra: pip install 'batchstatus[cli]'\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    if instruction := os.environ.get(COMPLETE):
        from .completion import answer  # noqa: PLC0415

        sys.exit(answer(instruction))
    sys.exit(run(sys.argv[1:]))
