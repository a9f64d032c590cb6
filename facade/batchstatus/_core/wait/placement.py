"""Where polls are placed while more batches are due than may be polled: where ends are likely. No I/O, no clock.

Of the batches that are due, the one goes first whose last reading plus its spread is the earliest. The spread s is the
time in which an end becomes so likely that the batch is worth a poll: `s * P(ended within s) = price`, with one price
for all batches of an account. Which batches are due, and how many may be polled, is decided elsewhere: only the order
changes.

Why: with the hazard h and the gap d of each batch mean lateness is sum(h * d / 2), at a rate of sum(1 / d) polls. The
best d goes with 1 / sqrt(h), which is this rule while h * s is small.

A round is the time in which each open batch of an account can be polled once.
"""

from __future__ import annotations

import math

from .durations import AgeTable, Durations, RestTable
from .interval import remaining
from .progress import BatchProgress

NEAR = 1.25
"""Rounds: the longest spread without counts. It bounds how late an end can be that was not to be expected: with 2.0 the
latest was up to 2.0 times as late as by plain rounds, now 1.3."""
FAR = 2.0
"""Rounds: the same if counts, or enough ends in this wait, say that an end is improbable until then."""
FIRST_PRICE = 0.6
"""Rounds: with it each batch is polled about once a round. From 0.3, the spreads that come with the second readings
were too short for the rate, and the latest end of the first rounds was 1.4 times that of plain rounds."""
LEAST_PRICE = 1e-4
GAIN = 2.0
"""The exponent of the load in a whole round. Demand goes with 1 / sqrt(price), so that 2 corrects it in one round."""
MEMORY = 1 / 32
"""The share of a new gap in the mean of the seconds between two polls."""
FIRST_GAP = 1.0
"""Seconds: the first gap counts as no more than that, and a later one as no more than MAX_STEP times the mean, since
the account may have been closed meanwhile."""
MAX_STEP = 4.0


class Placement:
    """The placement of one account's polls, and what it has learned."""

    __slots__ = ("_count", "_demand", "_gap", "_last", "_price", "_rests", "_tables")

    def __init__(self) -> None:
        self._rests = RestTable()
        self._tables: dict[Durations | None, AgeTable] = {}
        self._count = 0
        """How many batches have a spread."""
        self._demand = 0.0
        """The polls a second that these spreads ask for."""
        self._price: float | None = None
        self._gap = 0.0
        """Seconds between two polls, as measured while more were due than could be polled; 0.0: that never was."""
        self._last = -math.inf

    def table(self, history: Durations | None) -> AgeTable:
        """Return the table of the batches that have this history in common."""
        found = self._tables.get(history)
        if found is None:
            found = self._tables[history] = AgeTable() if history is None else history.table()
        return found

    def take_start(self, due: float, now: float) -> None:
        """Take in that a poll starts: its gap counts if the batch was due already when the last one started."""
        if due <= self._last < now:
            gap = now - self._last
            self._gap += (min(gap, MAX_STEP * self._gap) - self._gap) * MEMORY if self._gap else min(gap, FIRST_GAP)
        self._last = now

    def learn(self, progress: BatchProgress, now: float, *, has_ended: bool) -> None:
        """Learn from a reading that is not yet recorded, if it is not the first one of its batch."""
        table, before = progress.durations, progress.last_success_at
        if table is None or progress.state is None:
            return  # a batch that is over when it is first read says nothing of when it ended
        rest = remaining(progress, before)
        if has_ended:
            table.record_end(before - progress.since, now - progress.since)
            if rest:
                self._rests.record_end(0.0, (now - before) / rest)
        else:
            table.record_open(before - progress.since, now - progress.since)
            if rest:
                self._rests.record_open(0.0, (now - before) / rest)

    def spread(self, progress: BatchProgress, now: float, open_batches: int) -> None:
        """Set the spread of a batch after a reading, and move the price towards what the rate allows."""
        table, round_ = progress.durations, open_batches * self._gap
        if table is None or not round_:
            return
        if self._price is None:
            self._price = FIRST_PRICE * round_
        self.forget(progress)
        rest = remaining(progress, now)
        if rest:
            far = FAR * round_ / rest
            spread = rest * self._rests.solve(0.0, self._price / rest, far, far)
        else:
            spread = table.solve(now - progress.since, self._price, NEAR * round_, FAR * round_)
        progress.spread = spread
        self._demand += 1.0 / spread
        self._count += 1
        load = self._demand * self._gap + max(open_batches - self._count, 0) / open_batches
        self._price = min(max(self._price * load ** (GAIN / open_batches), LEAST_PRICE * round_), FAR * round_)

    def forget(self, progress: BatchProgress) -> None:
        """Take a batch out of the demand."""
        if progress.spread:
            self._count -= 1
            self._demand = max(self._demand - 1.0 / progress.spread, 0.0) if self._count else 0.0
            progress.spread = 0.0
