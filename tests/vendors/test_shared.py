"""Our vendors pass the tests that a third party's pass: `batchstatus.testing.vendor_tests`."""

from __future__ import annotations

from batchstatus.testing.simulator.believe import SimulatedBelieve
from batchstatus.testing.simulator.gameball import SimulatedGameball
from batchstatus.testing.vendor_tests import VendorTests


class TestBelieve(VendorTests):
    vendor = SimulatedBelieve()


class TestGameball(VendorTests):
    vendor = SimulatedGameball()
