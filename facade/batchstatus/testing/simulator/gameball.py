"""The simulated Gameball.

The page documents no shape for the items of `results` and `errors`, nor for a 429: those here are invented.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar

from .model import Query, Quirk, SimulatedBatch, SimulatedVendor, Words, spell, timestamp

GAMEBALL_KEY = "test-gameball-key"
GAMEBALL_SECRET = "test-gameball-secret"  # noqa: S105 (a placeholder that opens nothing)

TUTORIAL_WORDS = Words(pending="queued", running="running", succeeded="completed")
MADE_UP = 90_000
ERROR_CODES = {400: 3000, 401: 1000, 403: 1002, 404: 4004, 500: 5000, 503: 5003}
"""The vendor's codes by HTTP status (vendor docs, status-error-codes)."""


class SimulatedGameball(SimulatedVendor):
    """Gameball."""

    name = "gameball"
    PATH = "/api/v4.0/integrations/batches/{batch_id:path}/status"
    KEYS: ClassVar = {"api_key": GAMEBALL_KEY, "secret_key": GAMEBALL_SECRET}
    LIMITS = ((30, 1.0), (360, 30.0))  # vendor docs, rate-limiting: "Others"
    WORDS = Words(pending="pending", running="processing", succeeded="completed")
    OPTIONAL = ("progress", "totalItems", "processedItems", "failedItems", "results", "errors")
    SAMPLES = (
        {"total": 200},
        {"total": 1_000, "failed": 12},
        {"total": 60, "failed": 60, "ends": "failed"},
        {"total": 480, "ends": "stopped"},
    )

    def new_id(self, number: int) -> str:
        """Return a whole number."""
        return str(1748000 + number)

    def words(self, quirks: Collection[Quirk]) -> Words:
        """Return the page's words, or the tutorials'."""
        return TUTORIAL_WORDS if Quirk.TUTORIAL_SHAPE in quirks else self.WORDS

    def body(self, batch: SimulatedBatch, status: str, share: float, epoch: datetime) -> dict[str, Any]:
        """Return the page's body, or the tutorials'."""
        if Quirk.EMPTY_OBJECT in batch.quirks:
            return {}
        processed = int(batch.total * share + 1e-6)  # 57 of 200 is a share a little below that
        failed = max(batch.failed - (batch.total - processed), 0)  # the bad items come last
        done = [{"customerId": f"c-{n}", "message": "done"} for n in range(1, processed - failed + 1)]
        bad = [{"customerId": f"c-{n}", "message": "refused"} for n in range(processed - failed + 1, processed + 1)]
        if Quirk.TUTORIAL_SHAPE in batch.quirks:
            known = share > 0
            return {
                "operation": "Simulated Batch Job",
                "errorCount": failed,
                "totalCount": batch.total if known else 0,
                "finishedCount": processed - failed,
                "startedAt": timestamp(epoch) if known else None,
                "createdAt": timestamp(epoch),
                "status": status,
                "response": {"successful": done, "failed": bad} if known else None,
            }
        numeric = Quirk.NUMERIC_ID in batch.quirks and batch.id.isascii() and batch.id.isdecimal()
        body: dict[str, Any] = {"batchId": int(batch.id) if numeric else batch.id, "status": status}
        if not {Quirk.PROGRESS_FRACTION, Quirk.PROGRESS_PERCENT}.isdisjoint(batch.quirks):
            return body | {"progress": share if Quirk.PROGRESS_FRACTION in batch.quirks else share * 100}
        if Quirk.CONTRADICTION in batch.quirks:
            processed, failed = batch.total + 1, batch.total + 2
        counts = {"totalItems": batch.total, "processedItems": processed, "failedItems": failed}
        if Quirk.LONG_RESULTS in batch.quirks:
            done = [{"customerId": f"c-{n}", "message": "done"} for n in range(1, 1001)]
        return body | spell(counts, batch.quirks) | {"results": done, "errors": bad}

    def refuse(self, query: Query) -> tuple[int, dict[str, Any]] | None:
        """Return the refusal of a request without both keys, over the limit, or for an unknown batch."""
        key, secret = query.headers.get("apikey"), query.headers.get("secretkey")
        fault: tuple[int, int | None, str, str] | None = None
        if key != GAMEBALL_KEY:
            fault = 401, 1000, "AUTHENTICATION_ERROR", "The API key is missing or wrong"
        elif secret != GAMEBALL_SECRET:
            fault = 401, 1001, "AUTHENTICATION_ERROR", "The secret key is missing or wrong"
        elif query.is_over_limit(key):
            fault = 429, None, "RATE_LIMIT_ERROR", "Too many requests"
        elif Quirk.OUTAGE in query.quirks:
            fault = 503, 5003, "SERVER_ERROR", "Service unavailable"
        elif not query.known:
            fault = 404, 4004, "NOT_FOUND_ERROR", "The batch was not found"
        if fault is None:
            return None
        status, code, kind, message = fault
        if Quirk.OTHER_ERROR_SHAPE in query.quirks:
            return status, {"error": status, "message": message}
        return status, error(code, kind, message, f"sim-{query.number}", as_text=Quirk.TEXT_CODE in query.quirks)

    def error_body(self, status: int) -> dict[str, Any]:
        """Return an error body with the vendor's code for the status, or a made-up one if its pages have none."""
        code = ERROR_CODES.get(status, MADE_UP + status if status != 429 else None)
        return error(code, "SIMULATED", f"Simulated {status}", "simulated")


def error(code: int | None, kind: str, message: str, request_id: str, *, as_text: bool = False) -> dict[str, Any]:
    """Return an error body as Gameball's pages on errors show it; a 429 has no code of its own there."""
    body: dict[str, Any] = {"type": kind, "message": message, "requestId": request_id}
    return body if code is None else {"code": str(code) if as_text else code} | body


VENDOR = SimulatedGameball()
