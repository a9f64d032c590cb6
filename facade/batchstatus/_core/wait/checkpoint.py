"""A wait that can be resumed, in this process or another, as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from batchstatus._core.errors import ConfigurationError
from batchstatus._core.read.fields import count, timestamp
from batchstatus._core.values import BatchRef, BatchState

VERSION = 1


@frozen
class Checkpoint:
    """A checkpoint as read back."""

    ref: BatchRef
    until: frozenset[BatchState]
    deadline: datetime
    """By the wall clock, since a monotonic one means nothing in another process."""
    attempts: int


def dump(ref: BatchRef, *, attempts: int, until: Iterable[BatchState], deadline: datetime) -> dict[str, Any]:
    """Return a checkpoint as JSON-ready values."""
    return {
        "batchstatus_checkpoint": VERSION,
        "ref": str(ref),
        "until": sorted(state.value for state in until),
        "deadline": deadline.isoformat(),
        "attempts": attempts,
    }


def load(checkpoint: str | Mapping[str, Any]) -> Checkpoint:
    """Return a checkpoint from its values or their JSON text; raise ConfigurationError if it is not one."""
    try:
        fields = json.loads(checkpoint) if isinstance(checkpoint, str) else checkpoint
        until = frozenset(BatchState(state) for state in fields["until"])
        version, ref = fields["batchstatus_checkpoint"], BatchRef.parse(fields["ref"])
        deadline, attempts = timestamp(fields["deadline"]), count(fields["attempts"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"resume takes a WaitError's checkpoint, or its JSON text ({error})") from None
    if version != VERSION or deadline is None or attempts is None:
        raise ConfigurationError(f"resume takes a WaitError's checkpoint of version {VERSION}, not {fields!r:.200}")
    return Checkpoint(ref, until, deadline, attempts)
