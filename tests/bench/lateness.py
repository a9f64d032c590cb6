"""How late an end is noticed by plain rounds, when more batches wait than their account's pace can read at once."""

from __future__ import annotations

import random
from collections.abc import Iterator

from _report import Figure
from _world import ENDED, RUNNING, World, play, refs, schedule
from batchstatus import Believe, PollPolicy
from batchstatus._core.pacing import PaceState
from batchstatus._core.wait.progress import BatchProgress
from batchstatus._core.wait.queue import Queue

ENDS = 30_000
ANSWER = 0.2
CYCLES = 10
"""A batch takes up to so many sweeps over all of them."""


def figures() -> Iterator[Figure]:
    for number in (300, 1_000, 3_000, 10_000, 30_000, 100_000):
        bound = number * PaceState.of_limit(Believe.RATE_LIMIT).spacing / 2 + ANSWER / 2
        yield Figure(
            f"mean lateness under a full pace, {number:>7,} batches, of N/(2R) + half an answer",
            mean(number) / bound,
            1.03,
        )


def mean(number: int) -> float:
    draw = random.Random(number)
    gap = PaceState.of_limit(Believe.RATE_LIMIT).spacing
    longest, sweep = CYCLES * number * gap, number * gap
    queue = Queue(World(), PaceState(gap))
    wait = schedule(queue, refs(number), poll=PollPolicy(placement=False))
    ends = {ref: draw.uniform(0, longest) for ref in refs(number)}
    late: list[float] = []

    def answer(read, now):
        ref = read.progress.ref
        if now < ends[ref]:
            return RUNNING
        if now > sweep:  # from the second sweep on
            late.append(now + ANSWER / 2 - ends[ref])
        ends[ref] = now + draw.uniform(0, longest)
        queue.add(BatchProgress(ref, now), now)  # another batch in its place
        wait.open += 1
        return ENDED

    play(wait, answer, takes=lambda: ANSWER, until=lambda _: len(late) >= ENDS)
    return sum(late) / len(late)
