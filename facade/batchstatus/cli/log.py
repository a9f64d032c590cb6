"""The log of the package, for a user at a terminal, and that of a service."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any

from batchstatus import printable

from .output import Output

FORMATS = ("text", "json")
FIELDS = {"batch.ref": "ref", "batch.destination": "destination"}
"""The fields of a message in JSON, by the attributes of a record."""


class OutputHandler(logging.Handler):
    """Prints log records as messages."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record in one line."""
        fields = {field: vars(record)[name] for name, field in FIELDS.items() if name in vars(record)}
        self._output.error(record.getMessage() + _fault(record), level=record.levelno, fields=fields)


def show_log(output: Output, *, table: bool = False) -> None:
    """Show warnings, unless a moving table shows them; with -v changes, with -vv every attempt.

    In the log of a service those of the libraries have times and levels, too.
    """
    log = logging.getLogger("batchstatus")
    shown = log if output.line is None else logging.getLogger()
    shown.handlers = [OutputHandler(output)]
    usual = logging.ERROR if table else logging.WARNING
    log.setLevel({-1: logging.ERROR, 0: usual, 1: logging.INFO}.get(output.verbosity, logging.DEBUG))


def _fault(record: logging.LogRecord) -> str:
    """Return the class of a record's exception, and the line that raised it: its text may hold anything."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return ""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__) if error.__traceback__ else [(None, 0)]
    place = "" if frame is None else f" at {Path(frame.f_code.co_filename).name}:{line}"
    return f": {type(error).__name__}{place}"


def text_line(level: int, fields: dict[str, Any]) -> str:
    """Return a message of a service as `2026-01-31T12:00:00.000+00:00 WARNING message`."""
    return f"{_now()} {logging.getLevelName(level)} {printable(fields['message'])}"


def json_line(level: int, fields: dict[str, Any]) -> str:
    """Return a message of a service as a JSON object with time, level and message; an error has its class, too."""
    return json.dumps({"time": _now(), "level": logging.getLevelName(level).lower(), **fields})


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
