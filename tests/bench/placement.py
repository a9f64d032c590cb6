"""How late ends are noticed under a full pace with placed polls, of N/(2R), next to plain rounds and to an oracle.

Each batch is read when it is created, and followed by another one of its world when it has ended. At the beginning all
are somewhere between their beginning and their end. Measured are the ends from the second round on, for 20 rounds.

    .venv/bin/python tests/bench/placement.py docs/explanation/placement.svg    draws the figure of the page beside it
"""

from __future__ import annotations

import heapq
import math
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attrs import define, frozen

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent)]

from _report import Figure
from _world import ENDED, UTC0, World, body, play, schedule
from batchstatus import Batch, BatchRef, BatchState, Believe, Counts, Durations, PollPolicy
from batchstatus._core.pacing import PaceState
from batchstatus._core.wait.progress import BatchProgress
from batchstatus._core.wait.queue import Queue

ANSWER = 0.2
ROUNDS = 20
PAST = 300
"""Durations of the past, where there is one."""
GAP = PaceState.of_limit(Believe.RATE_LIMIT).spacing


@define
class Job:
    """A batch of the world."""

    begins: float
    ends: float
    shape: float
    kind: int = 0

    def count(self, world: Kind, now: float) -> int | None:
        share = (now - self.begins) / (self.ends - self.begins)
        return world.count(self, share) if world.count is not None else None


Count = Callable[[Job, float], int | None]
Draw = Callable[[random.Random, float], tuple[float, int]]
"""How long a batch takes, in a world with rounds of so many seconds, and its kind."""


@frozen
class Kind:
    """A world: how long its batches take, what they tell, and what is known of the past."""

    name: str
    draw: Draw
    count: Count | None = None
    past: float | None = None
    """By which factor the past is wrong; None: there is none."""
    mean: float | None = None
    """The goal for the mean, of N/(2R), or of plain rounds if there are no counts."""
    knows_kinds: bool = False


def evenly(draw: random.Random, round_: float) -> tuple[float, int]:
    return draw.uniform(1, 10) * round_, 0


def uniform(draw: random.Random, round_: float) -> tuple[float, int]:
    return draw.uniform(0, 10) * round_, 0


def lognormal(draw: random.Random, round_: float) -> tuple[float, int]:
    return draw.lognormvariate(math.log(10 * round_), 0.3), 0


def bimodal(draw: random.Random, _: float) -> tuple[float, int]:
    return (5.0, 0) if draw.random() < 0.5 else (600.0, 0)


def exponential(draw: random.Random, round_: float) -> tuple[float, int]:
    return draw.expovariate(1 / (5 * round_)), 0


def four_kinds(draw: random.Random, _: float) -> tuple[float, int]:
    kind = draw.randrange(4)
    return (30, 120, 600, 1_800)[kind] * draw.lognormvariate(0, 0.1), kind


def even_count(_: Job, share: float) -> int:
    return int(100 * share)


WORLDS = (
    Kind("counts, even", evenly, even_count, mean=0.2),
    Kind("counts, drifting speed", evenly, lambda job, share: int(100 * share**job.shape), mean=0.35),
    Kind("counts of half of them", evenly, lambda job, share: int(100 * share) if job.shape < 1 else None, mean=0.65),
    Kind("counts in steps of 20 %", evenly, lambda _, share: int(5 * share) * 20, mean=0.75),
    Kind("no counts, uniform", uniform),
    Kind("no counts, lognormal 0.3", lognormal),
    Kind("no counts, lognormal 0.3, known past", lognormal, past=1.0),
    Kind("no counts, half 5 s and half 600 s", bimodal, mean=0.5),
    Kind("no counts, exponential", exponential, mean=1.03),
    Kind("no counts, four kinds", four_kinds),
    Kind("no counts, four kinds, known past of each", four_kinds, past=1.0, knows_kinds=True),
    Kind("no counts, past 8 times too long", lognormal, past=8.0, mean=1.05),
    Kind("no counts, past 8 times too short", lognormal, past=1 / 8, mean=1.05),
)
FULL_PACE = (300, 1_000)
MANY = ((100, 300, 5), (10_000, 3, 4))
"""Accounts, batches in each, and rounds; with 10,000 the polls in flight are the limit, not the pace."""


