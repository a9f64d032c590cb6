"""The wheel, the sdist, and an environment with the wheel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from wheels import build, environment, only


@pytest.fixture(scope="session")
def dist(tmp_path_factory) -> Path:
    """The folder with the sdist of the checkout, and the wheel that was built from it: DIST of `make release-check`."""
    if "DIST" in os.environ:
        return Path(os.environ["DIST"])
    return build(tmp_path_factory.mktemp("dist")).parent


@pytest.fixture(scope="session")
def wheel(dist) -> Path:
    return only(dist, "*.whl")


@pytest.fixture(scope="session")
def application(wheel, tmp_path_factory) -> Path:
    """The Python of a fresh environment with the wheel and what it requires, at the locked versions, and no extra."""
    return environment(tmp_path_factory.mktemp("application"), wheel)
