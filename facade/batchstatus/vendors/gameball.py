"""Gameball: loyalty batches.

Sources: the vendor's page, its tutorials and its error and rate pages; numbers in brackets are the quirks of
specs/QUIRKS.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from batchstatus._core import errors
from batchstatus._core.account import Account, ErrorFields, Request, StatusFields, keep_unset
from batchstatus._core.keys import KeySource, Secret
from batchstatus._core.policies import AsyncPace, Pace, RateLimit
from batchstatus._core.read import fields
from batchstatus._core.values import BatchState, Counts, ItemFailure

if TYPE_CHECKING:
    from batchstatus_raw.gameball.models import BatchStatusResponse

COUNTS = ("totalItems", "processedItems", "failedItems")
LISTS = ("results", "errors")
TUTORIAL_COUNTS = ("totalCount", "finishedCount", "errorCount")


class Gameball(Account):
    """An account at Gameball.

    Args:
        api_key: The key for the header `apikey`: text, or a function that returns the current key (for rotation).
        secret_key: The key for the header `secretkey`, likewise; the status needs both (`security` in the spec).
        base_url: The API's address, without `/api/...`; must be https, except on loopback.
        name: The name in refs (`gameball/acme:1748392`) if a client has several accounts at Gameball.
        rate_limit: How often the account may be asked; None: as often as a caller likes. That batch reads fall under
            Gameball's limits is inferred (G21); the other one, 30 in a second, is kept by the even spacing.
        states: Further status words and their states, compared without case; they win over the built-in ones.
        allow_insecure: Whether a base_url with http is good off loopback too. Keys then travel in the clear.

    Raises:
        ConfigurationError: A key, URL, account or state cannot work; the message never shows a key.
    """

    vendor = "gameball"
    BASE_URL = "https://api.gameball.co"
    RATE_LIMIT = RateLimit(360, 30.0)
    KEY_HEADERS: ClassVar[Mapping[str, str]] = {"api_key": "apikey", "secret_key": "secretkey"}

    WORDS: ClassVar[Mapping[str, BatchState]] = {
        "pending": BatchState.PENDING,
        "queued": BatchState.PENDING,  # tutorials (G10)
        "processing": BatchState.RUNNING,
        "running": BatchState.RUNNING,  # tutorials (G10)
        "inProgress": BatchState.RUNNING,  # version 3 (G10)
        "completed": BatchState.SUCCEEDED,  # single items may have failed (G11)
        "finished": BatchState.SUCCEEDED,  # version 3 (G10)
        "failed": BatchState.FAILED,
        "stopped": BatchState.CANCELLED,  # a stop operation exists (G10)
        "cancelled": BatchState.CANCELLED,  # (G10)
    }
    ERRORS: ClassVar[Mapping[str, type[errors.APIError]]] = {  # vendor docs, status-error-codes (G4)
        "1000": errors.AuthenticationError,
        "1001": errors.AuthenticationError,
        "1002": errors.PermissionDenied,
        "3000": errors.BadRequest,
        "4004": errors.BatchNotFound,
        "7000": errors.BatchNotFound,
        "8000": errors.PermissionDenied,
    }
    ADVICE: ClassVar[Mapping[type[errors.APIError], str]] = {
        errors.AuthenticationError: "check api_key and secret_key: Gameball wants both, of the same account",
        errors.PermissionDenied: "the account's plan or key does not cover batches",
    }
    FIELDS: ClassVar[Mapping[str, str]] = {
        "batchId": "string",
        "status": "string",
        "progress": "number",
        **dict.fromkeys(COUNTS, "number"),
        **dict.fromkeys(LISTS, "array"),
    }
    ID_FIELD = "batchId"
    ERROR_FIELDS: ClassVar[Mapping[str, tuple[str, ...]]] = {  # vendor docs, status-error-codes
        "code": ("code", "error"),  # some endpoints call it `error` (G4)
        "message": ("message",),
        "request_id": ("requestId",),
    }
    EXAMPLE_ID = "1748392"
    SIMULATOR = "batchstatus.testing.simulator.gameball:SimulatedGameball"
    PROBE_ID = "0"

    def __init__(
        self,
        api_key: KeySource,
        secret_key: KeySource,
        *,
        base_url: str | None = None,
        name: str | None = None,
        rate_limit: RateLimit | Pace | AsyncPace | None = RATE_LIMIT,
        states: Mapping[str, BatchState] | None = None,
        allow_insecure: bool = False,
    ) -> None:
        keys = Secret("Gameball's api_key", api_key), Secret("Gameball's secret_key", secret_key)
        del api_key, secret_key  # tracebacks with local variables must not show them
        super().__init__(
            *keys,
            base_url=base_url,
            name=name,
            rate_limit=rate_limit,
            states=states,
            allow_insecure=allow_insecure,
        )

    @classmethod
    def load(cls) -> None:
        """Import the raw client."""
        import batchstatus_raw.gameball.api.default.get_batch_status  # noqa: PLC0415
        import batchstatus_raw.gameball.models  # noqa: F401, PLC0415

    def raw_request(self, batch_id: str) -> Request:
        """Return the raw client's request for a batch's status."""
        # Here, not at the top: importing the raw client imports httpx.
        from batchstatus_raw.gameball.api.default import get_batch_status  # noqa: PLC0415

        return self.authenticate(get_batch_status._get_kwargs(batch_id))

    def status_fields(self, body: dict[str, Any]) -> StatusFields:
        """Return the fields of a status body, in the spec's shape or in the tutorials'."""
        from batchstatus_raw.gameball.models import BatchStatusResponse  # noqa: PLC0415
        from batchstatus_raw.gameball.types import Unset  # noqa: PLC0415

        keep_unset(Unset)
        problems: list[str] = []
        model = fields.accepted(BatchStatusResponse.from_dict, body, "status", problems)
        if model is None:
            return StatusFields(
                id=body.get("batchId"), status=body["status"], counts=Counts(), raw=None, problems=(*problems,)
            )
        tutorial = _is_tutorial(body)
        lists = body.get("response", {}) if tutorial else body
        if not isinstance(lists, dict):
            problems.append("response: not an object")
            lists = {}
        pending = self.state_of(str(model.status)) is BatchState.PENDING
        problems += fields.odd(body, "a count", fields.count, *COUNTS, *TUTORIAL_COUNTS)
        problems += fields.odd(body, "a number", fields.number, "progress")
        problems += fields.odd(body, "a time with an offset", fields.timestamp, "createdAt")
        return StatusFields(
            id=None if isinstance(model.batch_id, Unset) or model.batch_id == "" else model.batch_id,
            status=model.status,
            counts=_tutorial_counts(body, pending) if tutorial else _counts(model),
            fraction=_fraction(model.progress),
            failures=_failures(lists, "failed" if tutorial else "errors", problems),
            results=_results(lists, "successful" if tutorial else "results", problems),
            created_at=fields.timestamp(body.get("createdAt")),
            raw=model,
            problems=(*problems,),
        )

    def error_fields(self, body: Mapping[str, Any]) -> ErrorFields:
        """Return the fields of an error body."""
        return ErrorFields(**fields.error(body, self.ERROR_FIELDS, self.ERRORS))


def _is_tutorial(body: Mapping[str, Any]) -> bool:
    """Return whether the body has the tutorials' shape; the spec's fields decide if both are there."""
    return {*COUNTS, *LISTS}.isdisjoint(body) and not {*TUTORIAL_COUNTS, "response"}.isdisjoint(body)


def _counts(model: BatchStatusResponse) -> Counts:
    """Return the counts of the spec's shape; that processed includes failed is inferred (G12)."""
    processed, failed = fields.count(model.processed_items), fields.count(model.failed_items)
    succeeded = None if processed is None or failed is None or failed > processed else processed - failed
    return Counts(total=fields.count(model.total_items), processed=processed, succeeded=succeeded, failed=failed)


