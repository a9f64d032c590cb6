"""The pytest fixture; pytest finds it by itself where batchstatus is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import FakeVendors


@pytest.fixture
def fake_vendors() -> Iterator[FakeVendors]:
    """Both vendors of batchstatus, as the test scripts them; at its end every step has to have been read."""
    # Here, not at the top: every run of pytest loads this module.
    from . import FakeVendors  # noqa: PLC0415

    vendors = FakeVendors()
    yield vendors
    vendors.assert_played()
