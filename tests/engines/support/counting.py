"""A simulator that keeps how often it was asked too much."""

from __future__ import annotations

import time

from batchstatus.testing.simulator import Simulator


class Counting(Simulator):
    """Keeps when it was asked, and how often that was too much."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[int, list[float]] = {}
        """When, by the requests that the vendor takes in a second."""
        self.too_many = 0

    def _is_over(self, vendor, key):
        is_over = super()._is_over(vendor, key)
        self.too_many += is_over
        self.asked.setdefault(vendor.LIMITS[0][0], []).append(time.monotonic())
        return is_over
