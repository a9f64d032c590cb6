"""Whether an account can be read: one request that needs no batch. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta

from attrs import frozen

from batchstatus._core.account import Account
from batchstatus._core.errors import BadRequest, BatchNotFound, BatchStatusError

from .many import Read
from .messages import Response, SendRequest, Sleep, StepResult
from .response import http_date


@frozen(kw_only=True)
class AccountCheck:
    """The findings of one request about an account."""

    account: Account
    error: BatchStatusError | None
    """Why the account cannot be read; None if the vendor accepted its keys."""
    clock_offset: float | None
    """Seconds by which this machine's clock is ahead of the vendor's (to a second); None if that is unknown."""


def check_account(account: Account, read: Read) -> Generator[SendRequest | Sleep, StepResult, AccountCheck]:
    """Perform the read of a batch that does not exist: the vendor's own 404 or 400 proves its keys."""
    offset: float | None = None
    problem: BatchStatusError | None = None
    try:
        step = next(read)
        while True:
            result = yield step
            if isinstance(result.outcome, Response):
                date = http_date(result.outcome.headers.get("date", ""))
                offset = None if date is None else (result.utc - date) / timedelta(seconds=1)
            step = read.send(result)
    except StopIteration:
        pass
    except BatchStatusError as error:
        is_proof = isinstance(error, (BatchNotFound, BadRequest)) and error.code is not None
        problem = None if is_proof else error
    return AccountCheck(account=account, error=problem, clock_offset=offset)
