"""Batches as JSON that an engine's database takes."""

from __future__ import annotations

import json
from typing import Any

from batchstatus import Batch


def fitting(batch: Batch, *, results: bool, most: int) -> dict[str, Any]:
    """Return a batch as JSON-ready values of at most `most` bytes; a list that is too long for it is left out, and a
    problem says so.
    """
    fields = batch.to_dict(results=results)
    for name in ("results", "failures"):
        if len(json.dumps(fields)) <= most:
            break
        if fields[name]:
            problem = f"{name}: {len(fields[name])} left out, as a payload above {most} bytes may be refused"
            fields |= {name: [], "problems": [*fields["problems"], problem]}
    return fields


def standing(batch: Batch) -> str:
    """Return where a batch stands, for a message: its state, the vendor's word, and the counts."""
    counts = batch.counts
    done = "" if counts.processed is None else f", {counts.processed} of {counts.total} done"
    return f"{batch.state.name} ({batch.vendor_status:.80}){done}"
