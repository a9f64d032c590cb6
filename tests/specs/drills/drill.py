"""A drill: a page as a vendor may change it, and the end that this has to have."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

SPECS = Path(__file__).parents[3] / "specs"

Edit = tuple[str, str] | Callable[[str], str]


class Red(NamedTuple):
    """A finding: its words, and the text of the line that it names, in the vendor's spec or in another file."""

    words: str
    at: str = ""
    file: str = ""


@dataclass(frozen=True)
class Drill:
    """One change of one vendor's page, from its words to the end.

    A drill that names no `red` is green: pull and regen take the page, and the facade reads `body` as `reads` says.
    """

    name: str
    edits: tuple[Edit, ...] = ()
    """Of the spec: a text that stands there once and its successor, or a function."""
    page: tuple[Edit, ...] = ()
    """Of the prose around it, likewise."""
    whole: Callable[[str], str | bytes] = str
    """Of the whole page, in the end."""
    told: tuple[str, ...] = ()
    """Level and id of each change that the pull tells, in its order."""
    red: tuple[Red, ...] = ()
    by: str = "regen"
    """The step that is red: pull or regen."""
    body: Any = None
    status: int = 200
    reads: dict[str, Any] = field(default_factory=dict)
    """The part of what the facade says that the change is about."""
    chosen: bool = False
    """Whether `make check` runs it."""


MEND = (
    "mend the drill in tests/specs/drills/ (believe.py, gameball.py): it begins at the page as it is now; "
    "or, if nothing is left of it, drop it"
)


def edited(text: str, edits: tuple[Edit, ...]) -> str:
    for edit in edits:
        if callable(edit):
            text = edit(text)
        else:
            old, new = edit
            assert text.count(old) == 1, f"the page has {old!r} {text.count(old)} times: {MEND}"
            text = text.replace(old, new)
    return text


def after(anchor: str, *edits: tuple[str, str]) -> Callable[[str], str]:
    """Return an edit of the first place of each text behind an anchor."""

    def apply(text: str) -> str:
        start = text.index(anchor)
        head, tail = text[:start], text[start:]
        for old, new in edits:
            assert old in tail, f"the page has no {old!r} behind {anchor!r}: {MEND}"
            tail = tail.replace(old, new, 1)
        return head + tail

    return apply


def everywhere(old: str, new: str) -> Callable[[str], str]:
    def apply(text: str) -> str:
        assert old in text, f"the page has no {old!r}: {MEND}"
        return text.replace(old, new)

    return apply


def lines_of(vendor: str, pattern: str) -> str:
    """Return the first text of the vendor's spec that fits, from the start of a line."""
    spec = (SPECS / f"{vendor}.yaml").read_text(encoding="utf-8")
    found = re.search(pattern, spec, re.MULTILINE)
    assert found is not None, f"specs/{vendor}.yaml has nothing like {pattern!r}: {MEND}"
    return found[0]


def path_of(vendor: str) -> str:
    """Return the first path of the vendor's spec."""
    return lines_of(vendor, r"^  /\S+:$").strip(" :")


def page_of(vendor: str, drill: Drill) -> str | bytes:
    """Return the vendor's page as it is vendored, changed."""
    spec = edited((SPECS / f"{vendor}.yaml").read_text(encoding="utf-8"), drill.edits)
    prose = edited((SPECS / f"{vendor}.prose.md").read_text(encoding="utf-8"), drill.page)
    head, heading, tail = prose.partition("## OpenAPI\n\n")
    assert heading, f"the prose of {vendor} has no heading OpenAPI"
    return drill.whole(f"{head}{heading}````yaml GET /\n{spec}````{tail}")


def told(report: str) -> tuple[str, ...]:
    """Return level and id of each change in what a pull prints."""
    return tuple(
        re.findall(r"^  (?:\S+:\d+(?: before)?: )?((?:breaking|attention|harmless) [a-z-]+):", report, re.MULTILINE)
    )
