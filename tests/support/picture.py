"""docs/watch.svg: the table of `batchstatus watch`, as a pseudo-terminal shows it; `make pages` writes it."""

from __future__ import annotations

import io
import os
import re
import tempfile
from pathlib import Path

from batchstatus.testing.simulator import Simulator
from batchstatus.testing.simulator.samples import add_samples
from commandline import terminal
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "watch.svg"
COLUMNS = 108
BATCHES = 12
SECONDS = 60.0
MOMENT = 40.0
"""When the picture is taken; the vendors' clock stands still, so that it is the same each time."""
HIDE_CURSOR = "\x1b[?25l"  # each drawing begins with it
FORMAT = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; line-height: {line_height}px }}
.{unique_id}-title {{ font-family: sans-serif; font-size: 18px; font-weight: bold }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""  # noqa: E501 (rich's own format loads a font from elsewhere)


def page() -> str:
    """Return the picture: a dark window, for pages of either kind."""
    console = Console(record=True, file=io.StringIO(), width=COLUMNS)
    console.print(Text.from_ansi(_table()), soft_wrap=True)
    drawn = console.export_svg(title="batchstatus watch", code_format=FORMAT, unique_id="watch")
    return re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE)


def _table() -> str:
    """Return the table once every batch has been read."""
    clock = [0.0]
    with (
        Simulator(clock=lambda: clock[0], limits=False) as simulator,
        tempfile.TemporaryDirectory() as home,
    ):
        refs = add_samples(simulator, BATCHES, SECONDS)
        clock[0] = MOMENT
        environment = {"HOME": home, "PATH": os.defpath, "TERM": "xterm-256color", **simulator.environment()}
        drawn, _ = terminal(environment, "watch", *refs, columns=COLUMNS, until=_is_read, key=b"\x03")
    return re.sub(r"\x1b\[\d*[AJ]|\r", "", _last(drawn).partition("^C")[0])


def _is_read(drawn: bytes) -> bool:
    table = _last(drawn.decode(errors="replace"))
    return " ended" in table and "not read yet" not in table


def _last(drawn: str) -> str:
    return drawn.rpartition(HIDE_CURSOR)[2]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
