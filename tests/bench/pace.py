"""What a vendor's own limiter sees when 1,000 batches are added at once and arrivals jitter by 0 to 90 ms."""

from __future__ import annotations

import random
from collections.abc import Iterator

from _report import Figure
from _world import ENDED, RUNNING, World, play, refs, schedule
from batchstatus import Believe, Gameball
from batchstatus._core.pacing import PaceState
from batchstatus._core.read.messages import Response
from batchstatus._core.wait.queue import Queue
from batchstatus.testing.simulator.model import simulated_vendors

BATCHES = 1_000
JITTER = 0.09
TOO_MANY = Response(status=429, headers={}, body=b"")


def figures() -> Iterator[Figure]:
    for vendor in (Believe, Gameball):
        limits = simulated_vendors()[vendor.vendor].LIMITS
        arrivals, refused = arrive(PaceState.of_limit(vendor.RATE_LIMIT).spacing, limits)
        yield Figure(f"{BATCHES} {vendor.vendor} batches at once: answered 429, of {len(arrivals):,} reads", refused, 0)
        for most, span in limits:
            found = fullest(arrivals, span)
            yield Figure(f"{BATCHES} {vendor.vendor} batches at once: most in any {span:.0f} s", found, most)


def arrive(gap: float, limits: tuple[tuple[int, float], ...]) -> tuple[list[float], int]:
    """Return when each read arrived, and how many of them an exact limiter refused."""
    draw = random.Random(7)
    wait = schedule(Queue(World(), PaceState(gap)), refs(BATCHES))
    arrivals: list[float] = []
    seen: dict[str, int] = {}
    refused = 0

    def answer(read, now):
        nonlocal refused
        arrivals.append(now)
        if any(len([at for at in arrivals[-most - 1 :] if at > now - span]) > most for most, span in limits):
            refused += 1
            return TOO_MANY
        seen[read.progress.ref.id] = seen.get(read.progress.ref.id, 0) + 1
        return ENDED if seen[read.progress.ref.id] == 3 else RUNNING

    play(wait, answer, takes=lambda: 2 * draw.uniform(0, JITTER))
    return arrivals, refused


def fullest(arrivals: list[float], span: float) -> int:
    """Return the most arrivals in any window of so many seconds."""
    ordered, first, most = sorted(arrivals), 0, 0
    for last, at in enumerate(ordered):
        while ordered[first] <= at - span:
            first += 1
        most = max(most, last - first + 1)
    return most
