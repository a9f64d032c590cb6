"""For tests of applications that use batchstatus: scripted vendors, a clock of their own, and a simulator over HTTP."""

from ._clock import FakeClock
from ._script import Step, failure, reading, refusal
from ._vendors import FakeVendors

__all__ = ["FakeClock", "FakeVendors", "Step", "failure", "reading", "refusal"]
