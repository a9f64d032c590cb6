"""The documents, and the Python blocks in them that run by themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(*example.groups(""), id=f"{path.stem}-{number}")
    for path in DOCUMENTS
    for number, example in enumerate(PYTHON.finditer(path.read_text(encoding="utf-8")))
]
"""The code of each, and what it prints."""
