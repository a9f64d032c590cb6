"""The values that callers get: a Batch with its ref, state, counts and failures, and an Outcome."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

import attrs
from attrs import field, frozen
from attrs.converters import optional

from .errors import BatchFailed, BatchStatusError, ConfigurationError

MAX_ID_LENGTH = 256
ACCOUNT = re.compile(r"[a-z0-9_-]{1,64}")
VENDOR = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class BatchState(StrEnum):
    """The state of a batch, in one vocabulary for all vendors."""

    PENDING = "pending"
    """Accepted, not started."""
    REQUIRES_ACTION = "requires_action"
    """It needs approval or execution at the vendor, and stays so until then."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    """Ended; single items may still have failed: see `Batch.has_failures`."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """The vendor's status is in no table; `Batch.vendor_status` has it. Never terminal."""

    @property
    def is_terminal(self) -> bool:
        """Whether a batch in this state has ended."""
        return self in TERMINAL


TERMINAL = frozenset({BatchState.SUCCEEDED, BatchState.FAILED, BatchState.CANCELLED})
TIMES = {"created_at", "updated_at"}
NOT_SHOWN = {"raw", "payload", "retry_after", "asked_at"}
"""The fields of a Batch that `to_dict` leaves out."""


def _vendor(value: object) -> str:
    if isinstance(value, str) and VENDOR.fullmatch(value):
        return sys.intern(value)  # shared by all refs: 56 bytes each
    raise ConfigurationError(f"a vendor's name is lower-case letters, digits, '_' and '-', not {_shown(value)}")


def _batch_id(value: object) -> str:
    """Return the id as text; refuse one that could change the route of the request."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**MAX_ID_LENGTH:
        value = str(value)
    if not isinstance(value, str):
        raise ConfigurationError(f"a batch id is text or a whole number, not {type(value).__name__}")
    if not value or value != value.strip() or not value.isprintable():
        raise ConfigurationError(
            f"a batch id is neither empty nor framed by blanks, and holds no control characters: {value!r:.80}"
        )
    if len(value) > MAX_ID_LENGTH:
        raise ConfigurationError(f"a batch id has at most {MAX_ID_LENGTH} characters, not {len(value)}")
    if "." in value and any(part in {".", ".."} for part in re.split(r"[/\\]", value)):
        raise ConfigurationError(f"a batch id holds no '.' or '..' as a path segment: {value!r:.80}")
    return value


def check_account_name(value: object) -> str:
    """Return the name; raise ConfigurationError if it cannot stand in a ref."""
    if isinstance(value, str) and ACCOUNT.fullmatch(value):
        return sys.intern(value)
    raise ConfigurationError(
        f"an account's name is 1 to 64 of a-z, 0-9, '_' and '-', such as 'acme', not {_shown(value)}"
    )


@frozen(repr=False)
class BatchRef:
    """The name of one batch: its vendor, its id there, and the account if there are several.

    As text: `shop:1748392`, or `shop/acme:1748392` with an account. An id may be given as an int.

    Raises:
        ConfigurationError: The vendor, id or account cannot be one.
    """

    vendor: str = field(converter=_vendor)
    id: str = field(converter=_batch_id)
    account: str | None = field(default=None, converter=optional(check_account_name))

    @classmethod
    def parse(cls, ref: str | BatchRef) -> BatchRef:
        """Return the ref that the text names; all after the first `:` is the id."""
        if isinstance(ref, BatchRef):
            return ref
        if not isinstance(ref, str) or ":" not in ref:
            raise ConfigurationError(f"a ref is written vendor:id or vendor/account:id, not {_shown(ref)}")
        return _parsed(ref)

    @property
    def account_ref(self) -> str:
        """The part before the `:`, which names the account: `shop`, or `shop/acme`."""
        return f"{self.vendor}/{self.account}" if self.account else self.vendor

    def __str__(self) -> str:
        return f"{self.account_ref}:{self.id}"

    def __repr__(self) -> str:
        return f"BatchRef({str(self)!r})"


@functools.lru_cache(1024)
def _parsed(ref: str) -> BatchRef:
    """Return the ref that a text names; kept, since scripts ask for a few of them again and again."""
    account_ref, _, batch_id = ref.partition(":")
    vendor, slash, account = account_ref.partition("/")
    return BatchRef(vendor, batch_id, account if slash else None)


@frozen(kw_only=True)
class Counts:
    """The numbers of a batch's items, by outcome; None if the vendor does not give one.

    They are the vendor's, even if they contradict each other.
    """

    total: int | None = None
    processed: int | None = None
    """Succeeded or failed."""
    succeeded: int | None = None
    failed: int | None = None


@frozen(kw_only=True)
class ItemFailure:
    """One item, or one step, that failed."""

    message: str
    """The vendor's words, or its value as JSON if it is not text."""
    code: str | None = None
    index: int | None = None
    """The vendor's own index; whether it counts from 0 or 1 is documented nowhere (B22)."""
    id: str | None = None
    phase: str | None = None
    """"setup" or "execution" if a vendor has both, else None."""


@frozen
class Moment:
    """A time on a clock that all processes of a machine share, and that goes on while it sleeps."""

    boot: str
    """Which start of which machine it counts from; "" if that is not known."""
    seconds: float

    def is_before(self, other: Moment) -> bool:
        """Return whether this is the earlier one; never if they do not count from the same start."""
        return self.boot != "" and self.boot == other.boot and self.seconds < other.seconds


