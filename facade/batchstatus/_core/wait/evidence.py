"""How much one answer proves: when a refusal is believed, and when an end is. No I/O, no clock.

One odd answer proves nothing. A refusal without the vendor's own error body may come from anything in between, so it
counts as an outage; the vendor's own is believed at once only if nothing speaks against it yet.
"""

from __future__ import annotations

from enum import Enum

from batchstatus._core.errors import (
    APIError,
    AuthenticationError,
    BadRequest,
    BatchStatusError,
    InvalidResponse,
    PermissionDenied,
    RateLimited,
    ReadError,
)
from batchstatus._core.policies import PollPolicy
from batchstatus._core.read.response import is_outage
from batchstatus._core.values import Batch, BatchRef

LEAST_REFUSALS = 3
"""Own refusals in a row that end a batch that has been read before."""
LEAST_LASTING = 3
"""Failures in a row that time hardly mends."""
LEAST_TOO_LARGE = 3
"""Bodies in a row that are larger than `RetryPolicy.max_body`."""
LOOKS = (2.0, 5.0)
"""Seconds after a terminal reading whose counts contradict it, before `PollPolicy.settle`: when to look again."""
NEXT_LOOK = 5.0
"""Seconds between two looks after that, while the readings still differ."""
ROUNDING = 0.001
"""Seconds."""


class Verdict(Enum):
    """What a failed poll ends."""

    NOTHING = 0
    BATCH = 1
    ACCOUNT = 2
    """All batches of the account."""


class Row:
    """Answers of one kind in a row. An outage within it neither breaks it nor counts, and neither does its time."""

    __slots__ = ("count", "last", "seconds")

    def __init__(self, count: int = 0, seconds: float = 0.0, last: float | None = None) -> None:
        self.count = count
        self.seconds = seconds
        """Between the first of them and the last, outages apart."""
        self.last = last
        """When the last of them came; None if there is none, or an outage came after it."""

    def add(self, now: float) -> None:
        """Add one."""
        self.seconds += 0.0 if self.last is None else now - self.last
        self.count, self.last = self.count + 1, now

    def interrupt(self) -> None:
        """Take in an outage."""
        self.last = None

    def stands(self, least: int, seconds: float) -> bool:
        """Return whether there are so many, over so many seconds."""
        return self.count >= least and self.seconds >= seconds - ROUNDING


class Doubts:
    """What is not believed yet of one batch; most batches have none, which keeps them small."""

    __slots__ = ("refusals", "settling_since", "too_large", "unsettled")

    def __init__(self) -> None:
        self.refusals = Row()
        """The vendor's own, since the last reading."""
        self.too_large = 0
        """Bodies above `max_body`, since anything else came."""
        self.unsettled: Batch | None = None
        """The last reading, if it is terminal and its counts contradict it."""
        self.settling_since = 0.0

    def after_reading(self, batch: Batch) -> Doubts | None:
        """Return what is left to doubt after a reading; None if that is nothing."""
        if self.unsettled is None or batch.is_settled:
            return None
        self.refusals, self.too_large = Row(), 0
        return self

    def settle(self, batch: Batch, is_equal: bool, now: float, poll: PollPolicy) -> float | None:
        """Take in a terminal reading whose counts contradict it.

        Args:
            batch: The reading.
            is_equal: Whether it is equal to the one before.
            now: The time now.
            poll: For how long such a reading is doubted.

        Returns:
            The seconds until the next look; None if the reading stands.
        """
        if self.unsettled is None:
            self.settling_since = now
        self.unsettled = batch
        age = now - self.settling_since
        if age >= poll.settle - ROUNDING and (is_equal or not poll.settle):
            return None
        before = 0.0
        for look in (*LOOKS, poll.settle):
            if age + ROUNDING < look <= poll.settle:
                # The next look does not come at once because the last one was late.
                return max(look - age, min(look - before, LOOKS[0]))
            before = look
        return NEXT_LOOK


def is_refusal(error: BatchStatusError) -> bool:
    """Return whether an error status says more than that there is no answer just now."""
    return isinstance(error, APIError) and not is_outage(error.status_code)


def is_own(error: BatchStatusError) -> bool:
    """Return whether a refusal has the vendor's own error code."""
    return isinstance(error, APIError) and error.code is not None and is_refusal(error)


def is_about_account(error: BatchStatusError) -> bool:
    """Return whether it is the key that is refused, not the batch."""
    return isinstance(error, (AuthenticationError, PermissionDenied))


