"""`make demo`: the command line watches twelve batches of both vendors move to their ends, over real HTTP."""

from __future__ import annotations

import os
import subprocess
import sys

from ._samples import add_samples
from .simulator import BELIEVE_KEY, GAMEBALL_KEY, GAMEBALL_SECRET, Simulator

BATCHES = 12
SECONDS = 25.0


def main() -> int:
    """Run `batchstatus watch`; a terminal shows the table as it moves, anything else what became of them."""
    with Simulator() as simulator:
        refs = [str(ref) for ref in add_samples(simulator, BATCHES, SECONDS)]
        environment = {
            "GAMEBALL_API_KEY": GAMEBALL_KEY,
            "GAMEBALL_SECRET_KEY": GAMEBALL_SECRET,
            "GAMEBALL_BASE_URL": simulator.url,
            "BELIEVE_API_KEY": BELIEVE_KEY,
            "BELIEVE_BASE_URL": simulator.url,
        }
        print(f"Two vendors, simulated at {simulator.url}; their batches end within {SECONDS:.0f} s.\n", flush=True)
        command = [sys.executable, "-m", "batchstatus.cli", "watch", *refs, "--output", "table"]
        ended = subprocess.run(command, env=os.environ | environment, check=False).returncode
        print(f"\n{len(simulator.reads)} HTTP exchanges.")
    return ended


if __name__ == "__main__":
    sys.exit(main())
