"""The names and values that stand in histories: a public contract.

Histories outlive versions, and other languages may call the activities. So a name stays, a field is only ever added,
with a default, and all values are plain JSON, which every data converter takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from batchstatus import BatchRef, BatchState, ConfigurationError

READ = "batchstatus.read"
"""Activity: one poll an attempt; the server keeps the pauses. Takes a WaitRequest, returns `Batch.to_dict()`."""
WAIT = "batchstatus.wait"
"""Activity: all polls in one attempt, with heartbeats. Takes and returns the same."""
WAIT_MANY = "batchstatus.wait_many"
"""Activity: a WaitManyRequest; returns for each ref `{"batch": ..., "error": ...}`, one of the two None, an error as
`{"type": ..., "message": ...}`."""
WAIT_FOR_BATCH = "batchstatus.WaitForBatch"
"""Workflow: takes a WaitRequest, returns `Batch.to_dict()`."""

NOT_ENDED = "NotEnded"
"""The type of the failure of an attempt after which the wait goes on; every other one is the name of an error class."""
WAIT_TIMEOUT = "WaitTimeout"

MAX_REFS = 1_000
"""Of one `batchstatus.wait_many`: its heartbeats and its result are one payload each, and a server takes 2 MB."""


@dataclass(frozen=True, kw_only=True)
class WaitRequest:
    """A wait for one batch."""

    ref: str
    timeout: float
    """Seconds since the activity was scheduled, by the server's clock."""
    until: list[str] = field(default_factory=list)
    """States that end the wait besides the terminal ones."""
    results: bool = False
    """Whether the batch is returned with its results."""
    resume: dict[str, Any] | None = None
    """The checkpoint of an earlier wait; that of a heartbeat wins over it."""
    held: bool = False
    """Whether the workflow waits in `batchstatus.wait`."""
    is_last_look: bool = False
    """Whether the time is up, and there is one last look."""


@dataclass(frozen=True, kw_only=True)
class WaitManyRequest:
    """A wait for many batches."""

    refs: list[str]
    timeout: float
    """Seconds since the activity was scheduled, by the server's clock."""
    resume: dict[str, Any] | None = None
    """What an earlier attempt has found, in the form of the result; that of a heartbeat wins over it."""
    is_last_look: bool = False
    """Whether the time is up, and there is one last look."""


def wait_request(
    ref: str | BatchRef,
    *,
    timeout: float | timedelta,
    until: Iterable[BatchState] | None = None,
    results: bool = False,
    held: bool = False,
    resume: Mapping[str, Any] | None = None,
) -> WaitRequest:
    """Return a request; raise ConfigurationError if it cannot work."""
    return WaitRequest(
        ref=str(BatchRef.parse(ref)),
        timeout=in_seconds(timeout),
        until=sorted(_states(until)),
        results=results,
        held=held,
        resume=None if resume is None else dict(resume),
    )


def wait_many_request(refs: Iterable[str | BatchRef], *, timeout: float | timedelta) -> WaitManyRequest:
    """Return a request without duplicates; raise ConfigurationError if it cannot work."""
    distinct = list(dict.fromkeys(str(BatchRef.parse(ref)) for ref in refs))
    if len(distinct) > MAX_REFS:
        raise ConfigurationError(f"one wait takes {MAX_REFS:,} refs at most, not {len(distinct):,}: make it several")
    return WaitManyRequest(refs=distinct, timeout=in_seconds(timeout))


def in_seconds(timeout: float | timedelta) -> float:
    """Return a timeout in seconds; raise ConfigurationError if it is not one that a server keeps."""
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= 10**9:
        raise ConfigurationError(f"timeout is a positive number of seconds, or a timedelta, not {timeout!r:.40}")
    return float(seconds)


def _states(until: Iterable[BatchState] | None) -> set[str]:
    try:
        return {BatchState(state).value for state in until or ()}
    except ValueError:
        raise ConfigurationError(
            f"until takes states, such as {{BatchState.REQUIRES_ACTION}}, not {until!r:.80}"
        ) from None
