"""A vendor is named in its own files and where it is registered, and nowhere else in the facade."""

from __future__ import annotations

import re
from pathlib import Path

import batchstatus
from batchstatus.vendors import VENDORS

FACADE = Path(batchstatus.__file__).parent
REGISTRATION = {FACADE / "__init__.py"}
"""The public names, of which the account classes are some; the entry points stand in pyproject.toml."""


def own_files() -> set[Path]:
    return {FACADE / folder / f"{name}.py" for folder in ("vendors", "testing/simulator") for name in VENDORS}


def named(folder: Path) -> list[str]:
    """Return the lines that name a vendor, as `file:line: text`; "believed" is a word of its own."""
    names = re.compile(rf"(?i:{'|'.join(VENDORS)})(?![a-z])")
    return [
        f"{path.relative_to(folder)}:{number}: {line.strip()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and path not in own_files() | REGISTRATION
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if names.search(line)
    ]


def test_nothing_else_names_a_vendor():
    assert named(FACADE) == []


def test_a_name_is_found(tmp_path):
    (tmp_path / "a.py").write_text('x = 1\nKEY = "BELIEVE_API_KEY"  # and GameballHook\nbelieved = True\n')
    assert named(tmp_path) == ['a.py:2: KEY = "BELIEVE_API_KEY"  # and GameballHook']


def test_the_vendors_files_are_where_they_belong():
    assert all(path.is_file() for path in own_files())
