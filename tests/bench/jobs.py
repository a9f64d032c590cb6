"""Reads per job, and how late its end is noticed, against the waiters of other SDKs and the libraries for retries.

A waiter has its published default. The libraries for retries have none for waiting: they would give up after some
attempts, or double their pauses for ever. So they wait without an end, and tenacity's pauses end at 20 s, as
google-api-core's do. A fixed gap is given as many reads as batchstatus takes, which no waiter knows in advance.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Callable, Iterator
from itertools import accumulate, chain, repeat
from typing import TypeAlias

from _report import Figure
from _world import World, body, play, refs, schedule
from batchstatus import Durations
from batchstatus._core.pacing import NoPace
from batchstatus._core.wait.queue import Queue

JOBS = 2_000
PAST = 300
Job: TypeAlias = Callable[[float], int | None]
"""What share of it is done at a time, in per cent; None where it does not say. It has ended at 100."""


def google(draw: random.Random) -> Iterator[float]:
    """google-api-core's default polling: a delay drawn from 0 to d, where d grows from 1 s by 1.5 up to 20 s."""
    delay = 1.0
    while True:
        yield draw.uniform(0.0, delay)
        delay = min(delay * 1.5, 20.0)


def azure(_: random.Random) -> Iterator[float]:
    """azure-core's LROBasePolling: 30 s, unless a response says otherwise."""
    return repeat(30.0)


def openai(_: random.Random) -> Iterator[float]:
    """openai's `poll` methods: 1 s, unless a response says otherwise."""
    return repeat(1.0)


def tenacity(draw: random.Random) -> Iterator[float]:
    """tenacity's wait_exponential_jitter, up to 20 s: 1 s, doubled each time, and up to a second more."""
    return (min(2.0**n + draw.uniform(0.0, 1.0), 20.0) for n in chain(range(10), repeat(10)))


def stamina(draw: random.Random) -> Iterator[float]:
    """stamina's default pauses: 0.1 s, doubled each time, and up to a second more; 5 s at most."""
    return (min(0.1 * 2.0**n + draw.uniform(0.0, 1.0), 5.0) for n in chain(range(10), repeat(10)))


def with_gap(end: float, reads: float) -> float:
    """Return the fixed gap that takes so many reads for a job, on the average."""
    return end / max(reads - 1.5, 0.5)


def botocore(_: random.Random) -> Iterator[float]:
    """botocore's waiters, most of which wait 15 s between two reads."""
    return repeat(15.0)


def with_progress(draw: random.Random) -> tuple[float, Job]:
    """Each per cent takes its share of the whole, times N(1, 0.2); the whole takes up to 600 s."""
    whole = draw.uniform(0, 600)
    times = list(accumulate(max(0.0, draw.gauss(1, 0.2)) * whole / 100 for _ in range(100)))
    return times[-1], lambda now: bisect.bisect_right(times, now)


def uniform(draw: random.Random) -> tuple[float, Job]:
    end = draw.uniform(0, 600)
    return end, lambda now: 100 if now >= end else None


def log_uniform(draw: random.Random) -> tuple[float, Job]:
    end = math.exp(draw.uniform(0, math.log(600)))
    return end, lambda now: 100 if now >= end else None


def lognormal(draw: random.Random) -> tuple[float, Job]:
    end = draw.lognormvariate(math.log(300), 0.3)
    return end, lambda now: 100 if now >= end else None


def ours(end: float, job: Job, history: Durations | None = None) -> tuple[int, float]:
    wait = schedule(Queue(World(), NoPace()), refs(1), history=lambda _: history)
    reads = 0

    def answer(read, now):
        nonlocal reads
        reads += 1
        done = job(now)
        counts = {} if done is None else {"p": done}
        return body(s="e" if now >= end else "r", **counts)

    late = play(wait, answer) - end
    return reads, late


def theirs(gaps: Iterator[float], end: float) -> tuple[int, float]:
    now, reads = 0.0, 1
    while now < end:
        now += next(gaps)
        reads += 1
    return reads, now - end


def average(results: list[tuple[int, float]]) -> tuple[float, float]:
    reads, late = zip(*results, strict=True)
    return sum(reads) / len(reads), sum(late) / len(late)


PEERS = (google, botocore, azure, openai, tenacity, stamina)


def figures() -> Iterator[Figure]:
    for kind in (with_progress, uniform, log_uniform, lognormal):
        jobs = [kind(random.Random(number)) for number in range(JOBS)]
        name = f"a job {kind.__name__.replace('_', ' ')}" if kind is with_progress else f"ends {kind.__name__}"
        peers = {}
        for peer in PEERS:
            draw = random.Random(0)
            peers[peer] = average([theirs(peer(draw), end) for end, _ in jobs])
            yield Figure(f"{name}: {peer.__name__}, reads", peers[peer][0])
            yield Figure(f"{name}: {peer.__name__}, lateness", peers[peer][1], unit="s")
        most = (17.0, 1.0) if kind is with_progress else peers[google]
        reads, late = average([ours(*job) for job in jobs])
        gap = with_gap(sum(end for end, _ in jobs) / JOBS, reads)
        even = average([theirs(repeat(gap), end) for end, _ in jobs])
        yield Figure(f"{name}: a fixed gap of {gap:.1f} s, reads", even[0])
        yield Figure(f"{name}: a fixed gap of {gap:.1f} s, lateness", even[1], unit="s")
        yield Figure(f"{name}: batchstatus, reads", reads, most[0])
        yield Figure(f"{name}: batchstatus, lateness", late, most[1], "s")
        if kind is lognormal:
            past = Durations(kind(random.Random(-number))[0] for number in range(1, PAST + 1))
            learned, soon = average([ours(*job, past) for job in jobs])
            yield Figure(f"{name}: batchstatus with {PAST} past durations, reads", learned, reads)
            yield Figure(f"{name}: batchstatus with {PAST} past durations, lateness", soon, 3.5, "s")
