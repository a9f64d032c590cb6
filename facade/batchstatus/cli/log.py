"""The log of the package, for a user at a terminal."""

from __future__ import annotations

import logging

from .context import SESSION
from .output import say


class ToUser(logging.Handler):
    """Says log records to the user."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say a record in one line."""
        say(record.getMessage())


def show_log(*, table: bool = False) -> None:
    """Let warnings reach the user, unless a moving table shows what they say; with -v changes, with -vv every read."""
    log = logging.getLogger("batchstatus")
    log.handlers = [ToUser()]
    usual = logging.ERROR if table else logging.WARNING
    log.setLevel({-1: logging.ERROR, 0: usual, 1: logging.INFO}.get(SESSION.verbosity, logging.DEBUG))
