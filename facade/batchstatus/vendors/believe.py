"""Believe: flywheel batches.

Sources: the vendor's page, by its headings (specs/believe.prose.md), and copies of docs.believe.app; numbers in
brackets are the quirks of specs/QUIRKS.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from batchstatus._core import errors
from batchstatus._core.account import Account, ErrorFields, Request, StatusFields, keep_unset
from batchstatus._core.keys import KeySource, Secret
from batchstatus._core.policies import AsyncPace, Pace, RateLimit
from batchstatus._core.read import fields
from batchstatus._core.values import BatchState, Counts, ItemFailure

Result = Any
"""A raw model inside of the answer's: its name is the vendor's, and may change; `FIELDS` has what is read of it."""

EXECUTION_COUNTS = ("total", "totalSuccessful", "totalFailed", "failedOnTransactionIndex")
TIMES = ("dateCreated", "dateUpdated")


class Believe(Account):
    """An account at Believe.

    Args:
        api_key: The key for the header `x-believe-api-key`, with the scope `burn` or `airdrop` (Authentication): text,
            or a function that returns the current key (for rotation).
        base_url: The API's address, without `/v1/...`; must be https, except on loopback.
        name: The name in refs (`believe/acme:550e8400-...`) if a client has several accounts at Believe.
        rate_limit: How often the key may be used; None: as often as a caller likes (Rate Limiting).
        states: Further status words and their states, compared without case; they win over the built-in ones.
        allow_insecure: Whether a base_url with http is good off loopback too. Keys then travel in the clear.

    Raises:
        ConfigurationError: A key, URL, account or state cannot work; the message never shows a key.
    """

    vendor = "believe"
    BASE_URL = "https://public.believe.app"
    RATE_LIMIT = RateLimit(10, 1.0)
    KEY_HEADERS: ClassVar[Mapping[str, str]] = {"api_key": "x-believe-api-key"}

    WORDS: ClassVar[Mapping[str, BatchState]] = {
        "AVAILABLE_TO_QUEUE": BatchState.PENDING,
        "FINALIZED": BatchState.REQUIRES_ACTION,  # it waits for execution approval (B34, Batch Status Values)
        "PENDING_APPROVAL": BatchState.REQUIRES_ACTION,  # the vendor's batch-init example (B14)
        "EXECUTED": BatchState.SUCCEEDED,
        "FAILED": BatchState.FAILED,
    }
    ERRORS: ClassVar[Mapping[str, type[errors.APIError]]] = {  # copies of docs.believe.app (B4, B5, B6)
        "ERR_UNAUTHORIZED": errors.AuthenticationError,
        "ERR_KEY_NOT_FOUND": errors.AuthenticationError,
        "ERR_KEY_SCOPES_UNAUTHORIZED": errors.PermissionDenied,  # 401 or 403: not stated (B6)
        "ERR_BATCH_NOT_FOUND": errors.BatchNotFound,
    }
    ADVICE: ClassVar[Mapping[type[errors.APIError], str]] = {
        errors.AuthenticationError: "check api_key",
        errors.PermissionDenied: "the key needs the scope burn or airdrop",
    }
    FIELDS: ClassVar[Mapping[str, str]] = {
        "id": "string",
        "status": "string",
        "initResult": "object",
        "initResult.failedTxMsg": "string",
        "executeResult": "object",
        "executeResult.successfulExecutions": "array",
        "executeResult.failedTxMsg": "string",
        **{f"executeResult.{name}": "number" for name in EXECUTION_COUNTS},
        **dict.fromkeys(TIMES, "date-time"),
    }
    ERROR_FIELDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "code": ("error",),  # the spec says int32, it is a text (B4)
        "message": ("message",),
        "request_id": ("requestId",),  # not on the vendor's page; Gameball has it
    }
    EXAMPLE_ID = "550e8400-e29b-41d4-a716-446655440000"
    SIMULATOR = "batchstatus.testing.simulator.believe:SimulatedBelieve"
    PROBE_ID = "00000000-0000-4000-8000-000000000000"

    def __init__(
        self,
        api_key: KeySource,
        *,
        base_url: str | None = None,
        name: str | None = None,
        rate_limit: RateLimit | Pace | AsyncPace | None = RATE_LIMIT,
        states: Mapping[str, BatchState] | None = None,
        allow_insecure: bool = False,
    ) -> None:
        key = Secret("Believe's api_key", api_key)
        del api_key  # tracebacks with local variables must not show it
        super().__init__(
            key, base_url=base_url, name=name, rate_limit=rate_limit, states=states, allow_insecure=allow_insecure
        )

    @classmethod
    def load(cls) -> None:
        """Import the raw client."""
        import batchstatus_raw.believe.api.default.get_batch_status  # noqa: PLC0415
        import batchstatus_raw.believe.models  # noqa: F401, PLC0415

    def raw_request(self, batch_id: str) -> Request:
        """Return the raw client's request for a batch's status."""
        # Here, not at the top: importing the raw client imports httpx.
        from batchstatus_raw.believe.api.default import get_batch_status  # noqa: PLC0415

        return self.authenticate(get_batch_status._get_kwargs(batch_id))

    def status_fields(self, body: dict[str, Any]) -> StatusFields:
        """Return the fields of a status body; the counts are those of the execution, not of the set-up."""
        from batchstatus_raw.believe.models import BatchStatusResponse  # noqa: PLC0415
        from batchstatus_raw.believe.types import Unset  # noqa: PLC0415

        keep_unset(Unset)

        def make(part: dict[str, Any]) -> BatchStatusResponse:
            _check_results(part)
            return BatchStatusResponse.from_dict(part)

        problems = ["id: the vendor sends none"] if body.get("id", "") == "" else []
        model = fields.accepted(make, body, "status", problems)
        if model is None:
            return StatusFields(
                id=body.get("id"), status=body["status"], counts=Counts(), raw=None, problems=(*problems,)
            )
        execution, setup = model.execute_result or None, model.init_result or None
        if execution is not None:
            problems += fields.odd(body["executeResult"], "a count", fields.count, *EXECUTION_COUNTS)
        problems += fields.odd(body, "a time with an offset", fields.timestamp, *TIMES)
        failures = _failures(setup, execution)
        return StatusFields(
            id=None if isinstance(model.id, Unset) or model.id == "" else model.id,
            status=model.status,
            counts=_counts(execution),
            failures=failures,
            results=_results(execution),
            created_at=fields.timestamp(model.date_created),
            updated_at=fields.timestamp(model.date_updated),
            raw=model,
            problems=(*problems,),
            may_stop_early=bool(failures),  # a failed transaction ends the pipeline (Execute Result Object)
        )

    def error_fields(self, body: Mapping[str, Any]) -> ErrorFields:
        """Return the fields of an error body."""
        return ErrorFields(**fields.error(body, self.ERROR_FIELDS, self.ERRORS))


def _check_results(body: Mapping[str, Any]) -> None:
    """Raise TypeError if a result is not an object: the raw model would take a list of pairs for one."""
    for name in ("initResult", "executeResult"):
        result = body.get(name, {})
        bundles = result.get("successfulExecutions", []) if isinstance(result, dict) else None
        if not isinstance(bundles, list) or not all(isinstance(bundle, dict) for bundle in bundles):
            raise TypeError(f"{name} has another shape")


def _counts(execution: Result | None) -> Counts:
    """Return the counts of the execution, which may stop before the total; absent before its end.

    The page, Execute Result Object: "Present when status is `EXECUTED` or `FAILED`."
    """
    if execution is None:
        return Counts()
    succeeded, failed = fields.count(execution.total_successful), fields.count(execution.total_failed)
    processed = succeeded + failed if succeeded is not None and failed is not None else None
    return Counts(total=fields.count(execution.total), processed=processed, succeeded=succeeded, failed=failed)


def _failures(setup: Result | None, execution: Result | None) -> tuple[ItemFailure, ...]:
    """Return the failed step of each phase: a message and, of the execution, the index it stopped at."""
    found = []
    if setup is not None and setup.failed_tx_msg:
        found.append(ItemFailure(message=fields.rendering(setup.failed_tx_msg), phase="setup"))
    if execution is not None:
        index = fields.count(execution.failed_on_transaction_index)
        if execution.failed_tx_msg or index is not None:
            message = fields.rendering(execution.failed_tx_msg or "the vendor gives no message")
            found.append(ItemFailure(message=message, index=index, phase="execution"))
    return tuple(found)


def _results(execution: Result | None) -> tuple[Any, ...]:
    """Return the successful bundles of the execution, each with its id and transaction hashes."""
    return tuple(fields.plain(bundle) for bundle in (execution.successful_executions or ())) if execution else ()
