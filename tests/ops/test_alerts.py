"""Prometheus' rules: promtool takes them, and each alert comes when it should, and only then."""

from __future__ import annotations

import shutil

import pytest
import yaml
from tools import DEPLOY, run

RULES = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
ALERTS = [rule["alert"] for rule in RULES["groups"][0]["rules"]]


def test_prometheus_takes_the_rules():
    assert f"{len(ALERTS)} rules found" in run("promtool", "check", "rules", DEPLOY / "alerts.yml")


def test_each_alert_comes_and_none_while_all_is_well():
    assert "SUCCESS" in run("promtool", "test", "rules", DEPLOY / "alerts_test.yml")


@pytest.mark.parametrize("expression", ["vector(1)", "vector(1) > 1"], ids=["always", "never"])
@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_that_is_wrong_is_noticed(alert, expression, tmp_path):
    """An alert that always comes, or never, fails the tests of the rules."""
    groups = [
        group | {"rules": [rule | {"expr": expression} if rule["alert"] == alert else rule for rule in group["rules"]]}
        for group in RULES["groups"]
    ]
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump({"groups": groups}))
    shutil.copy(DEPLOY / "alerts_test.yml", tmp_path)
    assert alert in run("promtool", "test", "rules", tmp_path / "alerts_test.yml", code=1)