@frozen(kw_only=True)
class Batch:
    """A batch as one read found it."""

    ref: BatchRef
    state: BatchState
    vendor_status: str
    """The vendor's own word, verbatim."""
    counts: Counts = Counts()
    progress: float | None = None
    """From 0.0 to 1.0, or None if nothing reliable is known."""
    failures: tuple[ItemFailure, ...] = ()
    results: tuple[Any, ...] = field(default=(), repr=False, hash=False)
    """The items that succeeded, as the vendor sends them (JSON values); mostly empty until the end."""
    created_at: datetime | None = None
    """Aware, UTC; None if the vendor gives none, or one without an offset."""
    updated_at: datetime | None = None
    read_at: datetime
    """When the response arrived (aware UTC, local clock)."""
    asked_at: Moment | None = field(default=None, repr=False, eq=False)
    """When its request was sent: of two readings the one that was asked for last is the newer."""
    problems: tuple[str, ...] = ()
    """What of the response was odd, and left out: at most 20 short texts, each with the field's name."""
    is_settled: bool = True
    """False if the counts contradict that the batch has succeeded: they may lag behind. `get` does not wait for them;
    a wait that has waited in vain makes it True, and a problem stays."""
    raw: object = field(repr=False, hash=False)
    """The generated model (`batchstatus_raw.*.models.BatchStatusResponse`), without nulls and what it refuses; None
    if it takes nothing of the body."""
    payload: Any = field(repr=False, hash=False)
    """The JSON as it came."""
    request_id: str | None = None
    retry_after: float | None = field(default=None, repr=False, eq=False)
    """Seconds after which the vendor wants to be asked again, if it says so."""
    attempts: int = 1
    """HTTP exchanges that this read took."""
    elapsed: float = 0.0
    """Seconds that this read took, pauses between attempts included."""

    @property
    def is_terminal(self) -> bool:
        """Whether the state is one of an ended batch."""
        return self.state.is_terminal

    @property
    def has_ended(self) -> bool:
        """Whether the batch has ended, and its counts are final: terminal and settled."""
        return self.is_terminal and self.is_settled

    @property
    def has_failures(self) -> bool:
        """Whether the batch has ended and items of it failed."""
        return self.is_terminal and (self.counts.failed or 0) > 0

    @property
    def is_partial(self) -> bool:
        """Whether the batch has ended, with items that failed and items that succeeded."""
        return self.has_failures and (self.counts.succeeded or 0) > 0

    def raise_for_state(self) -> Batch:
        """Return the batch itself, or raise BatchFailed if it ended as FAILED or CANCELLED."""
        if self.state in {BatchState.FAILED, BatchState.CANCELLED}:
            first = f": {self.failures[0].message}" if self.failures else ""
            raise BatchFailed(f"{self.ref} ended as {self.state.name} ({self.vendor_status:.80}){first}", batch=self)
        return self

    def to_dict(self, *, results: bool = True) -> dict[str, Any]:
        """Return the batch as JSON-ready values; `raw` and `payload` are left out.

        Args:
            results: False for None instead of the results, which may be the most of it.
        """
        fields = attrs.asdict(self, filter=lambda field, _: field.name not in NOT_SHOWN, recurse=False)
        fields |= {
            "ref": str(self.ref),
            "vendor": self.ref.vendor,
            "account": self.ref.account,
            "id": self.ref.id,
            "state": self.state.value,
            "is_terminal": self.is_terminal,
            "has_ended": self.has_ended,
            "counts": attrs.asdict(self.counts),
            "failures": [attrs.asdict(failure) for failure in self.failures],
            "results": list(self.results) if results else None,
            "problems": list(self.problems),
        }
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the batch that `to_dict` was made of, with None as `raw` and `payload`.

        Fields that it does not know are left out, and absent ones have their defaults, as another version may have
        written them.

        Raises:
            ConfigurationError: They are not a batch's.
        """
        try:
            known = _known(cls, fields)
            times = {name: known[name] and datetime.fromisoformat(known[name]) for name in TIMES & known.keys()}
            return cls(
                **known
                | times
                | {
                    "ref": BatchRef.parse(fields["ref"]),
                    "state": BatchState(fields["state"]),
                    "read_at": datetime.fromisoformat(fields["read_at"]),
                    "counts": Counts(**_known(Counts, fields.get("counts") or {})),
                    "failures": tuple(ItemFailure(**_known(ItemFailure, one)) for one in fields.get("failures") or ()),
                    "results": tuple(fields.get("results") or ()),
                    "problems": tuple(fields.get("problems") or ()),
                    "raw": None,
                    "payload": None,
                }
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"this is not what Batch.to_dict returns: {error!r:.200}") from None


@frozen
class Outcome:
    """The outcome of one ref among many: a batch, or the error that came instead."""

    ref: BatchRef
    batch: Batch | None = None
    error: BatchStatusError | None = None

    def unwrap(self) -> Batch:
        """Return the batch, or raise the error."""
        if self.error is not None:
            raise self.error
        assert self.batch is not None, "an Outcome has a batch or an error"
        return self.batch


def _known(cls: type[attrs.AttrsInstance], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values that are fields of a class."""
    return {field.name: fields[field.name] for field in attrs.fields(cls) if field.name in fields}


def _shown(value: object) -> str:
    """Show a value in a message: text as is, anything else by type, since its repr may be huge or raise."""
    return f"{value!r:.80}" if isinstance(value, str) else type(value).__name__


def printable(text: str) -> str:
    """Return text fit for one line of a message, log, terminal or database.

    Line ends, control characters and lone surrogates are escaped.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
