"""Simulated batches of each kind that a table has to show."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchstatus import BatchRef

    from .server import Simulator


def add_samples(simulator: Simulator, number: int, seconds: float) -> list[BatchRef]:
    """Add batches of all its vendors in turn, which end one after the other, the last one after so many seconds.

    The first one of each vendor has the id of its examples.
    """
    samples = [[(name, sample) for sample in vendor.SAMPLES] for name, vendor in simulator.vendors.items()]
    kinds: list[tuple[str, dict[str, Any]]] = [
        kind for each in itertools.zip_longest(*samples) for kind in each if kind is not None
    ]
    examples = {account.vendor: account.EXAMPLE_ID for account in simulator.accounts()}
    return [
        simulator.add(name, **sample, id=examples.pop(name, None), seconds=seconds * (0.3 + 0.7 * (n + 1) / number))
        for n, (name, sample) in zip(range(number), itertools.cycle(kinds), strict=False)
    ]
