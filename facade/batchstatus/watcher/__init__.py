"""Reads what a store tracks until it has ended, and delivers every change: at least once, each with an id of its own.

    watcher = Watcher(Store(), [Believe(api_key=...)], deliver=to_url("https://example.com/hook"))
    await watcher.run(stop)

Any number of processes may do so over one store: they share the batches, the pace and the deliveries.
"""

from ._deliveries import Delivery, to_stream, to_url
from ._watcher import IN_FLIGHT, Watcher, paced

__all__ = ["IN_FLIGHT", "Delivery", "Watcher", "paced", "to_stream", "to_url"]
