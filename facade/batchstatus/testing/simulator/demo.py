"""`make demo`: the command line watches twelve batches of both vendors move to their ends, over real HTTP."""

from __future__ import annotations

import os
import subprocess
import sys

from .samples import add_samples
from .server import Simulator

BATCHES = 12
SECONDS = 25.0


def main() -> int:
    """Run `batchstatus watch`; a terminal shows the table as it moves, anything else shows the ends."""
    with Simulator() as simulator:
        refs = [str(ref) for ref in add_samples(simulator, BATCHES, SECONDS)]
        print(f"Two vendors, simulated at {simulator.url}; their batches end within {SECONDS:.0f} s.\n", flush=True)
        command = [sys.executable, "-m", "batchstatus.cli", "watch", *refs, "--output", "table"]
        ended = subprocess.run(command, env=os.environ | simulator.environment(), check=False).returncode
        print(f"\n{len(simulator.reads)} HTTP exchanges.")
    return ended


if __name__ == "__main__":
    sys.exit(main())
