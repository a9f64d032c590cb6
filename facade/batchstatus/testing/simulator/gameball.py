"""The simulated Gameball.

The page documents no shape for the items of `results` and `errors`, nor for a 429: those here are invented.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar

from batchstatus import BatchState, Gameball

from .model import Query, Quirk, SimulatedBatch, SimulatedVendor, Words, spell, timestamp, word_for

GAMEBALL_KEY = "test-gameball-key"
GAMEBALL_SECRET = "test-gameball-secret"  # noqa: S105 (a placeholder that opens nothing)

TUTORIAL_WORDS = Words(pending="queued", running="running", succeeded="completed")
MADE_UP = 90_000
ERROR_CODES = {400: 3000, 401: 1000, 403: 1002, 404: 4004, 500: 5000, 503: 5003}
"""The vendor's codes by HTTP status (vendor docs, status-error-codes)."""


class GameballQuirk(Enum):
    """A way in which Gameball may depart from its page."""

    TUTORIAL_SHAPE = "the tutorials' body with their words and explicit nulls, no id (G10, G13, G25)"
    EMPTY_OBJECT = "{} is a valid 200 (G6)"
    NUMERIC_ID = "the id as a number, as creation returns it (G14)"
    PROGRESS_FRACTION = "no counts, and progress from 0 to 1 (G8)"
    PROGRESS_PERCENT = "no counts, and progress from 0 to 100 (G8)"
    LONG_RESULTS = "1,000 results at once (G26)"
    OTHER_ERROR_SHAPE = "an error body of `error`, the HTTP status, and `message` (G4)"
    TEXT_CODE = "the error code as text (G4)"


class SimulatedGameball(SimulatedVendor):
    """Gameball."""

    ACCOUNT = Gameball
    KEYS: ClassVar = {"api_key": GAMEBALL_KEY, "secret_key": GAMEBALL_SECRET}
    LIMITS = ((30, 1.0), (360, 30.0))  # vendor docs, rate-limiting: "Others"
    OPTIONAL = ("progress", "totalItems", "processedItems", "failedItems", "results", "errors")
    SAMPLES = (
        {"total": 200},
        {"total": 1_000, "failed": 12},
        {"total": 60, "failed": 60, "ends": word_for(Gameball, BatchState.FAILED)},
        {"total": 480, "ends": word_for(Gameball, BatchState.CANCELLED)},
    )

    def new_id(self, number: int) -> str:
        """Return a whole number."""
        return str(1748000 + number)

    def words(self, quirks: Collection[Enum]) -> Words:
        """Return the page's words, or the tutorials'."""
        return TUTORIAL_WORDS if GameballQuirk.TUTORIAL_SHAPE in quirks else super().words(quirks)

    def body(self, batch: SimulatedBatch, status: str, share: float, epoch: datetime) -> dict[str, Any]:
        """Return the page's body, or the tutorials'."""
        if GameballQuirk.EMPTY_OBJECT in batch.quirks:
            return {}
        processed = int(batch.total * share + 1e-6)  # 57 of 200 is a share a little below that
        failed = max(batch.failed - (batch.total - processed), 0)  # the bad items come last
        done = [{"customerId": f"c-{n}", "message": "done"} for n in range(1, processed - failed + 1)]
        bad = [{"customerId": f"c-{n}", "message": "refused"} for n in range(processed - failed + 1, processed + 1)]
        if GameballQuirk.TUTORIAL_SHAPE in batch.quirks:
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
        numeric = GameballQuirk.NUMERIC_ID in batch.quirks and batch.id.isascii() and batch.id.isdecimal()
        body = self.completed({"batchId": int(batch.id) if numeric else batch.id, "status": status})
        if not {GameballQuirk.PROGRESS_FRACTION, GameballQuirk.PROGRESS_PERCENT}.isdisjoint(batch.quirks):
            return body | {"progress": share if GameballQuirk.PROGRESS_FRACTION in batch.quirks else share * 100}
        if Quirk.CONTRADICTION in batch.quirks:
            processed, failed = batch.total + 1, batch.total + 2
        counts = {"totalItems": batch.total, "processedItems": processed, "failedItems": failed}
        if GameballQuirk.LONG_RESULTS in batch.quirks:
            done = [{"customerId": f"c-{n}", "message": "done"} for n in range(1, 1001)]
        return body | spell(counts, batch.quirks) | {"results": done, "errors": bad}

    def refuse(self, query: Query) -> tuple[int, dict[str, Any]] | None:
        """Return the refusal of a request without both keys, over the limit, or for an unknown batch."""
        key, secret = self.key(query, "api_key"), self.key(query, "secret_key")
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
        if GameballQuirk.OTHER_ERROR_SHAPE in query.quirks:
            return status, {"error": status, "message": message}
        written = str(code) if code is not None and GameballQuirk.TEXT_CODE in query.quirks else code
        return status, self.error(written, message) | {"type": kind, "requestId": f"sim-{query.number}"}

    def error_body(self, status: int) -> dict[str, Any]:
        """Return an error body with the vendor's code for the status, or a made-up one if its pages have none."""
        code = ERROR_CODES.get(status, MADE_UP + status if status != 429 else None)
        return self.error(code, f"Simulated {status}") | {"type": "SIMULATED", "requestId": "simulated"}
