"""For tests of applications that use batchstatus: scripted vendors, a clock of their own, and a simulator over HTTP."""

from typing import TYPE_CHECKING

from batchstatus._lazy import lazy_names

if TYPE_CHECKING:
    from .fake_clock import FakeClock
    from .fake_vendors import FakeVendors
    from .script import ScriptStep, failure, reading, refusal

__all__ = ["FakeClock", "FakeVendors", "ScriptStep", "failure", "reading", "refusal"]

# Every run of pytest loads this package with its plugin, used or not.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "fake_clock": ("FakeClock",),
        "fake_vendors": ("FakeVendors",),
        "script": ("ScriptStep", "failure", "reading", "refusal"),
    },
)
