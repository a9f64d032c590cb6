"""The wheel, and an environment with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from wheels import build, environment


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from the checkout."""
    return build(tmp_path_factory.mktemp("wheel"), "--wheel")


@pytest.fixture(scope="session")
def application(wheel, tmp_path_factory) -> Path:
    """The Python of a fresh environment with the wheel and what it requires, at the locked versions, and no extra."""
    return environment(tmp_path_factory.mktemp("application"), wheel)
