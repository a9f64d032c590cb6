"""An application: it sends points to customers in batches, and notes what became of each."""

from dataclasses import dataclass, field
from typing import Any

from batchstatus import BatchClient, WaitTimeout


@dataclass
class Import:
    """A row of the application's table."""

    ref: str
    outcome: str = "open"
    """Then "succeeded", "failed" or "cancelled"."""
    complaints: list[str] = field(default_factory=list)
    """Why single items failed: some may in an import that succeeded, too."""
    checkpoint: dict[str, Any] | None = None
    """Where the next wait goes on."""


def settle(client: BatchClient, row: Import, *, timeout: float = 900) -> None:
    """Wait for an import, and note how it ended; if it has not, the next call goes on."""
    try:
        batch = client.wait(row.ref, timeout=timeout, resume=row.checkpoint)
    except WaitTimeout as error:
        row.checkpoint = error.checkpoint
    else:
        row.outcome = batch.state
        row.complaints = [failure.message for failure in batch.failures]
