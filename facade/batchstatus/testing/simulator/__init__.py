"""All vendors' APIs on loopback, over real HTTP: authentication, lifecycles, error bodies, rate limits, quirks.

    with Simulator() as simulator, BatchClient(*simulator.accounts()) as client:
        ref = simulator.add("shop", total=200, failed=2, seconds=10)
        client.get(ref)

It needs the extra `simulator` (Starlette and uvicorn).
"""

from typing import TYPE_CHECKING

from batchstatus._lazy import lazy_names

if TYPE_CHECKING:
    from .model import (
        Query,
        Quirk,
        SimulatedBatch,
        SimulatedVendor,
        Words,
        simulated_vendors,
        spell,
        timestamp,
        word_for,
    )
    from .server import Simulator

__all__ = [
    "Query",
    "Quirk",
    "SimulatedBatch",
    "SimulatedVendor",
    "Simulator",
    "Words",
    "simulated_vendors",
    "spell",
    "timestamp",
    "word_for",
]

# FakeVendors use the bodies without Starlette and uvicorn.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "model": (
            "Query",
            "Quirk",
            "SimulatedBatch",
            "SimulatedVendor",
            "Words",
            "simulated_vendors",
            "spell",
            "timestamp",
            "word_for",
        ),
        "server": ("Simulator",),
    },
)
