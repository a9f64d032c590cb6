"""For a vendor's `status_fields` and `error_fields`: coerce the fields of a body, and never guess.

All of them take a JSON value of whatever type, and return None for one that cannot be used.
"""

from __future__ import annotations

from batchstatus._core.account import keep_unset
from batchstatus._core.read.fields import (
    accepted,
    at,
    count,
    epoch,
    epoch_ms,
    error,
    first,
    items,
    mapping,
    number,
    odd,
    plain,
    rendering,
    text,
    timestamp,
)

__all__ = [
    "accepted",
    "at",
    "count",
    "epoch",
    "epoch_ms",
    "error",
    "first",
    "items",
    "keep_unset",
    "mapping",
    "number",
    "odd",
    "plain",
    "rendering",
    "text",
    "timestamp",
]