@frozen
class Late:
    """Seconds by which ends were noticed late."""

    mean: float
    p95: float
    max: float
    oracle: float


def run(
    world: Kind, number: int, *, accounts: int = 1, rounds: int = ROUNDS, round_: float = 0.0, **policy: Any
) -> Late:
    """Play a world with so many batches at each account."""
    draw = random.Random(number)
    round_ = round_ or number * GAP
    past = _past(world, round_)
    waiting = [BatchRef("believe", f"{account}-{n}") for n in range(number) for account in range(accounts)]
    kinds: dict[BatchRef, int] = {}
    jobs: dict[BatchRef, Job] = {}

    def submit(ref: BatchRef, now: float) -> Job:
        takes, kind = world.draw(draw, round_)
        kinds[ref] = kind
        jobs[ref] = Job(now, now + takes, draw.choice((0.5, 0.7, 1.4, 2.0)), kind)
        return jobs[ref]

    for ref in waiting:
        job = submit(ref, 0.0)
        gone = draw.random() * (job.ends - job.begins)
        job.begins, job.ends = job.begins - gone, job.ends - gone
    queues = [Queue(World(), PaceState(GAP)) for _ in range(accounts)]
    by_ref = {ref: queues[n % accounts] for n, ref in enumerate(waiting)}
    history = None if world.past is None else lambda ref: past[kinds[ref] if world.knows_kinds else 0]
    wait = schedule(by_ref, waiting, poll=PollPolicy(**policy), history=history)
    late: list[float] = []
    ends: list[float] = []

    def answer(read, now):
        ref = read.progress.ref
        job = jobs[ref]
        if now < job.ends:
            count = job.count(world, now)
            return body(s="r", c=job.begins) if count is None else body(s="r", c=job.begins, p=min(count, 99))
        if now > round_:
            late.append(now + ANSWER / 2 - job.ends)
            ends.append(job.ends)
        job = submit(ref, now)
        progress = BatchProgress(ref, now)
        count = job.count(world, now)
        counts = Counts() if count is None else Counts(total=100, processed=count)
        first = {"ref": ref, "state": BatchState.RUNNING, "vendor_status": "r", "read_at": UTC0}
        progress.record_poll(Batch(counts=counts, raw=None, payload=None, **first), now)
        if read.queue.placement is not None:
            progress.durations = read.queue.placement.table(history and history(ref))
            read.queue.placement.spread(progress, now, read.queue.open)
        wait.open, read.queue.open = wait.open + 1, read.queue.open + 1
        read.queue.add(progress, now)
        return ENDED

    play(wait, answer, takes=lambda: ANSWER, until=lambda now: now > (rounds + 1) * round_)
    late.sort()
    return Late(sum(late) / len(late), late[int(0.95 * len(late))], late[-1], oracle(ends, accounts))


def _past(world: Kind, round_: float) -> list[Durations]:
    draw = random.Random(0)
    drawn = [world.draw(draw, round_) for _ in range(4 * PAST)]
    factor = world.past or 1.0
    if not world.knows_kinds:
        return [Durations(takes * factor for takes, _ in drawn[:PAST])]
    return [Durations(takes for takes, kind in drawn if kind == each) for each in range(4)]


def oracle(ends: list[float], accounts: int) -> float:
    """Return the mean lateness of one who knows all ends, and polls each batch at its end or in the next free slot."""
    free = [0.0] * accounts
    late = 0.0
    for end in sorted(ends):
        slot = max(heapq.heappop(free), end)
        heapq.heappush(free, slot + GAP)
        late += slot + ANSWER - end
    return late / len(ends)


def figures() -> Iterator[Figure]:
    for number in FULL_PACE:
        for world in WORLDS:
            yield from compare(world, f"{number:>5,} batches, {world.name}", number * GAP / 2 + ANSWER / 2, number)
    for accounts, number, rounds in MANY:
        round_ = max(number * GAP, accounts * number * ANSWER / 256)
        for world in (WORLDS[0], WORLDS[8]):
            what = f"{accounts:,} accounts of {number} batches, {world.name}"
            options = {"accounts": accounts, "rounds": rounds, "round_": round_}
            yield from compare(world, what, round_ / 2 + ANSWER / 2, number, **options)


