"""What the steps of a wait cost: with 1 to 10,000 accounts, and with placed polls against plain rounds.

Costs are CPU times of one process, the least of some rounds that are taken in turn: what else runs only adds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

from _report import Figure
from _world import UTC0, World, body, play, refs, schedule
from batchstatus import BatchRef, EventKind, PollPolicy, RateLimit
from batchstatus._core.pacing import PaceState
from batchstatus._core.wait.queue import Queue

ROUNDS = 5
READS = 10_000
BATCHES = 10_000
ACCOUNTS = (1, 100, 10_000)
RATE = RateLimit(1_000)


def figures() -> Iterator[Figure]:
    steps = {accounts: [] for accounts in ACCOUNTS}
    placed: dict[tuple[bool, bool], list[float]] = {}
    for _ in range(ROUNDS):
        for accounts, spent in steps.items():
            spent.append(cost(accounts))
        for has_counts in (True, False):
            for placement in (False, True):
                spent = placed.setdefault((has_counts, placement), [])
                spent.append(cost(1, placement=placement, has_counts=has_counts))
    one = min(steps[1])
    for accounts, spent in steps.items():
        what = f"CPU for each read of a wait for {BATCHES:,} batches, {accounts:>6,} accounts"
        yield Figure(what, min(spent) * 1e6, unit="us")
        yield Figure(f"{what}, of one account", min(spent) / one, 2.0 if accounts > 1 else None)
    for has_counts in (True, False):
        plain, with_placement = min(placed[has_counts, False]), min(placed[has_counts, True])
        what = f"CPU for each read, {'with' if has_counts else 'without'} counts: placed polls, of plain rounds"
        yield Figure(what, with_placement / plain, 1.3)
    ends = {accounts: min(end_cost(accounts) for _ in range(ROUNDS)) for accounts in (1, 10_000)}
    yield Figure("CPU for each batch that is open when the wait is stopped, 1 account", ends[1] * 1e6, unit="us")
    yield Figure("the same with 10,000 accounts, of one account", ends[10_000] / ends[1], 2.0)


def waiting(accounts: int, **policy: Any):
    spacing = PaceState.of_limit(RATE).spacing * accounts  # the same rate for all of them together
    queues = [Queue(World(), PaceState(spacing)) for _ in range(accounts)]
    by_ref: dict[BatchRef, Queue] = {ref: queues[n % accounts] for n, ref in enumerate(refs(BATCHES))}
    return schedule(by_ref, list(by_ref), poll=PollPolicy(**policy))


def cost(accounts: int, *, placement: bool = True, has_counts: bool = True) -> float:
    """Return the CPU seconds for each read from the second round on, in which readings have a past."""
    wait = waiting(accounts, placement=placement)
    read, began = 0, 0.0

    def answer(poll, now):
        nonlocal read, began
        read += 1
        if read == BATCHES:
            gc.collect()
            began = time.process_time()
        return body(s="r", p=min(int(now / 2), 99)) if has_counts else body(s="r")

    play(wait, answer, takes=lambda: 0.1, until=lambda _: read >= BATCHES + READS)
    return (time.process_time() - began) / READS


def end_cost(accounts: int) -> float:
    """Return the CPU seconds for each batch that ends since the wait is stopped."""
    wait = waiting(accounts)
    wait.stop()
    gc.collect()
    began = time.process_time()
    ended, is_over = 0, False
    while not is_over:
        is_over = wait.step(0.0, UTC0) is None
        ended += sum(event.kind is EventKind.DONE for event in wait.events)
        wait.events.clear()
    assert ended == BATCHES
    return (time.process_time() - began) / BATCHES
