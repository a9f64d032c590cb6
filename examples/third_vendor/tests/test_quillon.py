"""Quillon passes the tests of every vendor; here is what is its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from batchstatus import BatchClient, BatchState, ConfigurationError, PermissionDenied
from batchstatus.testing import FakeVendors
from batchstatus.testing.simulator import Simulator
from batchstatus.testing.vendor_tests import VendorTests
from batchstatus_quillon import Quillon
from batchstatus_quillon.simulator import API_KEY, SimulatedQuillon


class TestQuillon(VendorTests):
    vendor = SimulatedQuillon()


def test_a_project_is_needed() -> None:
    with pytest.raises(ConfigurationError, match=r"^Quillon's project is "):
        Quillon(API_KEY, project="")


def test_another_project_is_refused() -> None:
    with Simulator(vendors=[SimulatedQuillon()]) as simulator:
        ref = simulator.add("quillon")
        account = Quillon(API_KEY, project="other", base_url=simulator.url)
        with BatchClient(account) as client, pytest.raises(PermissionDenied, match="check project"):
            client.get(ref)


def test_an_expired_batch_has_failed() -> None:
    """It has ended, and says how far it came."""
    body = {
        "id": "batch_1",
        "status": "expired",
        "created_at": 1737979200,
        "request_counts": {"total": 10, "completed": 6, "failed": 1},
        "errors": {"data": [{"code": "request_failed", "message": "No", "line": 7}]},
    }
    vendors = FakeVendors(vendors=[SimulatedQuillon()])
    vendors.script("quillon:batch_1", "cancelling", body)
    with vendors.client() as client:
        batch = client.wait("quillon:batch_1")
    assert (batch.state, batch.progress) == (BatchState.FAILED, 0.7)
    assert batch.created_at == datetime(2025, 1, 27, 12, tzinfo=UTC)
    (failure,) = batch.failures
    assert (failure.message, failure.code, failure.index) == ("No", "request_failed", 7)
