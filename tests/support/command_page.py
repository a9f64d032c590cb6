"""docs/reference/command-line.md below its mark: the help of each command; `make pages` writes it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
from batchstatus.cli.app import app
from commandline import COMMAND

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "command-line.md"
MARK = "<!-- Below: the help of each command, by make pages. -->\n"


def page() -> str:
    """Return the page, with what it says above the mark as it is."""
    above = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    return "\n".join([above + MARK, *(_section(words) for words in _commands(app))])


def _commands(command: click.Command, *words: str) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, *words, name)


def _section(words: tuple[str, ...]) -> str:
    environment = {"HOME": "/home/you", "COLUMNS": "80"}  # defaults name folders below it
    shown = subprocess.run([*COMMAND, *words, "--help"], env=environment, capture_output=True, text=True, check=True)
    text = shown.stdout.rstrip("\n")
    if words:
        text = text.partition("\n\nCommon options:\n")[0]  # those of all commands are told once
    return f"{'#' * max(2, len(words) + 1)} {' '.join(['batchstatus', *words])}\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
