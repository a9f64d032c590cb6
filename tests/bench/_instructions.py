"""Instructions of a piece of work, which no load on the machine changes, counted by valgrind's callgrind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys


def can_count() -> bool:
    """Return whether valgrind is there; say so if it is not."""
    if shutil.which("valgrind") is None:
        print("  (no instructions are counted: valgrind is not installed)")
        return False
    return True


def counted(file: str, *arguments: object, few: int, many: int) -> float:
    """Return the instructions of one piece of work: of a process that does many, less one that does few.

    Args:
        file: The program, which takes the arguments and then how often to do it.
        *arguments: What it does.
        few: How often the first process does it.
        many: How often the second one does.
    """
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, file]
    runs = [
        subprocess.Popen(
            [*command, *map(str, arguments), str(number)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": "0"},
        )
        for number in (few, many)
    ]
    counts = [int(re.findall(r"Collected : (\d+)", run.communicate()[1])[-1]) for run in runs]
    return (counts[1] - counts[0]) / (many - few)