class AccountEvidence:
    """What the answers of one account prove, from the beginning of a wait on.

    Args:
        is_endless: Whether the wait has no deadline, so that only a batch's own refusals end something in it.
    """

    __slots__ = ("_denied", "has_reading", "is_endless", "lasting", "refusals")

    def __init__(self, *, is_endless: bool = False) -> None:
        self.is_endless = is_endless
        self.has_reading = is_endless
        """Whether the account has been read: its address and its keys are right, then."""
        self.refusals = Row()
        """The vendor's own 401s and 403s since the last reading."""
        self.lasting = Row()
        """Failures, since the vendor's last answer, that time hardly mends: an unknown host, a page, a lack of keys."""
        self._denied: set[BatchRef] = set()
        """Two batches, at most, that were answered an own 403."""

    def take_reading(self) -> None:
        """Take in that a batch could be read."""
        self.has_reading = True
        if self.refusals.count:
            self.refusals = Row()
        self._denied.clear()
        self.take_answer()

    def take_answer(self) -> None:
        """Take in an answer of the vendor, good or bad."""
        if self.lasting.count:
            self.lasting = Row()

    def judge(
        self, ref: BatchRef, error: BatchStatusError, doubts: Doubts, poll: PollPolicy, now: float, *, is_only: bool
    ) -> tuple[Verdict, str]:
        """Take in a failed poll; return what it ends, and why.

        Args:
            ref: The batch.
            error: Why its poll failed.
            doubts: The batch's.
            poll: How long refusals are doubted.
            now: The time now.
            is_only: Whether no other batch of the account is open.
        """
        if not is_own(error):
            doubts.refusals.interrupt()
            self.refusals.interrupt()
        if isinstance(error, RateLimited):  # something is there that counts requests
            self.take_answer()
            return Verdict.NOTHING, ""
        doubts.too_large = doubts.too_large + 1 if isinstance(error, InvalidResponse) and error.is_too_large else 0
        if is_own(error):
            self.take_answer()
            if not isinstance(error, AuthenticationError):  # that one is about the key, whichever batch it came for
                doubts.refusals.add(now)
            if is_about_account(error):
                self.refusals.add(now)
            found = self._judge_own(ref, error, doubts, poll, is_only=is_only)
        else:
            found = self._judge_other(error, doubts, poll, now)
        return found if not self.is_endless or found[0] is Verdict.BATCH else (Verdict.NOTHING, "")

    def _judge_own(
        self, ref: BatchRef, error: BatchStatusError, doubts: Doubts, poll: PollPolicy, *, is_only: bool
    ) -> tuple[Verdict, str]:
        if not self.has_reading:
            return self._judge_first(ref, error, doubts, poll, is_only=is_only)
        again = f"the vendor has refused it for {poll.refusal_grace:.0f} s"
        if is_about_account(error) and self.refusals.stands(LEAST_REFUSALS, poll.refusal_grace):
            return Verdict.ACCOUNT, again
        # A 403 may be about this batch alone, unlike a 401.
        is_key = isinstance(error, AuthenticationError) or (self.is_endless and is_about_account(error))
        if not is_key and doubts.refusals.stands(LEAST_REFUSALS, poll.refusal_grace):
            return Verdict.BATCH, again
        return Verdict.NOTHING, ""

    def _judge_first(
        self, ref: BatchRef, error: BatchStatusError, doubts: Doubts, poll: PollPolicy, *, is_only: bool
    ) -> tuple[Verdict, str]:
        """Judge an own refusal that came before the account was ever read."""
        if isinstance(error, PermissionDenied):
            self._denied.add(ref)
            is_key = is_only or len(self._denied) > 1
        else:
            is_key = isinstance(error, AuthenticationError)
        if is_key:
            return Verdict.ACCOUNT, "the vendor refuses the key"
        if isinstance(error, BadRequest):
            return Verdict.BATCH, "the vendor refuses the id"
        if not is_about_account(error) and doubts.refusals.stands(1, poll.not_found_grace):
            return Verdict.BATCH, f"the vendor has refused it for {poll.not_found_grace:.0f} s"
        return Verdict.NOTHING, ""

    def _judge_other(
        self, error: BatchStatusError, doubts: Doubts, poll: PollPolicy, now: float
    ) -> tuple[Verdict, str]:
        if doubts.too_large >= LEAST_TOO_LARGE:
            return Verdict.BATCH if not self.is_endless else Verdict.NOTHING, f"{doubts.too_large} bodies in a row"
        if is_refusal(error) or not isinstance(error, ReadError) or error.is_lasting:
            self.lasting.add(now)
        elif self.lasting.count:
            self.lasting = Row()
        if not self.has_reading and self.lasting.stands(LEAST_LASTING, poll.startup_grace):
            return Verdict.ACCOUNT, f"nothing else has come for {poll.startup_grace:.0f} s"
        return Verdict.NOTHING, ""
