"""Readings as a store takes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from batchstatus import Batch, BatchRef, BatchState, Counts, Moment

NOW = datetime(2025, 1, 27, 12, tzinfo=UTC)
WORDS = {BatchState.RUNNING: "processing", BatchState.SUCCEEDED: "completed", BatchState.FAILED: "failed"}


def reading(ref, state=BatchState.RUNNING, processed=None, *, at=0.0, **fields):
    """Return a reading of a batch of 8 items that was asked for `at` seconds after NOW."""
    return Batch(
        ref=BatchRef.parse(ref),
        state=state,
        vendor_status=WORDS.get(state, state.value),
        counts=Counts(total=8, processed=processed),
        read_at=NOW + timedelta(seconds=at),
        asked_at=Moment("test-boot", at),
        raw=None,
        payload=None,
        **fields,
    )
