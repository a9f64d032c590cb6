"""`examples/pytest_app/`: its tests pass, and fail if the application is wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "pytest_app"


@pytest.fixture
def tried(tmp_path, environ):
    """A function that changes the application in a copy, and returns what its tests say."""
    shutil.copytree(EXAMPLE, tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))

    def tried(old: str = "", new: str = "") -> str:
        application = tmp_path / "app" / "imports.py"
        right = application.read_text()
        assert old in right
        application.write_text(right.replace(old, new) if old else right)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        ended = subprocess.run(command, cwd=tmp_path / "app", env=environ, capture_output=True, text=True, check=False)
        return ended.stdout

    return tried


def test_its_tests_pass(tried):
    assert "5 passed" in tried()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("row.outcome = batch.state", 'row.outcome = "succeeded"'),
        ("failure in batch.failures", "failure in ()"),
        ("except WaitTimeout", "except ZeroDivisionError as error:\n        pass\n    except KeyError"),
    ],
    ids=["state", "items", "timeout"],
)
def test_its_tests_notice_a_fault(tried, old, new):
    said = tried(old, new)
    assert "1 failed" in said
    assert "4 passed" in said
