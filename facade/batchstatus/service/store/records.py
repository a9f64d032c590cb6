"""The records of a store: tracked batches, and their changes."""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

import attrs
from attrs import field, frozen

from batchstatus import Batch, BatchRef, BatchState, ConfigurationError, Counts, printable

T = TypeVar("T")
log = logging.getLogger("batchstatus")

MAX_TEXT = 2_000
"""Characters of an error's text that are stored."""
SCHEMA = 1
"""The version of `Change.to_dict`: it changes when a field changes its meaning or is dropped."""
KINDS = ("change", "ended", "lost", "found")
"""The kinds of changes."""


@frozen(kw_only=True)
class Tracked:
    """A batch that is tracked, as it was last read."""

    ref: BatchRef
    labels: Mapping[str, str] = field(hash=False)
    state: BatchState | None = None
    """None before the first reading."""
    vendor_status: str | None = None
    counts: Counts = field(factory=Counts)
    sequence: int = 0
    """How many changes there were, untracked times included."""
    added_at: datetime
    changed_at: datetime | None = None
    read_at: datetime | None = None
    ended: bool = False
    """Whether the batch has ended, and is not read any more."""
    error: str | None = None
    """Why it cannot be read just now."""
    lost_since: datetime | None = None
    """Since when the vendor denies the batch, if it does."""
    resting: bool = False
    """Whether it is not read any more, since it has been lost for a day."""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON-ready values."""
        fields = attrs.asdict(self, recurse=False) | {
            "ref": str(self.ref),
            "labels": dict(self.labels),
            "state": self.state and self.state.value,
            "counts": attrs.asdict(self.counts),
        }
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


@frozen(kw_only=True)
class Change:
    """One change of a batch's state, word or counts, its first reading, or its end; or that it is lost, or found."""

    id: str
    """Unique for ever, whatever becomes of the store: a consumer drops ids that it knows."""
    store: str
    """The id of its store, which is made with the file; `ref` and `sequence` give the order within one store."""
    ref: BatchRef
    sequence: int
    """From 1, without gaps, for each ref."""
    kind: str
    """"change"; "ended", the last one of a batch; "lost", if the vendor denies it; "found", if it can be read again."""
    at: datetime
    """When it was stored: aware, UTC, by this machine's clock."""
    labels: Mapping[str, str] = field(factory=dict, hash=False)
    """The batch's labels when the change was stored: however often it is delivered, it says the same."""
    batch: dict[str, Any] | None = field(default=None, hash=False)
    """`Batch.to_dict()`, with `results` and `failures` None before the end; None if the batch is lost."""
    error: str | None = None
    attempts: int = field(default=0, eq=False)
    """How often its delivery has failed."""

    def __str__(self) -> str:
        return f"{self.ref} #{self.sequence}"

    def to_dict(self) -> dict[str, Any]:
        """Return the change for a consumer, as JSON-ready values."""
        return {
            "schema": SCHEMA,
            "id": self.id,
            "store": self.store,
            "ref": str(self.ref),
            "sequence": self.sequence,
            "kind": self.kind,
            "at": self.at.isoformat(),
            "labels": dict(self.labels),
            "batch": self.batch,
            "error": self.error,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the change that `to_dict` was made of; `Batch.from_dict(change.batch)` has its batch.

        Fields that it does not know are left out.

        Raises:
            ConfigurationError: They are not a change's, or are those of a newer version, with another meaning.
        """
        try:
            if fields["schema"] != SCHEMA:
                raise ConfigurationError(
                    f"this change has the schema {fields['schema']!r:.20}, and this version of batchstatus knows "
                    f"{SCHEMA}: upgrade it"
                )
            labels, batch = fields.get("labels") or {}, fields["batch"]
            texts = (fields["id"], fields["store"], fields["kind"], *labels, *labels.values())
            if not all(isinstance(text, str) for text in texts):
                raise TypeError("not text")  # noqa: TRY301 (one message for all)
            return cls(
                id=fields["id"],
                store=fields["store"],
                ref=BatchRef.parse(fields["ref"]),
                sequence=int(fields["sequence"]),
                kind=fields["kind"],
                at=datetime.fromisoformat(fields["at"]),
                labels=dict(labels),
                batch=None if batch is None else dict(batch),
                error=fields["error"],
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(
                f"this is not what Change.to_dict returns ({type(error).__name__}: {printable(str(error))!s:.80})"
            ) from None


@frozen(kw_only=True)
class Destination:
    """A receiver of changes, by name, and how its outbox stands."""

    name: str
    added_at: datetime
    """Changes that were stored before are not delivered there."""
    served_at: datetime
    """When a service last had it among its destinations."""
    kinds: tuple[str, ...] | None = None
    """The kinds of changes that are kept for it; None: all."""
    waiting: int
    """Changes that are to be delivered."""
    failed: int
    """Those of them that were tried."""
    set_aside: int = 0
    """Changes that were tried for days, and are tried no more: see `Store.retry_deliveries`."""
    oldest_at: datetime | None = None
    """When the oldest waiting change was stored."""
    failed_at: datetime | None = None
    """When a delivery failed there last; it may have been well ever since."""
    reason: str | None = None
    """Why that one failed."""
    stopped_at: datetime | None = None
    """Since when it is stopped: it has answered 410, so it wants no more. Its changes wait."""

    @property
    def oldest_age(self) -> float:
        """For how many seconds the oldest waiting change has been stored; 0 if none waits."""
        return 0.0 if self.oldest_at is None else max(time.time() - self.oldest_at.timestamp(), 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON-ready values."""
        return _json_ready(attrs.asdict(self, recurse=False))


@frozen(kw_only=True)
class Pending:
    """A change that has not arrived at a destination."""

    id: str
    """The change's."""
    ref: BatchRef
    sequence: int
    kind: str
    at: datetime
    """When the change was stored."""
    attempts: int
    """How often its delivery has failed."""
    failed_at: datetime | None = None
    """When it failed first."""
    reason: str | None = None
    """Why it failed last."""
    set_aside_at: datetime | None = None
    """Since when it is tried no more."""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON-ready values."""
        return _json_ready(attrs.asdict(self, recurse=False))


def _json_ready(fields: dict[str, Any]) -> dict[str, Any]:
    fields = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}
    return {name: str(value) if isinstance(value, BatchRef) else value for name, value in fields.items()}


TRACKED = "ref, labels, reading, sequence, added_at, changed_at, read_at, ended, error, lost_at, resting"
"""The columns of `refs` that `tracked` takes."""
CHANGE = "changes.id, store.id, refs.ref, changes.sequence, kind, at, changes.labels, batch, changes.error"
"""The columns of `changes`, `store` and `refs` that `change` takes, before the number of failed deliveries."""


def decoded(rows: Iterable[tuple[Any, ...]], decode: Callable[[tuple[Any, ...]], T]) -> Iterator[T]:
    """Yield rows decoded; one that cannot be is left out, and told of once."""
    for row in rows:
        try:
            yield decode(row)
        except (ValueError, TypeError, KeyError, AttributeError, ConfigurationError) as error:
            _tell(f"{row[:3]!r:.200}", type(error).__name__)


@functools.lru_cache(1_000)
def _tell(row: str, error: str) -> None:
    log.warning("a row of the store is damaged, and left out: %s (%s)", row, error)


def ref(row: tuple[Any, ...]) -> BatchRef:
    """Return the ref that opens a row."""
    return BatchRef.parse(row[0])


def tracked(row: tuple[Any, ...]) -> Tracked:
    """Return a row of the columns TRACKED."""
    ref, labels, reading, sequence, added_at, changed_at, read_at, ended, error, lost_at, resting = row
    state, word, counts = _reading(reading) if reading else (None, None, Counts())
    return Tracked(
        ref=BatchRef.parse(ref),
        labels={**_labels(labels)},
        state=state,
        vendor_status=word,
        counts=counts,
        sequence=sequence,
        added_at=utc(added_at),
        changed_at=changed_at and utc(changed_at),
        read_at=read_at and utc(read_at),
        ended=bool(ended),
        error=error,
        lost_since=lost_at and utc(lost_at),
        resting=bool(resting),
    )


@functools.lru_cache(1_000)  # many batches have the same labels, and ended ones often the same reading
def _labels(text: str) -> dict[str, str]:
    return json.loads(text)  # type: ignore[no-any-return]


@functools.lru_cache(1_000)
def _reading(text: str) -> tuple[BatchState, str, Counts]:
    state, word, counts = json.loads(text)
    return BatchState(state), word, Counts(**counts)


def change(row: tuple[Any, ...]) -> Change:
    """Return a row of the columns CHANGE and a number of failed deliveries."""
    id_, store, ref, sequence, kind, at, labels, batch, error, attempts = row
    return Change(
        id=id_,
        store=store,
        ref=BatchRef.parse(ref),
        sequence=sequence,
        kind=kind,
        at=utc(at),
        labels={**_labels(labels)},
        batch=batch and json.loads(batch),
        error=error,
        attempts=attempts,
    )


def reading(batch: Batch) -> str:
    """Return state, vendor's status and counts as JSON: if they are equal, two readings are the same."""
    return json.dumps([batch.state, batch.vendor_status, attrs.asdict(batch.counts, recurse=False)])


def utc(seconds: float) -> datetime:
    """Return a time of the store, which are seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
