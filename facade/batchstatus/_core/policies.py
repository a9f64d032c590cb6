"""Limits and policies a caller can set."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from attrs import field, frozen
from attrs.validators import optional

from .errors import ConfigurationError

MAX_SECONDS = 10**9
"""Seconds; sockets and timers overflow beyond some hundred years."""


def seconds(name: str, value: object) -> float:
    """Return a time span in seconds; raise ConfigurationError unless it is a positive number, of 30 years at most."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_SECONDS:
        shown = repr(value)[:40] if isinstance(value, (float, str)) else type(value).__name__
        raise ConfigurationError(f"{name} must be a positive number of seconds, such as 90.0, not {shown}")
    return float(value)


def _seconds(_: Any, attribute: Any, value: Any) -> None:
    seconds(attribute.name, value)


def _grace(_: Any, attribute: Any, value: Any) -> None:
    if value != 0 or isinstance(value, bool):
        seconds(f"{attribute.name}, if not 0,", value)


def _positive_int(_: Any, attribute: Any, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{attribute.name} must be a whole number of at least 1, not {value!r}")


def _bool(_: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{attribute.name} is True or False, not {value!r:.40}")


@frozen
class RateLimit:
    """How many requests a vendor takes from one account in how many seconds.

    Reads are spaced evenly at 0.9 of it, whatever number of clients, threads and tasks of the process share the
    account's credential.
    """

    requests: int = field(validator=_positive_int)
    seconds: float = field(default=1.0, validator=_seconds)


@runtime_checkable
class Pace(Protocol):
    """When an account may be asked; give one instead of a RateLimit to share a pace between processes.

    Every exchange books a slot, uses it, and reports its outcome; retries included. One that is cancelled before
    its slot gives it back. All times are seconds of the client's monotonic clock. By default each credential has a pace
    of its own in each process.

    The methods may do I/O: they are called one after the other in a thread of their own. What they raise, and a call
    that hangs, is a read that fails as PaceUnavailable at its deadline. A pace that answers at once may have an
    attribute `is_local = True`: then they are called in the thread or task that reads, several at a time, and must not
    raise.
    """

    def reserve(self, now: float, before: float) -> float | None:
        """Book the next slot and return the seconds until it; None, and no booking, if it is not before `before`."""

    def begin(self, slot: float, now: float) -> bool:
        """Use a booked slot; return False if it is void, and another has to be booked."""

    def release(self, slot: float) -> None:
        """Give back a booked slot that will not be used, as the read was cancelled."""

    def refused(self, now: float, pause: float) -> float:
        """Record a 429, after which nothing is to be sent for so many seconds; return for how many nothing is."""

    def accepted(self) -> None:
        """Record any other response."""


@runtime_checkable
class AsyncPace(Protocol):
    """A Pace for an AsyncBatchClient, whose methods are called in a task of the event loop that reads."""

    async def reserve(self, now: float, before: float) -> float | None:
        """Book the next slot and return the seconds until it; None, and no booking, if it is not before `before`."""

    async def begin(self, slot: float, now: float) -> bool:
        """Use a booked slot; return False if it is void, and another has to be booked."""

    async def release(self, slot: float) -> None:
        """Give back a booked slot that will not be used, as the read was cancelled."""

    async def refused(self, now: float, pause: float) -> float:
        """Record a 429, after which nothing is to be sent for so many seconds; return for how many nothing is."""

    async def accepted(self) -> None:
        """Record any other response."""


@frozen(kw_only=True)
class RetryPolicy:
    """How one read is retried.

    Retried are failed transports, HTTP 407, 408, 425, 429 and 5xx, refusals without the vendor's error code, and bodies
    that end too early; nothing else.
    The pause before attempt n + 1 is drawn evenly from 0 to min(max_delay, first_delay * 2**(n - 1)), unless the
    vendor sent a Retry-After: then it is that, or `max_retry_after` if it is longer.
    """

    attempts: int = field(default=4, validator=_positive_int)
    """HTTP exchanges in one read, the first included."""
    first_delay: float = field(default=0.5, validator=_seconds)
    """Seconds."""
    max_delay: float = field(default=8.0, validator=_seconds)
    """Seconds."""
    attempt_timeout: float = field(default=60.0, validator=_seconds)
    """Seconds for one exchange, from its connection to the last byte of its body."""
    max_body: int = field(default=16 * 1024 * 1024, validator=_positive_int)
    """Bytes of a body, as sent and as decompressed; a larger one is an InvalidResponse."""
    max_retry_after: float = field(default=3600.0, validator=_seconds)
    """Seconds."""

    def backoff(self, attempt: int, random: float) -> float:
        """Return the pause in seconds after the given attempt (from 1), for a random number from 0 to 1."""
        # The exponent is bounded, since a float overflows long before a patient caller's last attempt.
        return random * min(self.max_delay, self.first_delay * 2.0 ** min(attempt - 1, 60))


@frozen(kw_only=True)
class PollPolicy:
    """When a wait reads next, and what it takes to end it before the batch has ended.

    The next read follows the vendor's Retry-After; else the end that processed and total predict; else a gap that
    grows with the time since the last change, from `floor` over a plateau of 12 s to `ceiling`. An outage ends no
    wait, however long it is: the caller's timeout does.
    """

    floor: float = field(default=1.0, validator=_seconds)
    """Seconds: the shortest gap between two reads of a batch."""
    ceiling: float = field(default=30.0, validator=_seconds)
    """Seconds: the longest gap, but for a Retry-After."""
    settle: float = field(default=10.0, validator=_grace)
    """Seconds for which a wait goes on if the counts contradict that a batch has succeeded; 0: not at all."""
    not_found_grace: float = field(default=15.0, validator=_grace)
    """Seconds for which a new batch may be unknown to the vendor, until the account has been read."""
    startup_grace: float = field(default=30.0, validator=_grace)
    """Seconds after which an unknown host, a refused certificate, a page or a refusal without the vendor's error body
    ends a wait whose account has never been read in it."""
    refusal_grace: float = field(default=60.0, validator=_grace)
    """Seconds over which the vendor must have refused at least 3 times in a row, to end a wait whose account has been
    read in it."""
    placement: bool = field(default=True, validator=_bool)
    """Whether polls go where ends are likely if more batches are due than the pace allows, and intervals follow what
    was learned of other batches. False: to the batch polled longest ago, and intervals grow with the age."""
    in_flight: int | None = field(default=None, validator=optional(_positive_int))
    """Polls in flight at once, at most; default: 32 in threads, 256 in tasks."""

    def __attrs_post_init__(self) -> None:
        if self.ceiling < self.floor:
            raise ConfigurationError(f"ceiling must be at least floor ({self.floor}), not {self.ceiling}")
