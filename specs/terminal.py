"""Print lines that hold a stranger's words, and end with one line whatever happens."""

from __future__ import annotations

import io
import sys
from typing import TextIO


def printable(text: str) -> str:
    """Return one line that moves no cursor and hides nothing: controls, line ends and bidi marks are written out."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def say(*lines: str, file: TextIO | None = None) -> None:
    """Print each line, made printable, to standard output or to `file`."""
    stream = file or sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    for line in lines:
        print(printable(line), file=stream, flush=True)
