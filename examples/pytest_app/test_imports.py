"""Its tests, without a network or keys; waits of minutes take no time. `fake_vendors` comes with batchstatus."""

import pytest
from batchstatus import BatchNotFound, TransportError
from batchstatus.testing import FakeVendors, reading, refusal
from imports import Import, settle

REF = "gameball:1748392"


def test_an_import_succeeds(fake_vendors: FakeVendors) -> None:
    fake_vendors.script(REF, "pending", "processing", reading("completed", total=200, failed=2))
    row = Import(REF)
    with fake_vendors.client() as client:
        settle(client, row)
    assert row.outcome == "succeeded"
    assert row.complaints == ["refused", "refused"]


def test_an_import_fails(fake_vendors: FakeVendors) -> None:
    fake_vendors.script(REF, reading("failed", total=2, failed=2))
    row = Import(REF)
    with fake_vendors.client() as client:
        settle(client, row)
    assert row.outcome == "failed"


def test_an_outage_is_waited_out(fake_vendors: FakeVendors) -> None:
    fake_vendors.script(REF, 503, refusal(429, retry_after=60), TransportError, "completed")
    row = Import(REF)
    with fake_vendors.client() as client:
        settle(client, row)
    assert row.outcome == "succeeded"
    assert fake_vendors.clock.now > 60


def test_a_slow_import_goes_on(fake_vendors: FakeVendors) -> None:
    fake_vendors.script(REF, *["processing"] * 8, "completed")
    row = Import(REF)
    with fake_vendors.client() as client:
        settle(client, row, timeout=5)
        assert row.outcome == "open"
        settle(client, row)
    assert row.outcome == "succeeded"


def test_an_unknown_import_is_told(fake_vendors: FakeVendors) -> None:
    fake_vendors.script(REF, 404)
    with fake_vendors.client() as client, pytest.raises(BatchNotFound):
        settle(client, Import(REF))
