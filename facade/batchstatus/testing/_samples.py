"""Simulated batches of both vendors, of each kind that a table has to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchstatus import BatchRef

    from .simulator import Simulator

KINDS: tuple[dict[str, Any], ...] = (
    {"vendor": "gameball", "total": 200},
    {"vendor": "believe"},
    {"vendor": "gameball", "total": 1_000, "failed": 12},
    {"vendor": "gameball", "total": 60, "failed": 60, "ends": "failed"},
    {"vendor": "believe", "ends": "FAILED", "failed": 3},
    {"vendor": "gameball", "total": 480, "ends": "stopped"},
)


def add_samples(simulator: Simulator, number: int, seconds: float) -> list[BatchRef]:
    """Add batches that end one after the other, the last one after so many seconds."""
    return [
        simulator.add(**KINDS[n % len(KINDS)], seconds=seconds * (0.3 + 0.7 * (n + 1) / number)) for n in range(number)
    ]
