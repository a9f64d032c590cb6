"""When an account may be asked again: one slot for every attempt, evenly spaced, no bursts. No I/O, no clock.

Slots are spaced at 0.9 of the vendor's limit. At 1.0 the jitter of arrivals trips an exact limiter all the same:
measured, 8 % of the reads were answered 429, and none at 0.9.
"""

from __future__ import annotations

from math import inf
from typing import ClassVar

from attrs import define

from .policies import RateLimit

SHARE_OF_LIMIT = 0.9
MAX_SLOWNESS = 16.0
"""How many times its usual spacing a pace takes, at most, while a vendor keeps answering 429."""
UNCONFIRMED = 60.0
"""Seconds: a longer Retry-After closes an account for so long only, unless it is said twice in a row."""
RECOVERY = 0.95
"""The factor of the slowness after each response but a 429: half of it is left after 14."""


@define
class PaceState:
    """The pacing rules of one account, behind every Pace. It is plain data: a Pace keeps it wherever it likes.

    All times are seconds of one clock, which the keeper of the state chooses.
    """

    is_local: ClassVar[bool] = True
    MAX_AHEAD: ClassVar[float] = 60.0
    """Seconds ahead that a pace on a wall clock books at most: a slot further ahead shows a clock that was set back."""
    DRIFT: ClassVar[float] = 0.01
    """Seconds by which the two clocks of a machine may drift apart in a pause."""

    TOO_LATE: ClassVar[float] = 0.5
    """Of a spacing: a slot that is used later than that would come too close to one that another process has."""
    LATE: ClassVar[float] = 0.1
    """Of a spacing: a slot that is used later than that puts off the next one, which would come too soon after it."""

    spacing: float
    """Seconds between two slots."""
    last: float = -inf
    """The slot that was booked last, or the time of a later use."""
    slowness: float = 1.0
    """By how much the spacing is multiplied after 429s, from 1.0 to 16.0."""
    closed_until: float = -inf
    """Until when a 429 has closed the account."""
    closed_for: float = 0.0
    """Seconds that this 429 has asked for."""
    long_ones: int = 0
    """How many 429s in a row have asked for more than a minute: one alone is not believed."""
    free: tuple[float, ...] = ()
    """Booked slots that were given back, the earliest first."""

    @classmethod
    def of_limit(cls, limit: RateLimit) -> PaceState:
        """Return the state of an account that was never asked."""
        return cls(limit.seconds / (limit.requests * SHARE_OF_LIMIT))

    def next_slot(self, now: float) -> float:
        """Return when the next slot is: the first one that was given back, or the one after the last."""
        earliest = max(now, self.closed_until)
        new = max(earliest, self.last + self.spacing * self.slowness)
        if not self.free:
            return new
        return next((slot for slot in self.free if earliest <= slot < new), new)

    def book(self, slot: float) -> None:
        """Book the slot that `next_slot` returned."""
        self.last = max(self.last, slot)
        if self.free:
            self.free = tuple(other for other in self.free if other > slot)

    def book_block(self, slot: float, until: float, most: int) -> list[float]:
        """Book the slot that `next_slot` returned, and the new ones after it until then, `most` in all; return them."""
        self.book(slot)
        slots, step = [slot], self.spacing * self.slowness
        while self.last == slots[-1] and self.last + step <= until and len(slots) < most:
            slots.append(self.last + step)
            self.last = slots[-1]
        return slots

    def release(self, slot: float) -> None:
        """Give back a booked slot that will not be used, as the read was cancelled; another one may take it."""
        self.free = tuple(sorted((*self.free, slot)))

    def reserve(self, now: float, before: float) -> float | None:
        """Book the next slot and return the seconds until it; None, and no booking, if it is not before `before`."""
        slot = self.next_slot(now)
        if slot >= before:
            return None
        self.book(slot)
        return slot - now

    def begin(self, slot: float, now: float) -> bool:
        """Use a booked slot; return False if it is void, since a 429 has closed the account meanwhile."""
        if now < self.closed_until:
            return False
        # Not of the slowed spacing: until the next slot is booked, the slowness may be gone.
        if now - slot > self.LATE * self.spacing:
            self.last = max(self.last, now)
        return True

    def is_overtaken(self, slot: float, now: float) -> bool:
        """Return whether a slot is so late that it would come too close to one that another process has booked."""
        return now - slot > self.TOO_LATE * self.spacing * self.slowness and self.last > slot + self.DRIFT

    def refused(self, now: float, pause: float) -> float:
        """Close for `pause` seconds after a 429, and slow down: once for all that were in flight together.

        Returns:
            For how many seconds it is closed: 60 at most, unless a 429 before this one has asked for more, too.
        """
        if now >= self.closed_until:
            self.slowness = min(self.slowness * 2.0, MAX_SLOWNESS)
            self.long_ones = self.long_ones + 1 if pause > UNCONFIRMED else 0
            self.free = ()  # they are as close as before
        if self.long_ones < 2:
            pause = min(pause, UNCONFIRMED)
        if now + pause > self.closed_until:
            self.closed_until, self.closed_for = now + pause, pause
        return self.closed_until - now

    @property
    def is_well(self) -> bool:
        """Whether a response but a 429 changes nothing: the rate is normal."""
        return self.slowness == 1.0 and not self.long_ones

    def accepted(self) -> None:
        """Any response but a 429: recover towards the normal rate."""
        self.slowness = max(self.slowness * RECOVERY, 1.0)
        self.long_ones = 0

    def repair(self, now: float) -> bool:
        """Undo the effects of a wall clock that was set back, so that nothing is further ahead than it can be.

        Returns:
            Whether there were any.
        """
        is_last_wrong = self.last > now + self.MAX_AHEAD + self.DRIFT
        is_closing_wrong = self.closed_until > now + self.closed_for + self.MAX_AHEAD
        if is_last_wrong:
            self.last, self.free = -inf, ()
        if is_closing_wrong:
            self.closed_until = now + self.closed_for
        return is_last_wrong or is_closing_wrong


class NoPace:
    """No pace: every moment before the deadline is a slot."""

    is_local = True

    def reserve(self, now: float, before: float) -> float | None:
        """Return no wait."""
        return 0.0 if now < before else None

    def begin(self, slot: float, now: float) -> bool:  # noqa: ARG002 (the protocol's signature)
        """Every slot is valid."""
        return True

    def release(self, slot: float) -> None:
        """Change nothing."""

    def refused(self, now: float, pause: float) -> float:  # noqa: ARG002 (the protocol's signature)
        """Change nothing."""
        return pause

    def accepted(self) -> None:
        """Change nothing."""
