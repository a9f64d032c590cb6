"""What an answer means: a Batch, or which error. No I/O, no clock; the answer comes in, the meaning goes out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import attrs
from attrs import frozen

from batchstatus import _body, _errors

from ._batch import Batch, BatchRef, BatchState, Counts, ItemFailure
from ._errors import APIError, ConfigurationError, InvalidResponse, ReadError
from ._exchange import Answer, Failure, Reply, Request

CLASSES: Mapping[int, type[APIError]] = {
    400: _errors.BadRequest,
    401: _errors.AuthenticationError,
    403: _errors.PermissionDenied,
    404: _errors.BatchNotFound,
    408: _errors.ServerError,
    410: _errors.BatchNotFound,
    422: _errors.BadRequest,
    425: _errors.ServerError,
    429: _errors.RateLimited,
}
"""What an HTTP status means; any 5xx is a ServerError, any other 4xx a plain APIError."""

ADVICE: Mapping[type[APIError], str] = {
    _errors.BatchNotFound: "check the id, and that the batch belongs to this key's account",
    _errors.BadRequest: "check the id's form",
    _errors.RateLimited: "ask less often, or see which other clients use the same account",
    _errors.ServerError: "try again later",
}
"""What to do about it, where no vendor knows better."""

REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-correlation-id", "cf-ray")


@frozen(kw_only=True)
class Facts:
    """What a vendor's body says, in our terms, before it is held against what was asked."""

    id: str | None
    status: str
    counts: Counts
    fraction: float | None = None
    """The vendor's own progress, from 0.0 to 1.0, where its scale is known."""
    failures: tuple[ItemFailure, ...] = ()
    results: tuple[Any, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: object


@frozen(kw_only=True)
class Complaint:
    """What a vendor's error body says."""

    code: str | None = None
    message: str | None = None
    request_id: str | None = None


class Vendor(Protocol):
    """What one read has to know about a vendor."""

    @property
    def ERRORS(self) -> Mapping[str, type[APIError]]:  # noqa: N802 (a constant of each vendor)
        """What the vendor's error codes mean, where that is more than the HTTP status says."""

    @property
    def ADVICE(self) -> Mapping[type[APIError], str]:  # noqa: N802 (a constant of each vendor)
        """What to do about an error."""

    def state_of(self, word: str) -> BatchState:
        """Return what a status word means."""

    def request(self, batch_id: str) -> Request:
        """Return what to send."""

    def facts(self, body: dict[str, Any]) -> Facts:
        """Return what a body says, by way of the generated model."""

    def complaint(self, body: Mapping[str, Any]) -> Complaint:
        """Return what an error body says."""


def prepared(vendor: Vendor, ref: BatchRef) -> Request:
    """Return what to send; raise ReadError where the caller's own function has no key just now."""
    try:
        return vendor.request(ref.id)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ReadError(f"{ref}: the account's key cannot be had ({type(error).__name__})", ref=ref) from error


def interpret(vendor: Vendor, ref: BatchRef, request: Request, reply: Reply) -> Batch:
    """Return the batch that an answer describes; raise the ReadError that it amounts to."""
    outcome = reply.outcome
    if isinstance(outcome, Failure):
        raise failure(ref, request, outcome)
    assert outcome is not None, "a driver answers Send with an Answer or a Failure"
    headers = request.hide_in_headers(outcome.headers)
    answer = outcome if headers is outcome.headers else attrs.evolve(outcome, headers=headers)
    if answer.status != 200:
        raise refusal(vendor, ref, request, answer, reply.utc)
    problem: ValueError | None = None
    try:
        payload = decoded(request, answer)
        facts = checked(vendor, ref, payload)
    except ValueError as error:
        problem = error
    if problem is not None:  # raised outside of the except, so that nothing that holds the body stays behind it
        cut_short = isinstance(problem, _body.NotJSON) and problem.cut_short
        text, number = f"{ref}: HTTP 200, but {problem}", request_id(answer)
        del problem
        raise InvalidResponse(text, ref=ref, status_code=200, request_id=number, cut_short=cut_short)
    return Batch(
        ref=ref,
        state=vendor.state_of(facts.status),
        vendor_status=facts.status,
        counts=facts.counts,
        progress=progress(facts),
        failures=facts.failures,
        results=facts.results,
        created_at=facts.created_at,
        updated_at=facts.updated_at,
        read_at=reply.utc,
        raw=facts.raw,
        payload=payload,
        request_id=request_id(answer),
    )


def decoded(request: Request, answer: Answer) -> Any:
    """Return the body's JSON value, without keys that the vendor echoes; raise NotJSON."""
    payload = _body.decode(answer.body)
    if not request.is_echoed(answer.body):
        return payload
    try:
        return request.hide_keys(payload)
    except RecursionError:
        del payload
    raise _body.NotJSON("the body is nested too deep")


def checked(vendor: Vendor, ref: BatchRef, payload: object) -> Facts:
    """Return the facts of a body that has a status and is about the batch asked for; raise ValueError."""
    if not isinstance(payload, dict):
        raise ValueError(f"the body is a JSON {type(payload).__name__}, not an object")
    try:
        facts = vendor.facts(_body.without_nulls(payload))
    except KeyError as error:
        message = vendor.complaint(payload).message
        problem = f"the body has no {error}" + (f"; it says: {message}" if message else "")
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        problem = f"the body has not the shape of the vendor's spec ({type(error).__name__})"
    else:
        if not isinstance(facts.status, str) or not facts.status.strip():
            raise ValueError("the body has no status word")
        answered = facts.id if isinstance(facts.id, str) else _body.text(facts.id)
        if facts.id is not None and not same_id(ref.id, answered):
            raise ValueError(f"the body is about another batch: {_body.rendering(facts.id):.80}")
        return facts
    raise ValueError(problem)


UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def same_id(asked: str, answered: str | None) -> bool:
    """Return whether two ids are the same text; UUIDs are compared without case."""
    if answered is not None and UUID.fullmatch(asked) and UUID.fullmatch(answered):
        return asked.casefold() == answered.casefold()
    return asked == answered


def progress(facts: Facts) -> float | None:
    """Return the share that is done; the vendor's own number counts only where it gives no counts."""
    total, processed = facts.counts.total, facts.counts.processed
    if total is None or processed is None:
        return facts.fraction
    return min(processed / total, 1.0) if total else None


def failure(ref: BatchRef, request: Request, failed: Failure) -> ReadError:
    """Return the error for an exchange that brought no usable answer."""
    text = f"{ref}: {_body.text(request.hide_keys(failed.reason))}"
    if issubclass(failed.error, InvalidResponse):
        return failed.error(text, ref=ref, status_code=failed.status, cut_short=failed.cut_short)
    error = failed.error(text, ref=ref)
    error.__cause__ = failed.cause
    return error


def refusal(
    vendor: Vendor, ref: BatchRef, request: Request, answer: Answer, now: datetime
) -> APIError | InvalidResponse:
    """Return the error for any status but 200."""
    if not 400 <= answer.status <= 599:
        text = f"{ref}: HTTP {answer.status} instead of a batch; check base_url, and what stands before the vendor"
        return InvalidResponse(text, ref=ref, status_code=answer.status, request_id=request_id(answer))
    try:
        body = decoded(request, answer)
        complaint = vendor.complaint(_body.without_nulls(body)) if isinstance(body, dict) else Complaint()
    except (_body.NotJSON, RecursionError):
        complaint = Complaint()
    cls = error_class(vendor, answer.status, complaint.code)
    says = ": ".join(filter(None, [complaint.code, complaint.message]))
    advice = vendor.ADVICE.get(cls) or ADVICE.get(cls)
    return cls(
        f"{ref}: HTTP {answer.status}" + (f", {says}" if says else "") + (f" ({advice})" if advice else ""),
        ref=ref,
        status_code=answer.status,
        code=complaint.code,
        message=complaint.message,
        request_id=complaint.request_id or request_id(answer),
        retry_after=answer.retry_after(now),
    )


def error_class(vendor: Vendor, status: int, code: str | None) -> type[APIError]:
    """Return which error a status and a vendor's code are; the code decides among those that no retry helps."""
    cls = CLASSES.get(status) or (_errors.ServerError if status >= 500 else APIError)
    if cls in (_errors.ServerError, _errors.RateLimited) or code is None:
        return cls
    return vendor.ERRORS.get(code, cls)


def request_id(answer: Answer) -> str | None:
    """Return the vendor's id of the exchange, where a header has it."""
    return _body.text(_body.first(answer.headers, *REQUEST_ID_HEADERS))
