"""`make demo`: read batches of both vendors through the facade, over real HTTP, from the simulator."""

from __future__ import annotations

from batchstatus import Batch, BatchClient, BatchNotFound, BatchRef, BatchStatusError
from batchstatus.testing.simulator import Quirk, Simulator

COLUMNS = "{:<46} {:<16} {:<19} {:>9}  {}"


def main() -> None:
    """Print one batch of each vendor in each state of its table, a partial one, an unknown one, and an error."""
    with Simulator() as simulator:
        refs = [
            simulator.add("gameball", status="pending", total=200),
            simulator.add("gameball", status="processing", total=200),
            simulator.add("gameball", status="completed", total=200),
            simulator.add("gameball", status="completed", total=200, failed=2),
            simulator.add("gameball", status="failed", total=200, failed=200),
            simulator.add("gameball", status="stopped", total=200, quirks=[Quirk.TUTORIAL_SHAPE]),
            simulator.add("gameball", status="paused", total=200),
            simulator.add("believe", status="AVAILABLE_TO_QUEUE"),
            simulator.add("believe", status="FINALIZED"),
            simulator.add("believe", status="EXECUTED"),
            simulator.add("believe", status="FAILED", failed=5),
            simulator.add("believe", status="ARCHIVED"),
        ]
        missing = BatchRef("believe", "00000000-0000-4000-8000-000000000404")
        print(f"Two vendors, simulated at {simulator.url}\n")
        print(COLUMNS.format("ref", "state", "vendor's word", "done", "remarks"))
        with BatchClient(*simulator.accounts()) as client:
            for ref in refs:
                print(row(client.get(ref)))
            try:
                client.get(missing)
            except BatchNotFound as error:
                print(f"\n{type(error).__name__} {error.code}\n  {error}")
        print(f"\n{len(simulator.reads)} HTTP exchanges.")


def row(batch: Batch) -> str:
    """Return a batch as a line of the table."""
    done = "" if batch.progress is None else f"{batch.progress:.0%}"
    return COLUMNS.format(str(batch.ref), batch.state.name, batch.vendor_status, done, remarks(batch)).rstrip()


def remarks(batch: Batch) -> str:
    """Return what a person would want to know besides."""
    failed = f"{batch.counts.failed} of {batch.counts.total} failed" if batch.has_failures else ""
    first = batch.failures[0].message if batch.failures else ""
    partial = "partial" if batch.is_partial else ""
    return ", ".join(filter(None, [partial, failed, first]))


if __name__ == "__main__":
    try:
        main()
    except BatchStatusError as error:
        raise SystemExit(f"demo: {error}") from None
