"""A wait that can go on elsewhere: what it was about, as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from ._batch import BatchRef, BatchState
from ._body import count, timestamp
from ._errors import ConfigurationError

VERSION = 1


@frozen
class Checkpoint:
    """A checkpoint as read back."""

    ref: BatchRef
    until: frozenset[BatchState]
    deadline: datetime
    """By the wall clock, since a monotonic one means nothing in another process."""
    reads: int


def dump(ref: BatchRef, *, reads: int, until: Iterable[BatchState], deadline: datetime) -> dict[str, Any]:
    """Return a checkpoint as JSON-ready values."""
    return {
        "batchstatus_checkpoint": VERSION,
        "ref": str(ref),
        "until": sorted(state.value for state in until),
        "deadline": deadline.isoformat(),
        "reads": reads,
    }


def load(checkpoint: str | Mapping[str, Any]) -> Checkpoint:
    """Return a checkpoint from its values or their JSON text; raise ConfigurationError where it is none."""
    try:
        fields = json.loads(checkpoint) if isinstance(checkpoint, str) else checkpoint
        until = frozenset(BatchState(state) for state in fields["until"])
        version, ref = fields["batchstatus_checkpoint"], BatchRef.parse(fields["ref"])
        deadline, reads = timestamp(fields["deadline"]), count(fields["reads"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"resume takes a WaitError's checkpoint, or its JSON text ({error})") from None
    if version != VERSION or deadline is None or reads is None:
        raise ConfigurationError(f"resume takes a WaitError's checkpoint of version {VERSION}, not {fields!r:.200}")
    return Checkpoint(ref, until, deadline, reads)
