"""The simulated Believe; the page documents no 429, so that one is invented."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, ClassVar

from batchstatus import BatchState, Believe

from .model import PENDING_SHARE, Query, Quirk, SimulatedBatch, SimulatedVendor, spell, timestamp, word_for

BELIEVE_KEY = "test-believe-key"
BELIEVE_KEY_WITHOUT_SCOPE = "test-believe-key-without-scope"

FIRST_UUID = uuid.UUID("be11e7e0-ba7c-4000-8000-000000000000").int
"""Ids count from here; they have letters, so that BelieveQuirk.UPPER_CASE_ID shows in them."""
FAILED = word_for(Believe, BatchState.FAILED)
ERROR_CODES = {401: "ERR_UNAUTHORIZED", 403: "ERR_KEY_SCOPES_UNAUTHORIZED", 404: "ERR_BATCH_NOT_FOUND"}
"""The vendor's codes by HTTP status (copies of docs.believe.app)."""


class BelieveQuirk(Enum):
    """A way in which Believe may depart from its page."""

    INTEGER_CODE = "the error code as the spec has it, an integer (B4)"
    SCOPE_IS_401 = "the scope error with 401 instead of 403 (B6)"
    ONLY_UUIDS = "400 for an id that is not a UUID (B8)"
    NUMERIC_INDEX = "batchIndex and vaultIndex as numbers (B10, B11)"
    UPPER_CASE_ID = "the UUID echoed in upper case (B13)"
    SETUP_FAILED = "FAILED by its set-up, without an execution (B16)"


class SimulatedBelieve(SimulatedVendor):
    """Believe."""

    ACCOUNT = Believe
    KEYS: ClassVar = {"api_key": BELIEVE_KEY}
    LIMITS = ((10, 1.0),)  # per key (the page, Rate Limiting)
    RUNNING = BatchState.REQUIRES_ACTION
    OPTIONAL = ("initResult", "executeResult")
    SAMPLES = ({}, {"ends": FAILED, "failed": 3})

    def new_id(self, number: int) -> str:
        """Return a UUID."""
        return str(uuid.UUID(int=FIRST_UUID + number))

    def phase(self, batch: SimulatedBatch, now: float) -> tuple[str, float]:
        """Return the status word and the share done; a batch whose set-up fails is never executed."""
        word, share = super().phase(batch, now)
        if batch.status is None and share >= PENDING_SHARE and BelieveQuirk.SETUP_FAILED in batch.quirks:
            return batch.ends or FAILED, 1.0
        return word, share

    def body(self, batch: SimulatedBatch, status: str, share: float, epoch: datetime) -> dict[str, Any]:
        """Return the page's body: results of the set-up once it has run, of the execution at its end."""
        numeric = BelieveQuirk.NUMERIC_INDEX in batch.quirks
        body: dict[str, Any] = {
            "id": batch.id.upper() if BelieveQuirk.UPPER_CASE_ID in batch.quirks and is_uuid(batch.id) else batch.id,
            "flywheelId": "flywheel_simulated",
            "tokenId": "token_simulated",
            "mintAddress": "simulated-mint",
            "status": status,
            "batchIndex": 42 if numeric else "42",
            "vaultIndex": 0 if numeric else "0",
            "multisig": "simulated-multisig",
            "vaultAddress": "simulated-vault",
            "dateCreated": timestamp(epoch),
            "dateUpdated": timestamp(epoch + timedelta(seconds=batch.seconds * share)),
        }
        body = self.completed(body)
        if share == 0:
            return body
        if BelieveQuirk.SETUP_FAILED in batch.quirks:
            setup = {**pipeline(total=3, failed=1, quirks=batch.quirks), "failedTxMsg": "setup ran out of funds"}
            return body | {"initResult": setup | {"batchIndex": 42}}
        body["initResult"] = pipeline(total=3, failed=0, quirks=batch.quirks) | {"batchIndex": 42}
        if share == 1:
            body["executeResult"] = pipeline(total=batch.total, failed=batch.failed, quirks=batch.quirks)
            if batch.failed:
                stop = {"failedOnTransactionIndex": batch.total - batch.failed, "failedTxMsg": "transaction reverted"}
                body["executeResult"] |= stop | {"failedStartTransactionIndex": batch.total - batch.failed}
        return body

    def refuse(self, query: Query) -> tuple[int, dict[str, Any]] | None:
        """Return the refusal of a request without a key, without the scope, over the limit, or for an unknown batch."""
        key = self.key(query, "api_key")
        fault: tuple[int, str, str] | None = None
        if key is None:
            fault = 401, "ERR_UNAUTHORIZED", "API key is missing"
        elif key not in {BELIEVE_KEY, BELIEVE_KEY_WITHOUT_SCOPE}:
            fault = 401, "ERR_KEY_NOT_FOUND", "API key not found"
        elif query.is_over_limit(key):
            fault = 429, "ERR_RATE_LIMITED", "Too many requests"
        elif key == BELIEVE_KEY_WITHOUT_SCOPE:
            status = 401 if BelieveQuirk.SCOPE_IS_401 in query.quirks else 403
            fault = status, "ERR_KEY_SCOPES_UNAUTHORIZED", "API key lacks the scope"
        elif Quirk.OUTAGE in query.quirks:
            fault = 503, "ERR_UNAVAILABLE", "Service unavailable"
        elif BelieveQuirk.ONLY_UUIDS in query.quirks and not is_uuid(query.id):
            fault = 400, "ERR_INVALID_ID", "The batch id must be a UUID"
        elif not query.known:
            fault = 404, "ERR_BATCH_NOT_FOUND", "Batch not found"
        if fault is None:
            return None
        status, code, message = fault
        # As the page shows it (Error Codes), or as its spec has it (B4).
        return status, self.error(status if BelieveQuirk.INTEGER_CODE in query.quirks else code, message)

    def error_body(self, status: int) -> dict[str, Any]:
        """Return an error body with the vendor's code for the status."""
        return self.error(ERROR_CODES.get(status, "ERR_SIMULATED"), f"Simulated {status}")


def pipeline(*, total: int, failed: int, quirks: Collection[Enum]) -> dict[str, Any]:
    """Return the result of a set-up or an execution."""
    succeeded = total - failed
    hashes = [f"simulated-hash-{n}" for n in range(1, succeeded + 1)]
    bundles = [hashes[start : start + 4] for start in range(0, len(hashes), 4)]
    if Quirk.CONTRADICTION in quirks:
        succeeded = total + 1
    counts = {"total": total, "totalSuccessful": succeeded, "totalFailed": failed}
    done = [{"bundleId": f"simulated-bundle-{n}", "txHashes": bundle} for n, bundle in enumerate(bundles, start=1)]
    absent = {"failedTxMsg": None} if Quirk.NULLS in quirks else {}
    return {**absent, **spell(counts, quirks), "successfulExecutions": done}


def is_uuid(text: str) -> bool:
    """Return whether the text is a UUID in its usual form, of either case."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
