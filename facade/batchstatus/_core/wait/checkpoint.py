"""A wait that can be resumed, in this process or another, as plain JSON: with the evidence that it has so far."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs
from attrs import frozen

from batchstatus._core.errors import ConfigurationError
from batchstatus._core.read.fields import count, number, timestamp
from batchstatus._core.values import Batch, BatchRef, BatchState, Counts

from .evidence import AccountEvidence, Row
from .progress import BatchProgress

VERSION = 2


@frozen
class Checkpoint:
    """A checkpoint as read back."""

    ref: BatchRef
    until: frozenset[BatchState]
    deadline: datetime
    """By the wall clock, since a monotonic one means nothing in another process."""
    attempts: int
    has_reading: bool
    """Whether the account was read in the wait."""
    last: Batch | None
    """The last reading, without `raw`, `payload`, failures and results."""
    refusals: tuple[int, float] | None
    """How often in a row the vendor has refused the batch, and over how many seconds, outages apart."""
    account_refusals: tuple[int, float] | None
    """The same for its keys."""


def dump(
    progress: BatchProgress,
    evidence: AccountEvidence,
    *,
    attempts: int,
    until: Iterable[BatchState],
    deadline: datetime,
    now: float,
    utc: datetime,
) -> dict[str, Any]:
    """Return a checkpoint as JSON-ready values."""
    last = progress.batch(now, utc)

    def row(row: Row | None) -> dict[str, Any] | None:
        if row is None or not row.count:
            return None
        return {"count": row.count, "seconds": row.seconds}

    return {
        "batchstatus_checkpoint": VERSION,
        "ref": str(progress.ref),
        "until": sorted(state.value for state in until),
        "deadline": deadline.isoformat(),
        "attempts": attempts,
        "has_reading": evidence.has_reading,
        "last": last
        and {
            "state": last.state.value,
            "vendor_status": last.vendor_status,
            "counts": attrs.asdict(last.counts),
            "read_at": last.read_at.isoformat(),
        },
        "refusals": row(None if progress.doubts is None else progress.doubts.refusals),
        "account_refusals": row(evidence.refusals),
    }


def load(checkpoint: str | Mapping[str, Any]) -> Checkpoint:
    """Return a checkpoint from its values or their JSON text; raise ConfigurationError if it is not one."""
    try:
        fields = json.loads(checkpoint) if isinstance(checkpoint, str) else checkpoint
        _check_version(fields["batchstatus_checkpoint"])
        ref = BatchRef.parse(fields["ref"])
        return Checkpoint(
            ref=ref,
            until=frozenset(BatchState(state) for state in fields["until"]),
            deadline=_time(fields["deadline"]),
            attempts=_count(fields["attempts"]),
            has_reading=bool(fields["has_reading"]),
            last=_batch(ref, fields["last"]),
            refusals=_row(fields["refusals"]),
            account_refusals=_row(fields["account_refusals"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"resume takes an error's checkpoint, or its JSON text ({error})") from None


def take_up(
    checkpoint: Checkpoint, progress: BatchProgress, evidence: AccountEvidence, now: float, utc: datetime
) -> None:
    """Take up the evidence of a checkpoint; the time between the two waits proves nothing."""
    evidence.has_reading = checkpoint.has_reading
    evidence.refusals = Row(*checkpoint.account_refusals or ())
    if checkpoint.refusals is not None:
        progress.doubt().refusals = Row(*checkpoint.refusals)
    if checkpoint.last is not None:
        age = max((utc - checkpoint.last.read_at) / timedelta(seconds=1), 0.0)
        progress.take_up(checkpoint.last, now - age)


def _check_version(version: object) -> None:
    if version != VERSION:
        raise ValueError(f"it is of version {version!r:.40}, not {VERSION}")


def _batch(ref: BatchRef, fields: Mapping[str, Any] | None) -> Batch | None:
    if fields is None:
        return None
    return Batch(
        ref=ref,
        state=BatchState(fields["state"]),
        vendor_status=str(fields["vendor_status"]),
        counts=Counts(**{name: count(value) for name, value in fields["counts"].items()}),
        read_at=_time(fields["read_at"]),
        raw=None,
        payload=None,
    )


def _row(fields: Mapping[str, Any] | None) -> tuple[int, float] | None:
    return None if fields is None else (_count(fields["count"]), _seconds(fields["seconds"]))


def _time(value: object) -> datetime:
    if (found := timestamp(value)) is None:
        raise ValueError(f"{value!r:.40} is not a time")
    return found


def _seconds(value: object) -> float:
    if (found := number(value)) is None or found < 0:
        raise ValueError(f"{value!r:.40} are no seconds")
    return found


def _count(value: object) -> int:
    if (found := count(value)) is None:
        raise ValueError(f"{value!r:.40} is not a count")
    return found
