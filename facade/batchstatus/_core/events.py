"""Events that a client passes to its observer: enough for telemetry, a progress bar and a log."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import urlsplit

from attrs import field, frozen

from .errors import BatchStatusError
from .values import Batch, BatchRef, BatchState, Outcome, printable


class EventKind(StrEnum):
    """The kinds of events, in the order in which those of one reading come."""

    START = "start"
    """A call begins for this batch, before its first exchange; DONE or LEFT ends it. Not in `follow`."""
    SEND = "send"
    """An exchange is about to begin: told to `request_headers` alone, which may add headers to it."""
    ATTEMPT = "attempt"
    """One HTTP exchange is over: with `batch` if it brought a reading, else with `error`."""
    THROTTLE = "throttle"
    """The vendor answered 429: its account's pace is closed for `pause` seconds, for every client, and slower then."""
    RETRY = "retry"
    """The exchange failed, and another follows in `pause` seconds."""
    TROUBLE = "trouble"
    """A poll of a wait failed: the first one of its account, and then one a minute."""
    CLOSED = "closed"
    """5 polls of at least 3 batches of one account failed in a row: all its batches wait for one probe, the first of
    them in `pause` seconds."""
    REOPENED = "reopened"
    """An account that was closed answers again."""
    UNKNOWN_WORD = "unknown_word"
    """The vendor's status word is in no table; once for each word and client."""
    CHANGE = "change"
    """State, counts or the vendor's word differ from the reading before, or this is the first of a wait."""
    NEEDS_ACTION = "needs_action"
    """The batch has come to need an approval, without which it stays as it is; once each time it comes to that."""
    DONE = "done"
    """The call is done with this batch: `batch` or `error`. Exactly one for each distinct ref of a call that
    is neither abandoned nor interrupted."""
    LEFT = "left"
    """The call ended before it was done with this batch: a `step` whose wait goes on, or a caller who broke off, was
    cancelled or raised. `attempts` and `elapsed` are those of its last exchange. In `follow` only if an exchange was in
    flight."""


Listens: TypeAlias = Callable[[EventKind], bool]
"""Whether anybody listens to a kind of event: those that come with each poll are made only then."""


def everything(_: EventKind) -> bool:
    """Listen to all kinds."""
    return True


@frozen(eq=False)
class Call:
    """One call of a client's method, equal to itself alone: all its events share it."""

    name: str
    """The method: `get`, `get_many`, `wait`, `wait_all`, `as_completed`, `watch`, `follow`, `step` or `check`."""


NO_CALL = Call("")


@frozen(kw_only=True)
class Event:
    """An event about one batch in one call."""

    kind: EventKind
    ref: BatchRef
    call: Call = field(default=NO_CALL, repr=False)
    """The call; with `ref` it tells which events belong together."""
    batch: Batch | None = None
    error: BatchStatusError | None = None
    previous_state: BatchState | None = None
    """The state in the reading before; None at the first."""
    attempts: int = 0
    """HTTP exchanges that this call has had for the batch so far."""
    elapsed: float = 0.0
    """Seconds since the call began."""
    duration: float = 0.0
    """Seconds that the last exchange took."""
    method: str = ""
    """The HTTP method of the exchange; empty if the event is not about one."""
    url: str = ""
    """The URL of the exchange without its query; no key is in it. Empty if the event is not about one."""
    status_code: int | None = None
    """The HTTP status of the exchange; None without a response."""
    queued: float = 0.0
    """Seconds from when it was due until it started: pacing, and other exchanges in flight."""
    pause: float | None = None
    """Seconds until the next exchange about the batch, as planned; None if none follows."""
    reason: str = ""
    """Why `pause` is as long as it is, for people; not to be parsed."""
    remaining: float | None = None
    """Seconds until the batch ends, as its counts predict; None if they predict nothing."""

    @property
    def server(self) -> str:
        """The host of the exchange, and its port if the account's base_url has one: `host` or `host:port`."""
        return urlsplit(self.url).netloc

    @property
    def outcome(self) -> Outcome:
        """The batch, or the error that came instead."""
        return Outcome(self.ref, self.batch, self.error)

    def __str__(self) -> str:
        """Return a one-line, human-readable summary."""
        return printable(self._subject() + REMARKS[self.kind].format(self, next=self._next()))

    def _subject(self) -> str:
        if self.batch is None:
            return f"{type(self.error).__name__}: {self.error}" if self.error else str(self.ref)
        counts, stands = self.batch.counts, f"{self.ref}: {self.batch.state.name} ({self.batch.vendor_status:.80})"
        done = f", {counts.processed} of {counts.total}" if counts.processed is not None else ""
        return stands + done + (f", {counts.failed} failed" if counts.failed else "")

    def _next(self) -> str:
        following = "" if self.pause is None else f", next in {self.pause:.1f} s"
        return following + (f": {self.reason}" if self.reason else "")


REMARKS = {
    EventKind.START: "; {0.call.name} begins",
    EventKind.SEND: "; attempt {0.attempts} begins",
    EventKind.ATTEMPT: "; attempt {0.attempts} took {0.duration:.3f} s{next}",
    EventKind.THROTTLE: "; its account is not asked for {0.pause:.1f} s, then more slowly",
    EventKind.RETRY: "; again in {0.pause:.1f} s: {0.reason}",
    EventKind.TROUBLE: "; the wait goes on",
    EventKind.CLOSED: "; so do others of {0.ref.account_ref}: one probe finds out when it is well, in {0.pause:.0f} s",
    EventKind.REOPENED: "; {0.ref.account_ref} answers again",
    EventKind.UNKNOWN_WORD: ": unknown status, treated as not terminal; map it with the account's `states=`",
    EventKind.CHANGE: "",
    EventKind.NEEDS_ACTION: ": it needs approval or execution at the vendor, and stays so until then",
    EventKind.DONE: "; done after {0.elapsed:.1f} s and {0.attempts} attempts",
    EventKind.LEFT: "; {0.call.name} ends before the batch does",
}
"""The rest of the summary, after the batch or the error, for `str.format`."""
