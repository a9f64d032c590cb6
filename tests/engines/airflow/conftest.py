"""An Airflow in a folder of its own, and the simulated vendors."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_home import connections, settings
from batchstatus.testing.simulator import Simulator

# Before anything imports Airflow: it reads its settings then.
HOME = Path(tempfile.mkdtemp(prefix="airflow-"))
os.environ |= settings(HOME)


def pytest_configure(config) -> None:
    for about in ("", ":airflow", ":sqlalchemy", ":starlette", ":fastapi"):
        for category in ("DeprecationWarning", "PendingDeprecationWarning", "UserWarning"):
            config.addinivalue_line("filterwarnings", f"ignore::{category}{about}")
    config.addinivalue_line("filterwarnings", "ignore::ResourceWarning")


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture
def simulator(monkeypatch) -> Iterator[Simulator]:
    """Both vendors, without rate limits, and connections to them."""
    with Simulator(limits=False) as simulator:
        for name, value in connections(simulator).items():
            monkeypatch.setenv(name, value)
        yield simulator
