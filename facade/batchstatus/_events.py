"""What a client tells its observer while it works: enough for telemetry, a progress bar and a log."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from ._batch import Batch, BatchRef, BatchState, Outcome
from ._errors import BatchStatusError


class EventKind(StrEnum):
    """What happened. In the order in which the events of one reading come."""

    READ = "read"
    """One HTTP exchange is over: with `batch` if it brought a reading, else with `error`."""
    THROTTLE = "throttle"
    """The vendor answered 429: its account's pace is closed for `pause` seconds, for every client, and slower then."""
    RETRY = "retry"
    """The exchange failed, and another follows in `pause` seconds."""
    UNKNOWN_WORD = "unknown_word"
    """The vendor's status word is in no table; once for each word and client."""
    CHANGE = "change"
    """State, counts or the vendor's word differ from the reading before, or this is the first of a wait."""
    NEEDS_ACTION = "needs_action"
    """The batch has come to need somebody's approval, and may stay so for ever; once each time it comes to that."""
    DONE = "done"
    """The call has its answer about this batch: `batch` or `error`. Exactly one for each distinct ref of a call that
    is neither abandoned nor interrupted."""


@frozen(kw_only=True)
class Event:
    """Something that happened to one batch in one call."""

    kind: EventKind
    ref: BatchRef
    batch: Batch | None = None
    error: BatchStatusError | None = None
    before: BatchState | None = None
    """The state in the reading before; None at the first."""
    attempts: int = 0
    """HTTP exchanges that this call has had for the batch so far."""
    elapsed: float = 0.0
    """Seconds since the call began."""
    took: float = 0.0
    """Seconds that the last exchange took."""
    queued: float = 0.0
    """Seconds that it waited for its turn before that, since it was due: pacing, and reads in flight."""
    pause: float | None = None
    """Seconds until the next exchange about the batch, as planned; None where none follows."""
    why: str = ""
    """Why `pause` is so long, for people: not to be parsed."""
    remaining: float | None = None
    """Seconds until the batch ends, as its counts predict; None where they predict nothing."""

    @property
    def outcome(self) -> Outcome:
        """The batch, or the error that came instead."""
        return Outcome(self.ref, self.batch, self.error)

    def __str__(self) -> str:
        """Say it in one line, for people."""
        text = self._what() + REMARKS[self.kind].format(self, next=self._next())
        return text if text.isprintable() else repr(text)

    def _what(self) -> str:
        if self.batch is None:
            return f"{type(self.error).__name__}: {self.error}" if self.error else str(self.ref)
        counts, stands = self.batch.counts, f"{self.ref}: {self.batch.state.name} ({self.batch.vendor_status:.80})"
        done = f", {counts.processed} of {counts.total}" if counts.processed is not None else ""
        return stands + done + (f", {counts.failed} failed" if counts.failed else "")

    def _next(self) -> str:
        following = "" if self.pause is None else f", next in {self.pause:.1f} s"
        return following + (f": {self.why}" if self.why else "")


REMARKS = {
    EventKind.READ: "; read {0.attempts} took {0.took:.3f} s{next}",
    EventKind.THROTTLE: "; no read of its account for {0.pause:.1f} s, then more slowly",
    EventKind.RETRY: "; again in {0.pause:.1f} s: {0.why}",
    EventKind.UNKNOWN_WORD: ": a status word in no table, taken as not ended; `states=` of its account can teach it",
    EventKind.CHANGE: "",
    EventKind.NEEDS_ACTION: ": somebody has to approve or execute it; it may stay so for ever",
    EventKind.DONE: "; done after {0.elapsed:.1f} s and {0.attempts} reads",
}
"""What there is to say of an event besides the batch or the error, for `str.format`."""
