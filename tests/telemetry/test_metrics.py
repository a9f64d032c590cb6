"""The metrics of reads and waits: what they count, and that no id is in their attributes."""

from __future__ import annotations

import pytest
from batchstatus import BatchNotFound
from batchstatus.testing import FakeVendors, reading, refusal
from opentelemetry.sdk.metrics.export import HistogramDataPoint

GAMEBALL = {"batch.vendor": "gameball", "batch.account": "gameball"}


@pytest.fixture
def points(reader, recorded):
    """The metrics of a wait that has all that a wait can have, and of a read that is refused."""
    vendors = FakeVendors()
    slow = reading("pending", seconds=2.0)
    vendors.script("gameball:17482", slow, 503, refusal(429, retry_after=7), "processing", "completed")
    client = reader(vendors=vendors, **recorded.options)
    client.wait("gameball:17482")
    with pytest.raises(BatchNotFound):
        client.get("gameball:40404")
    return recorded.points


def by(points, *names):
    """Return the count of each point by some of its attributes; sum and count of a histogram."""
    return {
        tuple(point.attributes.get(name) for name in names): (
            point.count if isinstance(point, HistogramDataPoint) else point.value
        )
        for point in points
    }


def test_exchanges_are_counted_by_their_responses(points):
    found = by(points["http.client.request.duration"], "http.response.status_code", "error.type")
    assert found == {(200, None): 3, (503, "503"): 1, (429, "429"): 1, (404, "404"): 1}
    (slow,) = [point for point in points["http.client.request.duration"] if point.count == 3]
    assert slow.sum == pytest.approx(2.0)
    assert set(slow.attributes) == {
        "http.request.method", "http.response.status_code", "server.address", "server.port",
    }  # fmt: skip


def test_errors_are_counted_by_their_types(points):
    found = by(points["batch.attempt.errors"], "error.type")
    assert found == {("ServerError",): 1, ("RateLimited",): 1, ("BatchNotFound",): 1}


def test_throttles_are_counted(points):
    assert by(points["batch.throttles"], "batch.vendor") == {("gameball",): 1}


def test_calls_are_timed_by_their_ends(points):
    found = by(points["batch.call.duration"], "batch.call", "batch.state", "error.type")
    assert found == {("wait", "succeeded", None): 1, ("get", None, "BatchNotFound"): 1}


def test_queueing_is_timed(points):
    (point,) = points["batch.attempt.queued"]
    assert (dict(point.attributes), point.count) == (GAMEBALL, 6)


def test_lateness_is_since_the_batch_was_open(points):
    """One end was seen by a wait; a batch that is over when it is first read says nothing."""
    (point,) = points["batch.end.lateness"]
    assert (dict(point.attributes), point.count) == (GAMEBALL, 1)
    assert 1.0 <= point.sum <= 10.0


def test_a_batch_that_is_over_is_not_late(reader, recorded):
    vendors = FakeVendors()
    vendors.script("gameball:1", "completed")
    reader(vendors=vendors, **recorded.options).wait("gameball:1")
    assert "batch.end.lateness" not in recorded.points


def test_no_id_is_in_a_metric(points, recorded):
    """Each would be a time series of its own; not in exemplars either."""
    for each in points.values():
        for point in each:
            assert "batch.ref" not in point.attributes
    assert points
    assert "17482" not in recorded.metrics_json()
    assert "40404" not in recorded.metrics_json()
