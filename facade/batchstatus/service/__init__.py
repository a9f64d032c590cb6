"""The service: it follows tracked batches until they have ended, and delivers every change at least once.

    watcher = Watcher(Store(), [Believe(api_key=...)], deliver=to_url("https://example.com/hook"))
    await watcher.run(stop)

Any number of processes may run it over one store: they share the batches, the pace and the deliveries.
"""

from typing import TYPE_CHECKING

from batchstatus._lazy import lazy_names

if TYPE_CHECKING:
    from .deliveries import Delivery, to_stream, to_url
    from .store import Change, Claim, Destination, Store, StorePace, Tracked, default_path
    from .watcher import Watcher, paced

__all__ = [
    "Change",
    "Claim",
    "Delivery",
    "Destination",
    "Store",
    "StorePace",
    "Tracked",
    "Watcher",
    "default_path",
    "paced",
    "to_stream",
    "to_url",
]

# Whoever only tracks batches does not load the watcher.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "deliveries": ("Delivery", "to_stream", "to_url"),
        "store": ("Change", "Claim", "Destination", "Store", "StorePace", "Tracked", "default_path"),
        "watcher": ("Watcher", "paced"),
    },
)
