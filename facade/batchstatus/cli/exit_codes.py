"""Exit codes: which one an error is, and which one several batches give."""

from __future__ import annotations

from collections.abc import Iterable

import click

from batchstatus import (
    AuthenticationError,
    BatchNotFound,
    BatchStatusError,
    ConfigurationError,
    PermissionDenied,
    ReadError,
    WaitTimeout,
)

OK = 0
ENDED_BADLY = 1
USAGE = 2
UNKNOWN_BATCH = 3
AUTH = 4
VENDOR = 5
OPEN = 8
INTERNAL = 70
IO_ERROR = 74
"""The system refuses: a full disk, a closed descriptor."""
TIMED_OUT = 124
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

MEANINGS = {
    OK: "done",
    ENDED_BADLY: "a batch ended otherwise",
    USAGE: "wrong usage or configuration",
    UNKNOWN_BATCH: "an unknown batch",
    AUTH: "a key is missing or refused",
    VENDOR: "a vendor is unreachable or not understood",
    OPEN: "a batch is still open",
    TIMED_OUT: "timed out",
}
"""The meaning of each code that commands give themselves, for help."""
READ = {code: MEANINGS[code] for code in (UNKNOWN_BATCH, AUTH, VENDOR)}
"""Those of every command that reads batches."""
FOR_ALL = {
    USAGE: MEANINGS[USAGE],
    INTERNAL: "an internal error",
    IO_ERROR: "the system refuses, as with a full disk",
    INTERRUPTED: "SIGINT, as by Ctrl-C",
    BROKEN_PIPE: "stdout was closed",
    TERMINATED: "SIGTERM",
}
"""The codes that any command may end with, unless they mean something of its own there."""

ORDER = (AUTH, VENDOR, UNKNOWN_BATCH, ENDED_BADLY, TIMED_OUT, OPEN, USAGE, OK)
"""Which code several batches, or several checks, give: the first of these that one of them has."""


class MissingKey(ConfigurationError):
    """A ref belongs to an account without a key."""


class NotTracked(BatchStatusError):
    """The store does not know the batch."""


def code_of(error: BaseException, otherwise: int = VENDOR) -> int:
    """Return the exit code of an error."""
    if isinstance(error, WaitTimeout) and error.last is None and isinstance(error.__cause__, ReadError):
        error = error.__cause__  # no read has succeeded, and this is why
    for classes, code in (
        ((AuthenticationError, PermissionDenied, MissingKey), AUTH),
        ((BatchNotFound, NotTracked), UNKNOWN_BATCH),
        ((ReadError,), VENDOR),
        ((WaitTimeout,), TIMED_OUT),
        ((ConfigurationError, click.ClickException), USAGE),
        ((OSError,), IO_ERROR),
    ):
        if isinstance(error, classes):
            return code
    return otherwise


def combine(codes: Iterable[int]) -> int:
    """Return the code of several batches."""
    found = set(codes)
    return next((code for code in ORDER if code in found), OK)
