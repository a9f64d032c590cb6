"""The log of the package, for a user at a terminal."""

from __future__ import annotations

import logging

from .output import Output


class OutputHandler(logging.Handler):
    """Prints log records as messages."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record in one line."""
        self._output.error(record.getMessage())


def show_log(output: Output, *, table: bool = False) -> None:
    """Show warnings, unless a moving table shows them; with -v changes, with -vv every attempt."""
    log = logging.getLogger("batchstatus")
    log.handlers = [OutputHandler(output)]
    usual = logging.ERROR if table else logging.WARNING
    log.setLevel({-1: logging.ERROR, 0: usual, 1: logging.INFO}.get(output.verbosity, logging.DEBUG))
