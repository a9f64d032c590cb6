"""docs/reference/states-and-quirks.md below its mark: the vendors' words and quirks; `make pages` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from batchstatus import BatchState
from batchstatus.vendors import VENDORS

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "states-and-quirks.md"
QUIRKS = ROOT / "specs" / "QUIRKS.md"
MARK = "<!-- Below: the vendors' words, and the quirks that reach a caller, by make pages. -->\n"


def page() -> str:
    """Return the page, with what it says above the mark as it is."""
    above = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    return "\n".join([above + MARK, *_words(), *_quirks()]) + "\n"


def _words() -> Iterator[str]:
    yield "## Words\n"
    yield f"| state | {' | '.join(vendor.__name__ for vendor in VENDORS.values())} |"
    yield f"|---|{'---|' * len(VENDORS)}"
    for state in BatchState:
        said = [[word for word, means in vendor.WORDS.items() if means is state] for vendor in VENDORS.values()]
        if any(said):
            yield f"| {state.name} | {' | '.join(', '.join(f'`{word}`' for word in words) for words in said)} |"


def _quirks() -> Iterator[str]:
    yield "\n## Quirks\n"
    yield "| | the vendor's page | so |"
    yield "|---|---|---|"
    for line in QUIRKS.read_text(encoding="utf-8").splitlines():
        number, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
        if len(cells) == 4 and "facade" in cells[1]:
            yield f"| {number} | {cells[0]} | {cells[2]} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
