"""`make pull-specs` in this process, on a folder like specs/: a process each would load its modules for a second."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

SPECS = Path(__file__).parents[2] / "specs"

sys.path.insert(0, str(SPECS))
import pull  # noqa: E402 (specs/ holds scripts, not a package)
import sources  # noqa: E402 (the same)


def pull_specs(specs, *arguments):
    """Run `main`, and leave the process as it was."""
    out, err, handler = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGINT)
    with (
        mock.patch.object(sources, "SPECS", specs),
        mock.patch.object(sys, "argv", ["pull.py", *map(str, arguments)]),
        mock.patch.dict(os.environ, {"NO_PROXY": "127.0.0.1"}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = pull.main()
        finally:
            signal.signal(signal.SIGINT, handler)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
