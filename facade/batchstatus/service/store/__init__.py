"""Tracked batches, every change of theirs that was seen, and an outbox: one SQLite file that processes share."""

from .durations import Past
from .leases import Claim
from .outbox import NoLongerThere
from .overview import Group, Overview, RecentChange
from .pace import StorePace
from .records import KINDS, Change, Destination, Pending, Tracked
from .schema import is_system_error
from .store import Store, checked_kinds, default_path

__all__ = [
    "KINDS",
    "Change",
    "Claim",
    "Destination",
    "Group",
    "NoLongerThere",
    "Overview",
    "Past",
    "Pending",
    "RecentChange",
    "Store",
    "StorePace",
    "Tracked",
    "checked_kinds",
    "default_path",
    "is_system_error",
]
