"""A wait that can go on in another process, as plain JSON: with the evidence that it has so far."""

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

VERSION = 3
ROWS = ("refusals", "account_refusals", "lasting")


@frozen
class RowSoFar:
    """A row of answers of one kind: how many, over how many seconds, and how long ago the last one came.

    `ago` is None if an outage came after it.
    """

    count: int
    seconds: float
    ago: float | None

    def row(self, now: float | None) -> Row:
        """Return a row that goes on; at None the time since the last one proves nothing."""
        return Row(self.count, self.seconds, None if now is None or self.ago is None else now - self.ago)


@frozen(kw_only=True)
class Checkpoint:
    """A checkpoint as read back. Ages are in seconds, at the time `at`."""

    ref: BatchRef
    until: frozenset[BatchState]
    at: datetime
    """All times are by the wall clock, since a monotonic one means nothing in another process."""
    deadline: datetime | None
    """None of a step, which has none."""
    attempts: int
    failures: int
    """Failed polls since the last good one."""
    too_large: int
    """Bodies above `max_body` in a row."""
    has_reading: bool
    """Whether the account was read in the wait."""
    last: Batch | None
    """The last reading, without `raw`, `payload`, failures and results."""
    unchanged_for: float
    baseline: tuple[int, float] | None
    """The count from which the end is predicted, and its age."""
    settling_for: float | None
    """The age of the first of the terminal readings that their counts contradict, if the last reading is one."""
    refusals: RowSoFar | None
    """Refusals of the batch by the vendor, in a row."""
    account_refusals: RowSoFar | None
    """The same of its keys."""
    lasting: RowSoFar | None
    """Failures in a row that time hardly mends."""


def dump(
    progress: BatchProgress,
    evidence: AccountEvidence,
    *,
    attempts: int,
    until: Iterable[BatchState],
    deadline: datetime | None,
    now: float,
    utc: datetime,
) -> dict[str, Any]:
    """Return a checkpoint as JSON-ready values."""
    last, doubts = progress.batch(now, utc), progress.doubts
    unsettled = None if doubts is None else doubts.unsettled
    return {
        "batchstatus_checkpoint": VERSION,
        "ref": str(progress.ref),
        "until": sorted(state.value for state in until),
        "at": utc.isoformat(),
        "deadline": None if deadline is None else deadline.isoformat(),
        "attempts": attempts,
        "failures": progress.consecutive_failures,
        "too_large": 0 if doubts is None else doubts.too_large,
        "has_reading": evidence.has_reading,
        "last": last
        and {
            "state": last.state.value,
            "vendor_status": last.vendor_status,
            "counts": attrs.asdict(last.counts),
            "read_at": last.read_at.isoformat(),
        },
        "unchanged_for": max(now - progress.last_change_at, 0.0),
        "baseline": None
        if progress.baseline is None
        else {"processed": progress.baseline, "ago": max(now - progress.baseline_at, 0.0)},
        "settling_for": None if doubts is None or unsettled is None else max(now - doubts.settling_since, 0.0),
        "refusals": _dumped(None if doubts is None else doubts.refusals, now),
        "account_refusals": _dumped(evidence.refusals, now),
        "lasting": _dumped(evidence.lasting, now),
    }


def _dumped(row: Row | None, now: float) -> dict[str, Any] | None:
    if row is None or not row.count:
        return None
    return {"count": row.count, "seconds": row.seconds, "ago": None if row.last is None else max(now - row.last, 0.0)}


def load(checkpoint: str | Mapping[str, Any]) -> Checkpoint:
    """Return a checkpoint from its values or their JSON text; raise ConfigurationError if it is not one."""
    try:
        fields = json.loads(checkpoint) if isinstance(checkpoint, str) else checkpoint
        _check_version(fields["batchstatus_checkpoint"])
        ref = BatchRef.parse(fields["ref"])
        baseline = fields["baseline"]
        return Checkpoint(
            ref=ref,
            until=frozenset(BatchState(state) for state in fields["until"]),
            at=_time(fields["at"]),
            deadline=None if fields["deadline"] is None else _time(fields["deadline"]),
            attempts=_count(fields["attempts"]),
            failures=_count(fields["failures"]),
            too_large=_count(fields["too_large"]),
            has_reading=bool(fields["has_reading"]),
            last=_batch(ref, fields["last"], is_settled=fields["settling_for"] is None),
            unchanged_for=_seconds(fields["unchanged_for"]),
            baseline=None if baseline is None else (_count(baseline["processed"]), _seconds(baseline["ago"])),
            settling_for=None if fields["settling_for"] is None else _seconds(fields["settling_for"]),
            **{name: _row(fields[name]) for name in ROWS},
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"resume takes a checkpoint, or its JSON text ({error})") from None


def take_up(
    checkpoint: Checkpoint,
    progress: BatchProgress,
    evidence: AccountEvidence,
    now: float,
    utc: datetime,
    *,
    goes_on: bool = False,
) -> None:
    """Take up the evidence of a checkpoint.

    Args:
        checkpoint: The checkpoint.
        progress: Of its batch.
        evidence: Of its account.
        now: The time now.
        utc: The same by the wall clock.
        goes_on: Whether the time since the checkpoint belongs to the wait, as a pause of its own that it has asked
            for. Else it proves nothing.
    """
    then = now - max((utc - checkpoint.at) / timedelta(seconds=1), 0.0)
    since = then if goes_on else None
    evidence.has_reading = checkpoint.has_reading
    evidence.refusals = (checkpoint.account_refusals or NOTHING).row(since)
    evidence.lasting = (checkpoint.lasting or NOTHING).row(since)
    if checkpoint.refusals is not None:
        progress.doubt().refusals = checkpoint.refusals.row(since)
    if checkpoint.last is not None:
        age = max((utc - checkpoint.last.read_at) / timedelta(seconds=1), 0.0)
        progress.take_up(checkpoint.last, now - age)
    if goes_on:
        _go_on(checkpoint, progress, then)


def _go_on(checkpoint: Checkpoint, progress: BatchProgress, then: float) -> None:
    """Take up what decides when to poll next, as it was at a time."""
    progress.consecutive_failures = checkpoint.failures
    progress.last_change_at = then - checkpoint.unchanged_for
    if checkpoint.baseline is not None:
        progress.baseline, progress.baseline_at = checkpoint.baseline[0], then - checkpoint.baseline[1]
    if checkpoint.too_large:
        progress.doubt().too_large = checkpoint.too_large
    if checkpoint.settling_for is not None:
        doubts = progress.doubt()
        doubts.unsettled, doubts.settling_since = checkpoint.last, then - checkpoint.settling_for


NOTHING = RowSoFar(0, 0.0, None)


def _check_version(version: object) -> None:
    if version != VERSION:
        raise ValueError(f"it is of version {version!r:.40}, not {VERSION}")


def _batch(ref: BatchRef, fields: Mapping[str, Any] | None, *, is_settled: bool) -> Batch | None:
    if fields is None:
        return None
    return Batch(
        ref=ref,
        state=BatchState(fields["state"]),
        vendor_status=str(fields["vendor_status"]),
        counts=Counts(**{name: count(value) for name, value in fields["counts"].items()}),
        read_at=_time(fields["read_at"]),
        is_settled=is_settled,
        raw=None,
        payload=None,
    )


def _row(fields: Mapping[str, Any] | None) -> RowSoFar | None:
    if fields is None:
        return None
    ago = fields["ago"]
    return RowSoFar(_count(fields["count"]), _seconds(fields["seconds"]), None if ago is None else _seconds(ago))


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
