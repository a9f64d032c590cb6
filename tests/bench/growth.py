"""Growth: 100,000 batches in 1,000 accounts, waited for by 20 workers that share each account's pace; virtual clock.

The schedules and the rules of the pace are the real ones; the pace answers at once, as if its server cost no time. The
vendor counts exactly, when a request arrives: 10 in any second from one account.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Iterator
from datetime import timedelta

from _report import Figure
from _world import ENDED, RUNNING, UTC0, World, schedule
from batchstatus import BatchRef, Believe, EventKind, PollPolicy, Response
from batchstatus._core.pacing import PaceState
from batchstatus._core.read.messages import StepResult
from batchstatus._core.wait.queue import Queue
from batchstatus._core.wait.schedule import Schedule, StartPoll

ACCOUNTS, BATCHES, WORKERS = 1_000, 100, 20
LONGEST = 300.0
"""Seconds that a batch takes, at most: all are at a random age at first."""
WARM, SECONDS = 25.0, 30.0
"""Seconds before ends count, in which all are read a first time; and how long it goes on."""
ANSWER = (0.1, 0.25)
"""Seconds that an answer takes, half of it there and half back: requests overtake each other by 0.075 s.

What 0.9 of the limit leaves room for is 0.1 s at Believe; with answers of 0.3 s here 7 of 460,888 were 429.
"""


class Share:
    """One worker's way to a pace that all share, as `batchstatus.paces` has it: a slot that is overtaken is void."""

    is_local = True

    def __init__(self, state: PaceState) -> None:
        self._state = state
        self._has_yielded = False
        self.reserve, self.release = state.reserve, state.release
        self.refused, self.accepted = state.refused, state.accepted

    def begin(self, slot: float, now: float) -> bool:
        self._has_yielded = self._state.is_overtaken(slot, now) and not self._has_yielded
        return not self._has_yielded and self._state.begin(slot, now)


class Vendor:
    """Counts the requests of each account in any second."""

    def __init__(self) -> None:
        limit = Believe.RATE_LIMIT
        self.arrived: dict[int, deque[float]] = {}
        self.too_many, self.asked = 0, 0
        self._limit, self._seconds = limit.requests, limit.seconds

    def take(self, account: int, now: float) -> None:
        self.asked += 1
        last = self.arrived.setdefault(account, deque(maxlen=self._limit))
        if len(last) == self._limit and now - last[0] < self._seconds:
            self.too_many += 1
        else:
            last.append(now)


class Fleet:
    """The workers, and what they see of the ends."""

    def __init__(self, accounts: int) -> None:
        self.vendor = Vendor()
        self.late: list[float] = []
        self._draw = random.Random(1)
        paces = [PaceState.of_limit(Believe.RATE_LIMIT) for _ in range(accounts)]
        self._ends: dict[BatchRef, tuple[int, float]] = {}
        """The account of each batch, and when it ends."""
        self._waits = [self._wait(worker, paces) for worker in range(WORKERS)]
        self._agenda: list[tuple[float, int, int, StartPoll | None, bytes | None]] = []
        """Steps of a worker, arrivals of a request, and answers."""
        self._due = [0.0] * WORKERS
        self._order = 0

    def _wait(self, worker: int, paces: list[PaceState]) -> Schedule:
        queues = [Queue(World(), Share(pace)) for pace in paces]
        by_ref = {
            BatchRef("believe", f"{account}-{batch}"): queue
            for batch in range(worker, BATCHES, WORKERS)
            for account, queue in enumerate(queues)
        }
        for ref in by_ref:
            self._ends[ref] = int(ref.id.partition("-")[0]), self._draw.random() * LONGEST
        # Three places in flight for each account, as answers take up to 0.25 s and slots are 0.11 s apart. A poll that
        # has to wait for a place is late, up to half of that; with the jitter on top, 3 of 461,749 were answered 429.
        return schedule(by_ref, list(by_ref), poll=PollPolicy(in_flight=3 * len(paces)))

    def play(self, seconds: float) -> None:
        for worker in range(WORKERS):
            self._plan(0.0, worker)
        while self._agenda[0][0] < seconds:
            now, _, worker, poll, content = heapq.heappop(self._agenda)
            if poll is None:
                if now >= self._due[worker]:
                    self._step(worker, now)
            elif content is None:
                self.vendor.take(self._ends[poll.progress.ref][0], now)
            else:
                self._take(worker, poll, content, now)
                self._step(worker, now)

    def _plan(self, at: float, worker: int, poll: StartPoll | None = None, content: bytes | None = None) -> None:
        self._order += 1
        heapq.heappush(self._agenda, (at, self._order, worker, poll, content))

    def _step(self, worker: int, now: float) -> None:
        """Take all steps of a worker that are due, and plan its next one."""
        wait = self._waits[worker]
        while isinstance(step := wait.step(now, UTC0 + timedelta(seconds=now)), StartPoll):
            took = self._draw.uniform(*ANSWER)
            arrives, end = now + took / 2, self._ends[step.progress.ref][1]
            self._plan(arrives, worker, step)
            self._plan(now + took, worker, step, ENDED if arrives >= end else RUNNING)
        wait.events.clear()
        if step is not None:
            self._due[worker] = now + max(step.seconds, 1e-6)
            self._plan(self._due[worker], worker)

    def _take(self, worker: int, poll: StartPoll, content: bytes, now: float) -> None:
        answer = Response(status=200, headers={}, body=content)
        self._waits[worker].take_result(poll, StepResult(answer, now, UTC0 + timedelta(seconds=now)))
        end = self._ends[poll.progress.ref][1]
        if end > WARM and any(event.kind is EventKind.DONE for event in self._waits[worker].events):
            self.late.append(now - end)


def figures() -> Iterator[Figure]:
    fleet = Fleet(ACCOUNTS)
    fleet.play(WARM + SECONDS)
    vendor, late = fleet.vendor, sorted(fleet.late)
    what = f"{ACCOUNTS * BATCHES:,} batches in {ACCOUNTS:,} accounts, {WORKERS} workers"
    bound = BATCHES * PaceState.of_limit(Believe.RATE_LIMIT).spacing / 2
    yield Figure(f"{what}: answers 429, of {vendor.asked:,}", vendor.too_many, 0)
    yield Figure(f"{what}: mean lateness, of N/(2R) of an account", sum(late) / len(late) / bound, 1.2)
    yield Figure(f"{what}: p95 of the lateness", late[int(0.95 * len(late))], unit="s")
    yield Figure(f"{what}: longest lateness", late[-1], unit="s")
