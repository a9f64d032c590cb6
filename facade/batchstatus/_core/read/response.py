"""Parse a response into a Batch or an error. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import attrs

from batchstatus._core import errors
from batchstatus._core.account import Account, ErrorFields, Request, StatusFields
from batchstatus._core.errors import APIError, InvalidResponse, ReadError
from batchstatus._core.keys import hide_in_headers, hide_keys, is_echoed
from batchstatus._core.values import Batch, BatchRef, BatchState, printable

from . import fields
from .messages import Response, StepResult, TransportFailure

CLASSES: Mapping[int, type[APIError]] = {
    400: errors.BadRequest,
    401: errors.AuthenticationError,
    403: errors.PermissionDenied,
    404: errors.BatchNotFound,
    408: errors.ServerError,
    410: errors.BatchNotFound,
    422: errors.BadRequest,
    425: errors.ServerError,
    429: errors.RateLimited,
}
"""What an HTTP status means; any 5xx is a ServerError, any other 4xx a plain APIError."""

ADVICE: Mapping[type[APIError], str] = {
    errors.BatchNotFound: "check the id, and that the batch belongs to this key's account",
    errors.BadRequest: "check the id's form",
    errors.RateLimited: "ask less often, or see which other clients use the same account",
    errors.ServerError: "try again later",
}
"""What to do about an error, unless the vendor's own table says more."""

LOOK_BETWEEN = "check base_url, and any proxy before the vendor"
NOT_OWN = f"without the vendor's error body, so it may come from anything in between; {LOOK_BETWEEN}"

RESET_HEADERS = ("ratelimit-reset", "x-ratelimit-reset")
EPOCH_TIMES = 10**9
"""Seconds: more than so many are a time since 1970, less are a duration."""
MAX_NUMBER = 10.0**12
MAX_RESET = 3600.0
"""Seconds."""
MAX_AGE = 5.0
"""Seconds: an answer that is older than this, by its header Age, is told of."""
MAX_PROBLEMS = 20
MAX_PROBLEM = 200
"""Characters."""
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-correlation-id", "cf-ray")


def parse_response(
    account: Account,
    ref: BatchRef,
    request: Request,
    result: StepResult,
    *,
    attempts: int = 1,
    elapsed: float = 0.0,
) -> Batch:
    """Return the batch that a response describes; raise the ReadError that it amounts to."""
    outcome = result.outcome
    if isinstance(outcome, TransportFailure):
        raise error_from_failure(ref, request, outcome)
    assert outcome is not None, "a driver answers SendRequest with a Response or a TransportFailure"
    headers = hide_in_headers(outcome.headers, request.secrets)
    response = outcome if headers is outcome.headers else attrs.evolve(outcome, headers=headers)
    if response.status == 401:
        account.expire_keys()
    if response.status not in account.STATUSES:
        raise error_from_response(account, ref, request, response, result.utc)
    problem: ValueError | None = None
    try:
        payload, problems = decode_body(request, response)
        found = validate(account, ref, payload, problems)
    except ValueError as error:
        problem = error
    if problem is not None:  # raised outside the except block, so that nothing that holds the body stays behind it
        cut_short = isinstance(problem, fields.NotJSON) and problem.cut_short
        is_page = isinstance(problem, fields.NotJSON) and not cut_short
        text, number = (
            f"HTTP {response.status}, but {problem}" + (f"; {LOOK_BETWEEN}" if is_page else ""),
            request_id(response),
        )
        del problem
        raise InvalidResponse(
            text, ref=ref, status_code=response.status, request_id=number, cut_short=cut_short, is_lasting=is_page
        )
    state = account.state_of(found.status)
    contradiction = contradicts(found) if state is BatchState.SUCCEEDED else None
    told_first = [] if contradiction is None else [contradiction]
    problems = [*told_first, *age_problems(response), *problems, *found.problems]
    return Batch(
        ref=ref,
        state=state,
        vendor_status=found.status,
        counts=found.counts,
        progress=progress(found),
        failures=found.failures,
        results=found.results,
        created_at=found.created_at,
        updated_at=found.updated_at,
        read_at=result.utc,
        asked_at=result.asked_at,
        problems=tuple(printable(problem)[:MAX_PROBLEM] for problem in problems[:MAX_PROBLEMS]),
        is_settled=contradiction is None,
        raw=found.raw,
        payload=payload,
        request_id=request_id(response),
        retry_after=retry_after(response, result.utc),
        attempts=attempts,
        elapsed=elapsed,
    )


