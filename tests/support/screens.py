"""Consoles that draw into memory, as a terminal or as a pipe."""

from __future__ import annotations

import io

from rich.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(columns: int | None = None, **options: object) -> Console:
    """A terminal of so many columns and 30 lines; a pipe without."""
    if columns is None:
        return Console(file=io.StringIO(), **options)
    return Console(file=Terminal(), width=columns, height=30, force_terminal=True, **options)
