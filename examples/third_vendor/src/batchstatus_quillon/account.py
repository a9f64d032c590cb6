"""Quillon: batches of requests. Source: specs/quillon.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack
from urllib.parse import quote

from batchstatus import (
    Account,
    AccountOptions,
    APIError,
    AuthenticationError,
    BadRequest,
    BatchNotFound,
    BatchState,
    Counts,
    ErrorFields,
    ItemFailure,
    KeySource,
    PermissionDenied,
    RateLimit,
    Request,
    Secret,
    StatusFields,
    fields,
)

COUNTS = ("request_counts.total", "request_counts.completed", "request_counts.failed")
TIMES = ("created_at", "updated_at")


class Quillon(Account):
    """An account at Quillon.

    Args:
        api_key: The key, which follows `Bearer` in the header `Authorization`: text, or a function that returns it.
        project: The project that the batches are in.
        **options: Those of every account: see `batchstatus.Account`.

    Raises:
        ConfigurationError: The key, the project or an option cannot work; the message never shows a key.
    """

    vendor = "quillon"
    BASE_URL = "https://api.quillon.example"
    RATE_LIMIT = RateLimit(10, 1.0)
    KEY_HEADERS: ClassVar[Mapping[str, str]] = {"api_key": "authorization"}
    KEY_SCHEMES: ClassVar[Mapping[str, str]] = {"authorization": "Bearer"}
    SETTINGS: ClassVar[Mapping[str, str | None]] = {"project": None}

    WORDS: ClassVar[Mapping[str, BatchState]] = {
        "validating": BatchState.PENDING,
        "in_progress": BatchState.RUNNING,
        "finalizing": BatchState.RUNNING,
        "cancelling": BatchState.RUNNING,  # some requests may still succeed
        "completed": BatchState.SUCCEEDED,  # single requests may have failed
        "failed": BatchState.FAILED,
        "expired": BatchState.FAILED,  # not all requests were run in time
        "cancelled": BatchState.CANCELLED,
    }
    ERRORS: ClassVar[Mapping[str, type[APIError]]] = {
        "invalid_api_key": AuthenticationError,
        "project_access_denied": PermissionDenied,
        "batch_not_found": BatchNotFound,
        "invalid_batch_id": BadRequest,
    }
    ADVICE: ClassVar[Mapping[type[APIError], str]] = {
        AuthenticationError: "check api_key",
        PermissionDenied: "check project: the key is not one of it",
    }
    PARAMETERS = ("project_id",)
    FIELDS: ClassVar[Mapping[str, str]] = {
        "id": "string",
        "status": "string",
        "request_counts": "object",
        **dict.fromkeys(COUNTS, "number"),
        "errors": "object",
        "errors.data": "array",
        **dict.fromkeys(TIMES, "number"),
    }
    ERROR_FIELDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "code": ("error.code",),
        "message": ("error.message",),
    }
    SIMULATOR = "batchstatus_quillon.simulator:SimulatedQuillon"
    EXAMPLE_ID = "batch_1"
    PROBE_ID = "batch_0"

    def __init__(self, api_key: KeySource, *, project: str, **options: Unpack[AccountOptions]) -> None:
        key = Secret("Quillon's api_key", api_key)
        del api_key  # tracebacks with local variables must not show it
        super().__init__(key, settings={"project": project}, **options)

    def raw_request(self, batch_id: str) -> Request:
        """Return the request for a batch's status; nothing in an id or a project can change its path."""
        project, batch = (quote(part, safe="") for part in (self.settings["project"], batch_id))
        return self.authenticate({"method": "get", "url": f"/v1/projects/{project}/batches/{batch}"})

    def status_fields(self, body: dict[str, Any]) -> StatusFields:
        """Return the fields of a status body, which has no nulls left."""
        total, succeeded, failed = (fields.count(fields.at(body, name)) for name in COUNTS)
        created, updated = (fields.epoch(body.get(name)) for name in TIMES)
        problems = [
            *fields.odd(body, "an object", fields.mapping, "request_counts", "errors"),
            *fields.odd(body, "a list", fields.items, "errors.data"),
            *fields.odd(body, "a count", fields.count, *COUNTS),
            *fields.odd(body, "a time since 1970", fields.epoch, *TIMES),
        ]
        return StatusFields(
            id=body.get("id"),
            status=body["status"],
            counts=Counts(
                total=total,
                processed=None if succeeded is None or failed is None else succeeded + failed,
                succeeded=succeeded,
                failed=failed,
            ),
            failures=tuple(_failure(item) for item in fields.items(fields.at(body, "errors.data")) or ()),
            created_at=created,
            updated_at=updated,
            raw=None,  # there is no generated model
            problems=tuple(problems),
        )

    def error_fields(self, body: Mapping[str, Any]) -> ErrorFields:
        """Return the fields of an error body."""
        return ErrorFields(**fields.error(body, self.ERROR_FIELDS, self.ERRORS))


def _failure(item: object) -> ItemFailure:
    return ItemFailure(
        message=fields.rendering(fields.at(item, "message") or item),
        code=fields.text(fields.at(item, "code")),
        index=fields.count(fields.at(item, "line")),
    )
