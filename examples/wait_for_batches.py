"""Wait for batches, as a step of a job: `python wait_for_batches.py gameball:1748392 believe:550e8400-...`.

Prints a line for each batch as it ends. Exits with 0 if all have succeeded, 1 if one has not, 2 if called wrongly, and
75 ("try again") if one was still open at the timeout or at SIGTERM.
"""

import argparse
import signal
import sys
import threading

from batchstatus import BatchClient, BatchState, ConfigurationError, Outcome, WaitStopped, WaitTimeout

OK, BAD, OPEN = 0, 1, 75


def code_of(outcome: Outcome) -> int:
    if outcome.batch is None:
        return OPEN if isinstance(outcome.error, WaitTimeout | WaitStopped) else BAD
    return OK if outcome.batch.state is BatchState.SUCCEEDED and not outcome.batch.has_failures else BAD


def wait(refs: list[str], timeout: float, stop: threading.Event) -> int:
    codes = set()
    with BatchClient.from_env() as client:
        for outcome in client.as_completed(refs, timeout=timeout, stop=stop):
            if outcome.batch is None:
                print(outcome.error, file=sys.stderr)
            else:
                counts = outcome.batch.counts
                print(outcome.ref, outcome.batch.state, f"{counts.succeeded} of {counts.total}", flush=True)
            codes.add(code_of(outcome))
    return next(code for code in (BAD, OPEN, OK) if code in codes)


def main() -> int:
    parser = argparse.ArgumentParser(description="Wait for batches.")
    parser.add_argument("refs", nargs="+", metavar="vendor:id")
    parser.add_argument("--timeout", type=float, default=3600.0, metavar="SECONDS", help="for all of them together")
    options = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        return wait(options.refs, options.timeout, stop)
    except ConfigurationError as error:  # no keys, a ref that cannot be one
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
