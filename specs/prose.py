"""A page's prose: its diff, and the tables of ours that stand on its lines."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from sources import Citation


class Report(NamedTuple):
    """The unified diff, the tables that stand on or beside its lines, and the citations that are gone."""

    diff: list[str]
    tables: list[str]
    gone: list[Citation]


def compare(name: str, old: str, new: str, citations: list[Citation]) -> Report:
    """Return the changes between two versions of the prose; that a cited line moved, or its blanks did, is none."""
    before, after = old.splitlines(), new.splitlines()
    diff = list(difflib.unified_diff(before, after, f"{name} (before)", f"{name} (now)", lineterm=""))
    shown = {plain(line[1:]) for line in diff[2:]}
    there = {plain(line) for line in after}
    return Report(
        diff,
        list(dict.fromkeys(citation.table for citation in citations if plain(citation.text) in shown)),
        [citation for citation in citations if plain(citation.text) not in there],
    )


def plain(line: str) -> str:
    """Return a line without the blanks that move when a table is set anew."""
    return " ".join(line.split())


def nearest(text: str, lines: list[str]) -> str:
    """Return the line that most likely took the place of a cited one, or nothing."""
    return next(iter(difflib.get_close_matches(plain(text), [plain(line) for line in lines], 1, 0.5)), "")
