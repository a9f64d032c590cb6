"""The simulated vendors in a process of their own, with their rate limits: `temporal_vendors.py BATCHES`.

It prints one line of JSON: the environment for accounts, and the refs. A line on its input, and it prints what it was
asked: the refusals for too many requests, the most that it answered in a second, and when each batch ended.
"""

from __future__ import annotations

import json
import sys
import time

from counting import Counting


def busiest(times: list[float]) -> int:
    """Return the most requests in any second."""
    most = first = 0
    for index, at in enumerate(times):
        while times[first] <= at - 1.0:
            first += 1
        most = max(most, index - first + 1)
    return most


def main(batches: int) -> None:
    with Counting() as simulator:
        ends = {}
        for number in range(batches):
            seconds = 20.0 + number
            ref = simulator.add(("gameball", "believe")[number % 2], seconds=seconds)
            ends[str(ref)] = time.time() + seconds
        sys.stdout.write(json.dumps({"environment": simulator.environment(), "ends": ends}) + "\n")
        sys.stdout.flush()
        sys.stdin.readline()
        told = {
            "too_many": simulator.too_many,
            "reads": len(simulator.reads),
            "busiest": {limit: busiest(times) for limit, times in simulator.asked.items()},
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