def compare(world: Kind, what: str, bound: float, number: int, **options: Any) -> Iterator[Figure]:
    plain, placed = (run(world, number, placement=placement, **options) for placement in (False, True))
    is_own = world.count is not None and "accounts" not in options
    goal = None if "accounts" in options else world.mean  # few rounds of many accounts know little of the past
    yield Figure(f"{what}: mean, of N/(2R)", placed.mean / bound, goal if is_own else None)
    yield Figure(f"{what}: mean, of plain rounds", placed.mean / plain.mean, None if is_own else goal)
    for name in ("mean", "p95", "max"):
        yield Figure(f"{what}: {name} by plain rounds, of N/(2R)", getattr(plain, name) / bound)
    yield Figure(f"{what}: mean by the oracle, of N/(2R)", placed.oracle / bound)
    yield Figure(f"{what}: p95, of plain rounds", placed.p95 / plain.p95)
    yield Figure(f"{what}: max, of plain rounds", placed.max / plain.max, 1.3)


LOADS = (10, 30, 100, 300, 1_000, 3_000)
LOADED = Kind("", lambda draw, _: (draw.uniform(60, 600), 0), even_count)
"""The world of the figure: batches of 1 to 10 minutes that tell counts."""
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 360, 70, 50, 40
SECONDS = (0.1, 1_000.0)
COLOURS = {"plain rounds": "#b5532a", "placed polls": "#1f6f8b"}
LABELS = {"plain rounds": -2, "placed polls": 14}
"""How far below the last point of a line its label is."""


def lateness_by_load() -> dict[str, list[tuple[int, float]]]:
    """Return the mean lateness in seconds by the number of batches, by plain rounds and placed."""
    found: dict[str, list[tuple[int, float]]] = {}
    for name, placement in (("plain rounds", False), ("placed polls", True)):
        for number in LOADS:
            rounds = max(ROUNDS, round(900 / (number * GAP)))
            found.setdefault(name, []).append((number, run(LOADED, number, rounds=rounds, placement=placement).mean))
    return found


def x_of(number: float) -> float:
    share = math.log(number / LOADS[0]) / math.log(LOADS[-1] / LOADS[0])
    return LEFT + share * (WIDTH - LEFT - 140)


def y_of(seconds: float) -> float:
    share = math.log(seconds / SECONDS[0]) / math.log(SECONDS[1] / SECONDS[0])
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def svg(lines: dict[str, list[tuple[int, float]]]) -> str:
    """Return the figure: lateness against the number of batches, both in logarithms."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" style="font: 12px sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22">Mean seconds from the end of a batch to the poll that sees it</text>',
    ]
    for number in LOADS:
        x = x_of(number)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{number:,}</text>')
    for seconds in (0.1, 1, 10, 100, 1_000):
        y = y_of(seconds)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{x_of(LOADS[-1]):.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{seconds:g} s</text>')
    middle = (LEFT + x_of(LOADS[-1])) / 2
    caption = "batches of 1 to 10 minutes at one Believe account"
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{caption}</text>')
    for name, points in lines.items():
        colour = COLOURS[name]
        path = " ".join(f"{x_of(number):.1f},{y_of(seconds):.1f}" for number, seconds in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x_of(n):.1f}" cy="{y_of(s):.1f}" r="3.5" fill="{colour}"/>' for n, s in points]
        last = points[-1]
        label = f'<text x="{x_of(last[0]) + 8:.1f}" y="{y_of(last[1]) + LABELS[name]:.1f}" fill="{colour}">'
        parts.append(f"{label}{name}: {last[1]:.0f} s</text>")
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    drawn = lateness_by_load()
    for name, points in drawn.items():
        print(name, ", ".join(f"{number:,}: {seconds:.2f} s" for number, seconds in points))
    Path(sys.argv[1]).write_text(svg(drawn), encoding="utf-8")
