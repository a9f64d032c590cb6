"""The simulated Quillon."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from batchstatus.testing.simulator import Query, Quirk, SimulatedBatch, SimulatedVendor, spell

from .account import Quillon

API_KEY = "test-quillon-key"
PROJECT = "test-project"
ERROR_CODES = {400: "invalid_batch_id", 401: "invalid_api_key", 403: "project_access_denied", 404: "batch_not_found"}
"""The vendor's codes by HTTP status."""


class SimulatedQuillon(SimulatedVendor):
    """Quillon."""

    ACCOUNT = Quillon
    KEYS: ClassVar = {"api_key": API_KEY}
    SETTINGS: ClassVar = {"project": PROJECT}
    LIMITS = ((10, 1.0),)
    OPTIONAL = ("updated_at", "output_file_id", "errors")
    SAMPLES = ({"total": 200}, {"total": 50, "failed": 3}, {"total": 80, "failed": 20, "ends": "expired"})

    def new_id(self, number: int) -> str:
        """Return an id in the vendor's form."""
        return f"batch_{1000 + number}"

    def body(self, batch: SimulatedBatch, status: str, share: float, epoch: datetime) -> dict[str, Any]:
        """Return the status body."""
        done = int(batch.total * share + 1e-6)
        failed = max(batch.failed - (batch.total - done), 0)  # the bad requests come last
        counts = {"total": batch.total, "completed": done - failed, "failed": failed}
        if Quirk.CONTRADICTION in batch.quirks:
            counts["completed"] = batch.total + 1
        lines = range(done - failed + 1, done + 1)
        body = {
            "id": batch.id,
            "status": status,
            "created_at": int(epoch.timestamp()),
            "updated_at": int((epoch + timedelta(seconds=batch.seconds * share)).timestamp()),
            "request_counts": spell(counts, batch.quirks),
        }
        if failed:
            found = [{"code": "request_failed", "message": "The request was refused", "line": line} for line in lines]
            body["errors"] = {"data": found}
        return body | ({"output_file_id": f"file_{batch.id}"} if share == 1 else {})

    def error_body(self, status: int) -> dict[str, Any]:
        """Return an error body with the vendor's code for the status."""
        return self.error(ERROR_CODES.get(status, "simulated_error"), f"Simulated {status}")

    def refuse(self, query: Query) -> tuple[int, dict[str, Any]] | None:
        """Return the refusal of a request without the key, over the limit, or for an unknown project or batch."""
        status = None
        if self.key(query, "api_key") != API_KEY:
            status = 401
        elif query.is_over_limit(API_KEY):
            status = 429
        elif Quirk.OUTAGE in query.quirks:
            status = 503
        elif query.settings["project"] != PROJECT:
            status = 403
        elif not query.known:
            status = 404
        return None if status is None else (status, self.error_body(status))
