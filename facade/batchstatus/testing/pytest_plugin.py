"""The pytest fixture `fake_vendors`; pytest finds it if batchstatus is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import FakeVendors


@pytest.fixture
def fake_vendors() -> Iterator[FakeVendors]:
    """Vendors that follow the test's scripts; at its end every step must have been read."""
    # Here, not at the top: every run of pytest loads this module.
    from . import FakeVendors  # noqa: PLC0415

    vendors = FakeVendors()
    yield vendors
    vendors.assert_played()
