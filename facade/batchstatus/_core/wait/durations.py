"""How long batches take: a table of hazards, learned from readings and from past durations. No I/O, no clock.

A hazard is the share of the open batches that end in the next second. In each bin of age stand the seconds for which
batches were seen open (the exposure) and how many ended: their quotient is the hazard (Nelson and Aalen). A reading
says only that an end lies between two readings. Such an end is divided among the bins in between as they make it likely
so far, which is a step of expectation maximization: with readings at different ages the table becomes sharp.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from batchstatus._core.errors import ConfigurationError
from batchstatus._core.policies import MAX_SECONDS

PRIOR = 0.5
"""Ends with which each bin begins: what nothing is known of counts as half a batch."""
CONFIDENT = 100
"""Ends of the running wait from which on a batch may be left alone for longer: a wrong past has shown by then."""
RISK = 0.009
"""A batch may be left alone for longer as long as the probability that it ends meanwhile is at most this."""
MAX_WEIGHT = 1_000
"""Ends after which all that was learned is halved: durations change, and the table follows."""
HISTORY_WEIGHT = 30
"""Batches as which the past counts at most once the wait itself has seen one end: a past that is wrong by a factor of 8
is outweighed soon."""
KNOWN = 20
"""Ends from which on intervals and the expected end follow the table."""
LEAST_SHARE = 0.001
"""Ages at which fewer batches ended are not shown at the two ends of a distribution."""
FACTOR = 1.3
"""From bin to bin; 1.12 made lateness no better."""


class HazardTable:
    """Ends and exposure in bins."""

    __slots__ = ("_ends", "_exposure", "own", "weight")

    EDGES: ClassVar[tuple[float, ...]]
    """The end of each bin; the last one is infinite."""
    EXPOSURE: ClassVar[tuple[float, ...]]
    """With how much exposure each bin begins."""

    def __init__(self) -> None:
        self._ends = [PRIOR] * len(self.EDGES)
        self._exposure = [*self.EXPOSURE]
        self.own = 0
        """Ends that were recorded here."""
        self.weight = 0.0
        """The same with the past, and without what was forgotten."""

    def record_open(self, start: float, end: float) -> None:
        """Take in that a batch was open from one age to another."""
        if end <= start:
            return
        edges, exposure, bin_ = self.EDGES, self._exposure, bisect_right(self.EDGES, start)
        while (edge := edges[bin_]) < end:
            exposure[bin_] += edge - start
            start = edge
            bin_ += 1
        exposure[bin_] += end - start

    def record_end(self, start: float, end: float) -> None:
        """Take in that a batch which was open at one age had ended at another."""
        if end <= start:
            return
        if not self.own and self.weight > HISTORY_WEIGHT:
            self._scale(HISTORY_WEIGHT / self.weight)
        edges, exposure, ends, bin_ = self.EDGES, self._exposure, self._ends, bisect_right(self.EDGES, start)
        alive, parts = 1.0, []
        while start < end:
            width = min(edges[bin_], end) - start
            after = alive * math.exp(-width * ends[bin_] / exposure[bin_])
            parts.append((bin_, width, alive - after, after))
            alive, start = after, edges[bin_]
            bin_ += 1
        ended = 1.0 - alive
        for bin_, width, here, after in parts:
            share = here / ended if ended else width / sum(part[1] for part in parts)
            ends[bin_] += share
            exposure[bin_] += width * (share / 2 + ((after - alive) / ended if ended else 0.0))
        self.own += 1
        self.weight += 1.0
        if self.weight >= MAX_WEIGHT:
            self._scale(0.5)

    def _scale(self, factor: float) -> None:
        """Let all that was learned count as so much of it."""
        self._ends = [PRIOR + (ends - PRIOR) * factor for ends in self._ends]
        self._exposure = [
            begin + (seen - begin) * factor for begin, seen in zip(self.EXPOSURE, self._exposure, strict=True)
        ]
        self.weight *= factor

    def solve(self, age: float, price: float, near: float, far: float) -> float:
        """Return the s for which s * P(ended within s) is the price.

        Args:
            age: From which on it counts.
            price: In the unit of s.
            near: The longest s.
            far: The same while an end is improbable, if enough is known to say so.
        """
        edges, exposure, ends, bin_ = self.EDGES, self._exposure, self._ends, bisect_right(self.EDGES, age)
        limit = far if self.own >= CONFIDENT else near
        s, alive = 0.0, 1.0
        while True:
            edge = edges[bin_] - age
            top = edge if edge < limit else limit  # noqa: FURB136 (a call costs more)
            width = top - s
            after = alive / (1.0 + width * ends[bin_] / exposure[bin_])  # nearly exp, and cheaper
            if top > near < limit and after < 1.0 - RISK:
                limit = near if near > s else s  # noqa: FURB136 (a call costs more)
                continue
            if top * (1.0 - after) >= price:
                # In the bin the probability is linear: x * (lost + slope * x) is the price.
                slope = (alive - after) / width
                lost = 1.0 - alive - slope * s
                root: float = (lost * lost + 4.0 * slope * price) ** 0.5
                return 2.0 * price / (root + lost) if lost > 0.0 else (root - lost) / (2.0 * slope)
            if edge >= limit:
                return limit
            s, alive = top, after
            bin_ += 1


class AgeTable(HazardTable):
    """Hazards by age: 56 bins from 1 second to 16 days. Nothing known, the hazard is 0.5 / age."""

    __slots__ = ("price", "price_until")
    EDGES = (*(FACTOR**n for n in range(55)), math.inf)
    EXPOSURE = tuple(max(FACTOR ** (n - 0.5), 0.5) * PRIOR / 0.5 for n in range(56))

    def __init__(self) -> None:
        super().__init__()
        self.price = 0.0
        """The price of a poll without congestion; see `interval`."""
        self.price_until = 0
        """How many ends it holds for."""

    @property
    def is_known(self) -> bool:
        """Whether it says more than the rules that know nothing."""
        return self.weight >= KNOWN

    def alive(self, age: float, later: float) -> float:
        """Return the probability that a batch which is open at one age is open at a later one."""
        edges, hazard, bin_ = self.EDGES, 0.0, bisect_right(self.EDGES, age)
        while age < later:
            hazard += (min(edges[bin_], later) - age) * self._ends[bin_] / self._exposure[bin_]
            age = edges[bin_]
            bin_ += 1
        return math.exp(-hazard)

    def remaining(self, age: float) -> float:
        """Return the seconds after which as many batches of this age have ended as have not."""
        edges, left, at, bin_ = self.EDGES, math.log(2), age, bisect_right(self.EDGES, age)
        while True:
            hazard = self._ends[bin_] / self._exposure[bin_]
            if (edges[bin_] - at) * hazard >= left:
                return at + left / hazard - age
            left -= (edges[bin_] - at) * hazard
            at = edges[bin_]
            bin_ += 1


class RestTable(HazardTable):
    """Hazards by the time since a reading, in units of the rest that it predicted: 40 bins from 0.02.

    So the error of the prediction is learned. Nothing known, half of the batches take longer than predicted, and 8 of
    9 longer than half of it: the log-logistic distribution, with the hazard 3u^2 / (1 + u^3).
    """

    __slots__ = ()
    EDGES = (*(0.02 * FACTOR**n for n in range(39)), math.inf)
    EXPOSURE = tuple(PRIOR * (1 + u**3) / (3 * u**2) for u in (0.02 * FACTOR ** (n - 0.5) for n in range(40)))


class Durations:
    """How long past batches took, from their beginning to their end: what a wait can take as `history`.

    It takes 2 KB, however many there were, and keeps shares by age, not the single values. A wait takes a copy, and
    goes on learning in that.

    Args:
        seconds: Durations, each above 0 and at most 30 years.

    Raises:
        ConfigurationError: One is not a duration.
    """

    __slots__ = ("_table",)

    def __init__(self, seconds: Iterable[float] = ()) -> None:
        self._table = AgeTable()
        for each in seconds:
            self.add(each)

    @property
    def batches(self) -> int:
        """From how many batches it has learned."""
        return self._table.own

    def add(self, seconds: float, earliest: float | None = None) -> None:
        """Add the duration of a batch.

        Args:
            seconds: After how many seconds it had ended.
            earliest: After how many it was seen open last; default: the duration is exact.
        """
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= MAX_SECONDS:
            raise ConfigurationError(f"a duration is a positive number of seconds, not {seconds!r:.40}")
        open_until = seconds * (1 - 1e-6) if earliest is None else min(max(earliest, 0.0), seconds * (1 - 1e-6))
        self._table.record_open(0.0, open_until)
        self._table.record_end(open_until, seconds)

    def share_ended(self, seconds: float) -> float:
        """Return which share of the batches ended within so many seconds, from 0.0 to 1.0."""
        return 1.0 - self._table.alive(0.0, seconds)

    def remaining(self, age: float = 0.0) -> float | None:
        """Return in how many seconds half of the batches of this age have ended; None if too little is known."""
        return self._table.remaining(age) if self._table.is_known else None

    @property
    def shares(self) -> list[tuple[float, float]]:
        """Which share of the batches ended up to each age, since the age before it, from the first to the last one."""
        ends = [ends - PRIOR for ends in self._table._ends]  # noqa: SLF001 (its own kind)
        total = sum(ends)
        found = [(edge, here / total) for edge, here in zip(AgeTable.EDGES, ends, strict=True)] if total else []
        seen = [n for n, (_, share) in enumerate(found) if share >= LEAST_SHARE]
        return found[seen[0] : seen[-1] + 1] if seen else []

    def table(self) -> AgeTable:
        """Return what a wait goes on learning in."""
        table = AgeTable()
        table._ends, table._exposure = [*self._table._ends], [*self._table._exposure]  # noqa: SLF001 (its own kind)
        table.weight = self._table.weight
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values: for each bin of age its end, the ends and the seconds of exposure."""
        table = self._table
        learned = [
            [float(f"{ends - PRIOR:.4g}"), float(f"{seen - begin:.4g}")]
            for ends, seen, begin in zip(table._ends, table._exposure, table.EXPOSURE, strict=True)  # noqa: SLF001
        ]
        return {"batches": table.own, "weight": table.weight, "bins": learned}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return it from the values of `to_dict`; raise ConfigurationError if they are not that."""
        found = cls()
        table = found._table
        try:
            for n, (ends, seen) in enumerate(fields["bins"]):
                table._ends[n] += _amount(ends)  # noqa: SLF001
                table._exposure[n] += _amount(seen)  # noqa: SLF001
            table.own, table.weight = int(fields["batches"]), _amount(fields["weight"])
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise ConfigurationError(f"these are not the values of Durations.to_dict ({error})") from None
        return found

    def __repr__(self) -> str:
        return f"Durations({self.batches} batches)"


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r:.40} is not an amount")
    return float(value)