def age_problems(response: Response) -> list[str]:
    """Return that an answer comes out of a cache, and is old, as a problem."""
    age = _decimal(response.headers.get("age", ""))
    if age is None or age <= MAX_AGE:
        return []
    return [f"Age: the answer is {age:.0f} s old; it comes from a cache between here and the vendor"]


def decode_body(request: Request, response: Response) -> tuple[Any, list[str]]:
    """Return the body's JSON value, without keys that the vendor echoes, and its problems; raise NotJSON."""
    payload, problems = fields.decode(response.body, response.headers.get("content-type", ""))
    if not is_echoed(response.body, request.secrets):
        return payload, problems
    try:
        return hide_keys(payload, request.secrets), problems
    except RecursionError:
        del payload
    raise fields.NotJSON("the body is nested too deep")


def validate(account: Account, ref: BatchRef, payload: object, problems: list[str]) -> StatusFields:
    """Return the fields of a body that has a status and is about the requested batch; raise ValueError.

    What cannot be used beside the status is noted in `problems`.
    """
    if not isinstance(payload, dict):
        raise ValueError(f"the body is a JSON {type(payload).__name__}, not an object")
    try:
        found = account.status_fields(fields.cleaned(payload, problems))
    except KeyError as error:
        message = account.error_fields(payload).message
        problem = f"the body has no {error}" + (f"; it says: {message}" if message else "")
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        problem = f"the body does not have the shape of the vendor's spec ({type(error).__name__})"
    else:
        if not isinstance(found.status, str) or not found.status.strip():
            raise ValueError("the body has no status word")
        is_number = isinstance(found.id, int) and not isinstance(found.id, bool)
        answered = str(found.id) if isinstance(found.id, str) or is_number else fields.text(found.id)
        if found.id is not None and not same_id(ref.id, answered):
            raise ValueError(f"the body is about another batch: {fields.rendering(found.id):.80}")
        return found
    raise ValueError(problem)


def contradicts(found: StatusFields) -> str | None:
    """Return how the counts of a batch contradict that it has succeeded; None if they do not."""
    total, processed = found.counts.total, found.counts.processed
    if total is None or processed is None or found.may_stop_early:
        return None
    # Not processed + failed: with many failures that would take early counts for final (6 of 1,000 random vendors).
    done = max(processed, (found.counts.succeeded or 0) + (found.counts.failed or 0))
    return f"counts: it has succeeded with {processed} of {total} items processed" if done < total else None


UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def same_id(asked: str, answered: str | None) -> bool:
    """Return whether two ids are the same text; UUIDs are compared without case."""
    if answered is not None and UUID.fullmatch(asked) and UUID.fullmatch(answered):
        return asked.casefold() == answered.casefold()
    return asked == answered


def progress(found: StatusFields) -> float | None:
    """Return the share that is done; the vendor's own number counts only if it gives no counts."""
    total, processed = found.counts.total, found.counts.processed
    if total is None or processed is None:
        return found.fraction
    return min(processed / total, 1.0) if total else None


def error_from_failure(ref: BatchRef, request: Request, failure: TransportFailure) -> ReadError:
    """Return the error for an exchange that brought no usable response."""
    text = f"{fields.text(hide_keys(failure.reason, request.secrets))}"
    if issubclass(failure.error, InvalidResponse):
        return failure.error(
            text,
            ref=ref,
            status_code=failure.status,
            cut_short=failure.cut_short,
            is_too_large=failure.is_too_large,
        )
    error = failure.error(text, ref=ref)
    error.is_lasting = failure.is_lasting
    error.__cause__ = failure.cause
    return error


