"""The pytest fixture `fake_vendors`, and recordings; pytest finds them if batchstatus is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from . import FakeVendors


# Its asserts are to say what they compared, like those of any test.
pytest.register_assert_rewrite("batchstatus.testing.vendor_tests")


@pytest.fixture
def fake_vendors() -> Iterator[FakeVendors]:
    """Vendors that follow the test's scripts; at its end every step must have been read."""
    # Here, not at the top: every run of pytest loads this module.
    from . import FakeVendors  # noqa: PLC0415

    vendors = FakeVendors()
    yield vendors
    vendors.assert_played()


@pytest.hookimpl(optionalhook=True)
def pytest_recording_configure(config: pytest.Config, vcr: Any) -> None:  # noqa: ARG001 (pytest-recording's hook)
    """Let pytest-recording record and replay what the clients of this package send."""
    from .vcr import PATCHES  # noqa: PLC0415

    vcr._custom_patches = (*vcr._custom_patches, *PATCHES)  # noqa: SLF001 (vcrpy has no other way to add to them)