def _tutorial_counts(body: Mapping[str, Any], pending: bool) -> Counts:
    """Return the counts of the tutorials' shape: finishedCount counts successes; a total of 0 is none while pending."""
    total, succeeded, failed = (fields.count(body.get(name)) for name in TUTORIAL_COUNTS)
    processed = succeeded + failed if succeeded is not None and failed is not None else None
    return Counts(
        total=None if pending and total == 0 else total, processed=processed, succeeded=succeeded, failed=failed
    )


def _fraction(progress: object) -> float | None:
    """Return 0 as 0 and a number above 1, up to 100, as a percentage; up to 1 could be either scale (G8)."""
    value = fields.number(progress)
    if value == 0:
        return 0.0
    return value / 100 if value is not None and 1 < value <= 100 else None


def _failures(lists: Mapping[str, Any], name: str, problems: list[str]) -> tuple[ItemFailure, ...]:
    """Return the failed items; their shape is documented nowhere (G5), the tutorials have `message` or `error`.

    An object holds them by index or by id, unless it is one of them; text is one as well.
    """
    items = lists.get(name)
    if isinstance(items, list):
        return tuple(_failure(item) for item in items)
    if isinstance(items, str):
        return (_failure(items),) if items else ()
    if isinstance(items, dict):
        if not {"message", "error", "code"}.isdisjoint(items):
            return (_failure(items),)
        return tuple(_failure(item, key) for key, item in items.items())
    problems += [] if items is None else [f"{name}: {fields.rendering(items):.60} is not a list"]
    return ()


def _failure(item: object, key: str | None = None) -> ItemFailure:
    index = fields.count(key)
    id_ = fields.text(key) if index is None else None
    if not isinstance(item, dict):
        return ItemFailure(message=fields.rendering(item), index=index, id=id_)
    return ItemFailure(
        message=fields.rendering(fields.first(item, "message", "error") or item),
        code=fields.text(item.get("code")),
        index=fields.count(item.get("index")) if key is None or "index" in item else index,
        id=fields.text(fields.first(item, "id", "customerId")) or id_,  # the second in the tutorials' examples
    )


def _results(lists: Mapping[str, Any], name: str, problems: list[str]) -> tuple[Any, ...]:
    items = lists.get(name)
    if isinstance(items, list):
        return tuple(items)
    problems += [] if items is None else [f"{name}: {fields.rendering(items):.60} is not a list"]
    return ()
