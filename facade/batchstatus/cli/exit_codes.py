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

REACHED = 0
OTHERWISE = 1
USAGE = 2
UNKNOWN_BATCH = 3
KEY = 4
VENDOR = 5
OPEN = 8
FAULT = 70
SYSTEM = 74
"""The system refuses: a full disk, a closed descriptor."""
TIMED_OUT = 124
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

ORDER = (KEY, VENDOR, UNKNOWN_BATCH, OTHERWISE, TIMED_OUT, OPEN, USAGE, REACHED)
"""Which code several batches, or several checks, give: the first of these that one of them has."""


class MissingKey(ConfigurationError):
    """A ref is of an account that no key was given for."""


class NotTracked(BatchStatusError):
    """The store knows no such batch."""


def code_of(error: BaseException, otherwise: int = VENDOR) -> int:
    """Return the exit code of an error."""
    if isinstance(error, WaitTimeout) and error.last is None and isinstance(error.__cause__, ReadError):
        error = error.__cause__  # no read has succeeded, and this is why
    for classes, code in (
        ((AuthenticationError, PermissionDenied, MissingKey), KEY),
        ((BatchNotFound, NotTracked), UNKNOWN_BATCH),
        ((ReadError,), VENDOR),
        ((WaitTimeout,), TIMED_OUT),
        ((ConfigurationError, click.ClickException), USAGE),
        ((OSError,), SYSTEM),
    ):
        if isinstance(error, classes):
            return code
    return otherwise


def worst(codes: Iterable[int]) -> int:
    """Return the code of several batches."""
    found = set(codes)
    return next((code for code in ORDER if code in found), REACHED)
