"""`make bench`: what batchstatus costs and how late it is, against peers in the same run.

Each subject is a module; name some to run only these: `make bench ONLY="jobs pace"`.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

SUBJECTS = (
    "jobs",
    "pace",
    "lateness",
    "placement",
    "scheduler",
    "accounts",
    "growth",
    "waits",
    "false_ends",
    "reads",
    "startup",
    "watcher",
)


def main(names: list[str]) -> int:
    """Print each figure as it comes; return how many goals fail."""
    if unknown := set(names) - set(SUBJECTS):
        raise SystemExit(f"bench: no subject {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
    goals = failed = 0
    for name in names or SUBJECTS:
        subject = importlib.import_module(name)
        print(f"\n{subject.__doc__.splitlines()[0]}")
        for figure in subject.figures():
            print(f"  {figure}", flush=True)
            goals += figure.at_most is not None
            failed += not figure.holds
    print(f"\n{goals - failed} of {goals} goals hold.")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
