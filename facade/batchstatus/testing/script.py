"""The steps of a script, and the responses that they make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

from batchstatus import BatchRef, InvalidResponse, RequestTimeout, Response, TransportError, TransportFailure

from .fake_clock import EPOCH
from .simulator.model import SimulatedBatch, SimulatedVendor


@frozen(kw_only=True)
class ScriptStep:
    """One response of a script; `reading`, `refusal` and `failure` make them."""

    word: str = ""
    counts: Mapping[str, int] = field(factory=dict)
    status: int = 200
    payload: Any = None
    """The JSON value of the body; bytes are the body as it is, such as a page."""
    retry_after: str | None = None
    error: type[TransportError] | None = None
    is_lasting: bool = False
    seconds: float = 0.0
    """How long the response takes."""


def reading(word: str, *, retry_after: float | str | None = None, seconds: float = 0.0, **counts: int) -> ScriptStep:
    """Return a response with a batch in the vendor's own shape.

    Args:
        word: The vendor's status word, of whatever table.
        retry_after: The header Retry-After: seconds, or a date as text.
        seconds: How long the response takes.
        **counts: `total`, `processed`, `failed`; without them, counts that go with the word.
    """
    if unknown := counts.keys() - {"total", "processed", "failed"}:
        raise TypeError(f"counts are total, processed and failed, not {', '.join(sorted(unknown))}")
    return ScriptStep(word=word, counts=counts, retry_after=_header(retry_after), seconds=seconds)


def refusal(
    status: int, *, retry_after: float | str | None = None, payload: Any = None, seconds: float = 0.0
) -> ScriptStep:
    """Return a response with an error status.

    Args:
        status: The HTTP status.
        retry_after: The header Retry-After: seconds, or a date as text.
        payload: The JSON value of the body, or bytes: a page, or nothing; default: the vendor's error body for the
            status, without which a refusal counts as an outage.
        seconds: How long the response takes.
    """
    return ScriptStep(status=status, retry_after=_header(retry_after), payload=payload, seconds=seconds)


def _header(retry_after: float | str | None) -> str | None:
    return f"{retry_after:g}" if isinstance(retry_after, (int, float)) else retry_after


def failure(
    error: type[TransportError] = TransportError, *, is_lasting: bool = False, seconds: float = 0.0
) -> ScriptStep:
    """Return a failed exchange: TransportError or RequestTimeout.

    Args:
        error: Its class.
        is_lasting: Whether it is one that time hardly mends, such as an unknown host.
        seconds: How long it takes.
    """
    return ScriptStep(error=error, is_lasting=is_lasting, seconds=seconds)


Steplike: TypeAlias = ScriptStep | str | int | dict[str, Any] | bytes | type[TransportError]


def step(given: Steplike) -> ScriptStep:
    """Return the step of a short form; raise ValueError if it is not one."""
    if isinstance(given, ScriptStep):
        return given
    if isinstance(given, str):
        return ScriptStep(word=given)
    if isinstance(given, (dict, bytes)):
        return ScriptStep(payload=given)
    if isinstance(given, int) and not isinstance(given, bool):
        return ScriptStep(status=given)
    if isinstance(given, type) and issubclass(given, TransportError):
        return ScriptStep(error=given)
    raise ValueError(
        f"a step is a status word, an HTTP status, a dict, bytes, TransportError, or a ScriptStep, not {given!r:.80}"
    )


def outcome(
    vendor: SimulatedVendor | None, ref: BatchRef, step: ScriptStep, timeout: float, max_body: int
) -> Response | TransportFailure:
    """Return the outcome of an exchange about `ref` that meets a step, and has so many seconds and bytes."""
    if step.seconds >= timeout:
        return TransportFailure(
            error=RequestTimeout, reason=f"no complete response within {timeout:.3g} s, as the script has it"
        )
    if step.error is not None:
        return TransportFailure(
            error=step.error, reason="no response, as the script has it", is_lasting=step.is_lasting
        )
    content = step.payload
    if content is None and vendor is None:
        content = b""
    elif content is None and vendor is not None:
        content = _body(vendor, ref, step) if step.status == 200 else vendor.error_body(step.status)
    headers = {} if step.retry_after is None else {"retry-after": step.retry_after}
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    if step.status == 200 and len(body) > max_body:
        return TransportFailure(
            error=InvalidResponse,
            reason=f"the body is larger than max_body allows, {max_body} bytes",
            status=200,
            is_too_large=True,
        )
    return Response(status=step.status, headers=headers, body=body)


def _body(vendor: SimulatedVendor, ref: BatchRef, step: ScriptStep) -> dict[str, Any]:
    total, failed = step.counts.get("total", 8), step.counts.get("failed", 0)
    batch = SimulatedBatch(vendor=ref.vendor, id=ref.id, status=step.word, total=total, failed=failed)
    _, share = vendor.phase(batch, 0.0)
    processed = step.counts.get("processed")
    if processed is not None:
        share = processed / total if total else 0.0
    return vendor.status_body(batch, step.word, share, EPOCH)
