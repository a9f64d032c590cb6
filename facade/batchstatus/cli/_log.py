"""The log of the package, for a user at a terminal."""

from __future__ import annotations

import logging
from collections.abc import Callable


class ToUser(logging.Handler):
    """Says log records to the user, where a moving table lets them through."""

    def __init__(self, say: Callable[[object], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Say a record in one line."""
        self._say(record.getMessage())


def listen(say: Callable[[object], None], verbosity: int, *, table: bool) -> None:
    """Let warnings reach the user, unless a moving table shows what they say; with -v changes, with -vv every read."""
    log = logging.getLogger("batchstatus")
    log.handlers = [ToUser(say)]
    usual = logging.ERROR if table else logging.WARNING
    log.setLevel({-1: logging.ERROR, 0: usual, 1: logging.INFO}.get(verbosity, logging.DEBUG))
