"""The service: it follows tracked batches until they have ended, and delivers every change at least once.

    watcher = Watcher(Store(), [Shop(api_key=...)], deliver=to_url("https://example.com/hook"))
    await watcher.run(stop)

Any number of processes may run it over one store: they share the batches, the pace and the deliveries.
"""

from typing import TYPE_CHECKING

from batchstatus._lazy import lazy_names

if TYPE_CHECKING:
    from .deliveries import Delivery, DeliveryFailed, to_stream, to_url
    from .folders import default_path
    from .health import Health
    from .observers import ClaimUpdate, DeliveryAttempt
    from .signing import SecretSource
    from .store import Change, Claim, Destination, Overview, Pending, Store, StorePace, Tracked
    from .watcher import Watcher, paced

__all__ = [
    "Change",
    "Claim",
    "ClaimUpdate",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryFailed",
    "Destination",
    "Health",
    "Overview",
    "Pending",
    "SecretSource",
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
        "deliveries": ("Delivery", "DeliveryFailed", "to_stream", "to_url"),
        "folders": ("default_path",),
        "health": ("Health",),
        "observers": ("ClaimUpdate", "DeliveryAttempt"),
        "signing": ("SecretSource",),
        "store": ("Change", "Claim", "Destination", "Overview", "Pending", "Store", "StorePace", "Tracked"),
        "watcher": ("Watcher", "paced"),
    },
)
