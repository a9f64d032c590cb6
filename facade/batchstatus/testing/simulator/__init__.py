"""All vendors' APIs on loopback, over real HTTP: authentication, lifecycles, error bodies, rate limits, quirks.

    with Simulator() as simulator, BatchClient(*simulator.accounts()) as client:
        ref = simulator.add("gameball", total=200, failed=2, seconds=10)
        client.get(ref)

It needs the extra `simulator` (Starlette and uvicorn).
"""

from typing import TYPE_CHECKING

from batchstatus._lazy import lazy_names

if TYPE_CHECKING:
    from .believe import BELIEVE_KEY, BELIEVE_KEY_WITHOUT_SCOPE
    from .gameball import GAMEBALL_KEY, GAMEBALL_SECRET
    from .model import Quirk
    from .server import Simulator

__all__ = ["BELIEVE_KEY", "BELIEVE_KEY_WITHOUT_SCOPE", "GAMEBALL_KEY", "GAMEBALL_SECRET", "Quirk", "Simulator"]

# FakeVendors use the bodies without Starlette and uvicorn.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "believe": ("BELIEVE_KEY", "BELIEVE_KEY_WITHOUT_SCOPE"),
        "gameball": ("GAMEBALL_KEY", "GAMEBALL_SECRET"),
        "model": ("Quirk",),
        "server": ("Simulator",),
    },
)