def error_from_response(
    account: Account, ref: BatchRef, request: Request, response: Response, now: datetime
) -> APIError | InvalidResponse:
    """Return the error for any status that brings no reading."""
    if not 400 <= response.status <= 599:
        text = f"HTTP {response.status} instead of a batch; {LOOK_BETWEEN}"
        return InvalidResponse(
            text,
            ref=ref,
            status_code=response.status,
            request_id=request_id(response),
            is_lasting=300 <= response.status < 400,
            retry_after=retry_after(response, now),
        )
    try:
        body, problems = decode_body(request, response)
        found = account.error_fields(fields.cleaned(body, problems)) if isinstance(body, dict) else ErrorFields()
    except (fields.NotJSON, RecursionError):
        found = ErrorFields()
    cls = error_class(account, response.status, found.code)
    says = ": ".join(filter(None, [found.code, found.message]))
    is_own = found.code is not None
    advice = (account.ADVICE.get(cls) or ADVICE.get(cls)) if is_own or is_outage(response.status) else NOT_OWN
    error = cls(
        f"HTTP {response.status}" + (f", {says}" if says else "") + (f" ({advice})" if advice else ""),
        ref=ref,
        status_code=response.status,
        code=found.code,
        message=found.message,
        request_id=found.request_id or request_id(response),
        retry_after=retry_after(response, now),
    )
    error.is_retryable = is_outage(response.status) or not is_own
    return error


def is_outage(status: int) -> bool:
    """Return whether an error status says nothing about the batch or the key, but that there is no answer just now."""
    return status >= 500 or status in {407, 408, 425, 429}


def error_class(account: Account, status: int, code: str | None) -> type[APIError]:
    """Return the error class of a status and a vendor's code; a code decides only if a retry cannot help."""
    cls = CLASSES.get(status) or (errors.ServerError if status >= 500 else APIError)
    if is_outage(status) or code is None:
        return cls
    return account.ERRORS.get(code, cls)


def request_id(response: Response) -> str | None:
    """Return the vendor's id of the exchange, if a header has it."""
    return fields.text(fields.first(response.headers, *REQUEST_ID_HEADERS))


def retry_after(response: Response, now: datetime) -> float | None:
    """Return the seconds after which the vendor wants to be asked again, or None.

    That is `Retry-After-Ms`; else `Retry-After` in whole or decimal seconds, as a date, or the first of a list; else,
    with a 429, `RateLimit-Reset` or `X-RateLimit-Reset` in seconds or, above 10**9, as the time of an epoch, unless
    that is more than an hour. A date counts from the response's own Date.
    """
    if (milliseconds := _decimal(response.headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    value = response.headers.get("retry-after", "").strip()
    if (seconds := _seconds_or_date(value, response, now)) is not None:
        return seconds
    if (seconds := _decimal(value.partition(",")[0])) is not None:
        return seconds
    if response.status != 429:
        return None
    for name in RESET_HEADERS:
        if (reset := _decimal(response.headers.get(name, ""))) is not None:
            left = reset - now.timestamp() if reset > EPOCH_TIMES else reset
            return left if 0 <= left <= MAX_RESET else None
    return None


def _seconds_or_date(value: str, response: Response, now: datetime) -> float | None:
    if (seconds := _decimal(value)) is not None:
        return seconds
    moment = http_date(value)
    if moment is None:
        return None
    return max((moment - (http_date(response.headers.get("date", "")) or now)) / timedelta(seconds=1), 0.0)


def _decimal(value: str) -> float | None:
    """Return a number in decimal digits, at most 10**12; None for anything else."""
    value = value.strip()
    return min(float(value), MAX_NUMBER) if re.fullmatch(r"[0-9]+(\.[0-9]{1,9})?", value) else None


def http_date(value: str) -> datetime | None:
    """Return the time of an HTTP date, aware; None for anything else."""
    try:
        moment = parsedate_to_datetime(value[:64])
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
