"""The metrics of a running service: promtool takes them, and the rules ask for series that are there."""

from __future__ import annotations

import re
import urllib.request

import pytest
import yaml
from batchstatus.service.store import Store
from service import serving
from tools import DEPLOY, run
from waiting import until


@pytest.fixture
def metrics(user, simulator, tmp_path):
    """The metrics of a service that has read batches of both vendors, and delivered changes."""
    store = tmp_path / "store.sqlite3"
    refs = [simulator.add(vendor, seconds=600) for vendor in ("gameball", "believe") for _ in range(3)]
    with Store(store) as tracking:
        tracking.track(refs)
        with serving(user, tmp_path, "--store", store, "--deliver", "-") as service:
            until(lambda: all(tracked.read_at for tracked in tracking.tracked()))
            until(lambda: 'batchstatus_outbox_changes{destination="stdout"} 0.0' in read(service.url))
            yield read(service.url)


def read(url):
    with urllib.request.urlopen(f"{url}metrics") as response:
        return response.read().decode()


def test_prometheus_takes_the_metrics(metrics):
    """No complaint about a name, a unit or a missing help."""
    assert run("promtool", "check", "metrics", stdin=metrics) == ""


def test_no_id_is_a_label(metrics):
    """Of labels there are few, whose values are few."""
    labels = set(re.findall(r'(\w+)="', metrics))
    assert labels <= {"account", "destination", "le", "outcome", "state", "vendor", "version"}
    assert "1748" not in metrics
    assert "be11e7e0" not in metrics


def test_the_rules_ask_for_series_that_are_there(metrics):
    rules = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"][0]["rules"]
    asked = {name for rule in rules for name in re.findall(r"batchstatus_\w+", rule["expr"])}
    named = set(re.findall(r"^# TYPE (\w+)", metrics, re.MULTILINE)) | set(re.findall(r"^(\w+)", metrics, re.MULTILINE))
    assert len(asked) > 10
    assert asked <= named
