"""The trouble of an account is the account's: it is dealt with once, not batch by batch. No I/O, no clock.

After 5 failed polls in a row of at least 3 batches an account is closed; one probe at a time, each of another batch,
finds out when it is well again. A 429 is the business of the account's pace.
"""

from __future__ import annotations

import math

from batchstatus._core.errors import BatchStatusError, ReadError
from batchstatus._core.pacing import UNCONFIRMED
from batchstatus._core.policies import RetryPolicy
from batchstatus._core.read.attempts import bounded_retry_after
from batchstatus._core.values import BatchRef

from .evidence import is_about_account
from .progress import BatchProgress

LEAST_FAILURES = 5
LEAST_BATCHES = 3
MAX_PROBE_PAUSE = 30.0
"""Seconds, after 1, 2, 4, 8 and 16."""
KEY_PROBE_PAUSES = (30.0, 60.0)
"""Seconds, if the vendor refuses the key: a person has to replace it."""
TELL_AGAIN = 60.0
"""Seconds between two messages about an account that fails."""


class Health:
    """The health of one account in a wait."""

    __slots__ = ("_batches", "_failures", "_long_at", "_probes", "_told_at", "error", "held_until", "is_closed",
                 "probe", "probe_at")  # fmt: skip

    def __init__(self) -> None:
        self.is_closed = False
        self.probe: BatchProgress | None = None
        """The batch whose poll is under way to find out whether the account is well again."""
        self.probe_at = 0.0
        self.error: BatchStatusError | None = None
        """Why its last poll failed, if that says nothing about the batch."""
        self._failures = 0
        self._batches: set[BatchRef] = set()
        self._probes = 0
        self.held_until = -math.inf
        """Until when a Retry-After holds the account."""
        self._long_at: float | None = None
        """When a Retry-After was longer than UNCONFIRMED, the first one in a row."""
        self._told_at = -math.inf

    def opens_at(self, last: float = math.inf) -> float:
        """Return when the account may be polled next, its pace apart; infinity while a probe is under way.

        Args:
            last: When the last polls start, which a Retry-After does not put off.
        """
        held_until = min(self.held_until, last)
        if not self.is_closed:
            return held_until
        return math.inf if self.probe is not None else max(self.probe_at, held_until)

    def take_answer(self) -> bool:
        """Take in that the vendor has answered about a batch; return whether the account was closed."""
        was_closed, self.is_closed, self.probe = self.is_closed, False, None
        if self._failures or was_closed:
            self._failures, self._probes = 0, 0
            self._batches.clear()
        self.error = None
        self._long_at = None
        return was_closed

    def take_failure(
        self, ref: BatchRef, error: BatchStatusError, now: float, retry: RetryPolicy, *, duration: float = 0.0
    ) -> bool:
        """Take in a poll that tells nothing about its batch; return whether that closes the account.

        Args:
            ref: The batch.
            error: Why its poll failed.
            now: The time now.
            retry: It has the longest Retry-After.
            duration: Seconds that the poll took.
        """
        self.error = error
        self._hold(error, now, retry, duration)
        self._failures += 1
        if len(self._batches) < LEAST_BATCHES:
            self._batches.add(ref)
        if self.is_closed:
            return False
        self.is_closed = self._failures >= LEAST_FAILURES and len(self._batches) >= LEAST_BATCHES
        if self.is_closed:
            self.plan_probe(now)
        return self.is_closed

    def plan_probe(self, now: float) -> None:
        """Plan the next probe."""
        if self.error is not None and is_about_account(self.error):
            pause = KEY_PROBE_PAUSES[min(self._probes, len(KEY_PROBE_PAUSES) - 1)]
        else:
            pause = min(2.0 ** min(self._probes, 10), MAX_PROBE_PAUSE)
        self._probes += 1
        self.probe_at = now + pause

    def is_worth_telling(self, now: float) -> bool:
        """Return whether a failure is told: the first one, and then one a minute."""
        if now - self._told_at < TELL_AGAIN:
            return False
        self._told_at = now
        return True

    def _hold(self, error: BatchStatusError, now: float, retry: RetryPolicy, duration: float) -> None:
        asked = bounded_retry_after(error, retry) if isinstance(error, ReadError) else None
        if asked is None:
            self._long_at = None
            return
        is_said_again = self._long_at is not None and now - duration >= self._long_at  # not by one in flight with it
        if asked <= UNCONFIRMED:
            self._long_at = None
        elif self._long_at is None:
            self._long_at = now
        if asked <= UNCONFIRMED or is_said_again:  # else its batch alone waits for so long
            self.held_until = max(self.held_until, now + asked)
