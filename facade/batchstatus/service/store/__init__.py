"""Tracked batches, every change of theirs that was seen, and an outbox: one SQLite file that processes share."""

from .durations import Past
from .leases import Claim
from .pace import StorePace
from .records import Change, Destination, Tracked
from .schema import is_system_error
from .store import Store, default_path

__all__ = [
    "Change",
    "Claim",
    "Destination",
    "Past",
    "Store",
    "StorePace",
    "Tracked",
    "default_path",
    "is_system_error",
]
