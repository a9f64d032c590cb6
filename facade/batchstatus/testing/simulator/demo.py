"""`make demo`: the command line watches twelve batches of all vendors move to their ends, over real HTTP."""

from __future__ import annotations

import os
import subprocess
import sys

from batchstatus import Account, APIError, BatchClient

from .samples import add_samples
from .server import Simulator

BATCHES = 12
SECONDS = 25.0


def main() -> int:
    """Run `batchstatus watch`; a terminal shows the table as it moves, anything else shows the ends."""
    with Simulator() as simulator:
        print(f"{', '.join(simulator.vendors)}, simulated at {simulator.url}; batches end within {SECONDS:.0f} s.")
        with BatchClient(*simulator.accounts()) as client:
            for account in simulator.accounts():
                print(f"{account.vendor}: {_error_of(client, account)}", flush=True)
        print()
        refs = [str(ref) for ref in add_samples(simulator, BATCHES, SECONDS)]
        command = [sys.executable, "-m", "batchstatus.cli", "watch", *refs, "--output", "table"]
        ended = subprocess.run(command, env=os.environ | simulator.environment(), check=False).returncode
        print(f"\n{len(simulator.reads)} HTTP exchanges.")
    return ended


def _error_of(client: BatchClient, account: Account) -> str:
    """Return how the vendor answers for a batch that does not exist: its code is text, whatever the spec declares."""
    try:
        client.get(f"{account.account_ref}:{account.EXAMPLE_ID}")
    except APIError as error:
        return f"an unknown batch is {type(error).__name__}, with the vendor's code {error.code}"
    return "the example's id exists"


if __name__ == "__main__":
    sys.exit(main())
