"""docs/reference/command-line.md below its mark: the help of each command; `make pages` writes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import click
from batchstatus.cli.app import app

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "command-line.md"
MARK = "<!-- Below: the help of each command, by make pages. -->\n"
COLUMNS = 80


def page() -> str:
    """Return the page, with what it says above the mark as it is."""
    above = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    with patch.dict(os.environ, {"HOME": "/home/you"}, clear=True):  # defaults name folders below it
        return "\n".join([above + MARK, *_sections(app, _context(app, "batchstatus", None))])


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    depth, text = context.command_path.count(" ") + 1, command.get_help(context)
    if context.parent is not None:
        text = text.partition("\n\nCommon options:\n")[0]  # those of all commands are told once
    yield f"{'#' * max(2, depth)} {context.command_path}\n\n```text\n{text}\n```\n"
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        below = command.get_command(context, name)
        assert below is not None
        yield from _sections(below, _context(below, name, context))


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return click.Context(command, parent, name, terminal_width=COLUMNS)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
