"""What the simulated vendors answer: each quirk that can reach a caller, and the bodies of batches and errors.

Where a vendor documents no shape (the items of Gameball's arrays, both vendors' 429), the shape here is invented.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from attrs import frozen


class Quirk(Enum):
    """What a vendor may do otherwise than its page says; each can be switched on for one batch or for all."""

    TUTORIAL_SHAPE = "Gameball: the tutorials' body with their words and explicit nulls, no id (G10, G13, G25)"
    EMPTY_OBJECT = "Gameball: {} is a valid 200 (G6)"
    NUMERIC_ID = "Gameball: the id as a number, as creation returns it (G14)"
    PROGRESS_FRACTION = "Gameball: no counts, and progress from 0 to 1 (G8)"
    PROGRESS_PERCENT = "Gameball: no counts, and progress from 0 to 100 (G8)"
    LONG_RESULTS = "Gameball: 1,000 results at once (G26)"
    OTHER_ERROR_SHAPE = "Gameball: an error body of `error`, the HTTP status, and `message` (G4)"
    TEXT_CODE = "Gameball: the error code as text (G4)"
    INTEGER_CODE = "Believe: the error code as the spec has it, an integer (B4)"
    SCOPE_IS_401 = "Believe: the scope error with 401 instead of 403 (B6)"
    ONLY_UUIDS = "Believe: 400 for an id that is no UUID (B8)"
    NUMERIC_INDEX = "Believe: batchIndex and vaultIndex as numbers (B10, B11)"
    UPPER_CASE_ID = "Believe: the UUID echoed in upper case (B13)"
    SETUP_FAILED = "Believe: FAILED by its set-up, without an execution (B16)"
    CONTRADICTION = "Counts that contradict each other (G12, B24)"
    FLOAT_COUNTS = "Counts as numbers with a decimal point (G7, B12)"
    TEXT_COUNTS = "Counts as text (G7, B12)"
    NULLS = "Absent fields as null (G22, B17)"
    MISSING_FIELDS = "Nothing but id and status (G6, B18)"
    RETRY_AFTER = "A Retry-After with each 429 and 503 (G21, B7)"
    OUTAGE = "503 for every read (G4, B9)"
    HTML_ERRORS = "Errors as HTML pages (G4, B9)"


@frozen(kw_only=True)
class Words:
    """A vendor's words for the three phases of a batch that goes well."""

    pending: str
    running: str
    succeeded: str


WORDS = {
    "gameball": Words(pending="pending", running="processing", succeeded="completed"),
    "believe": Words(pending="AVAILABLE_TO_QUEUE", running="FINALIZED", succeeded="EXECUTED"),
}
TUTORIAL_WORDS = Words(pending="queued", running="running", succeeded="completed")
NOT_BEGUN = frozenset({"pending", "queued", "available_to_queue"})
DONE = frozenset({"completed", "finished", "failed", "executed"})
"""Both compared without case, as older pages of Gameball write `Completed`."""
PENDING_SHARE = 0.2
"""Of a batch's time it is pending for this share."""


@frozen(kw_only=True)
class SimulatedBatch:
    """A batch that stands still in one status, or moves through its phases as time passes."""

    vendor: str
    id: str
    status: str | None
    ends: str | None = None
    seconds: float = 10.0
    total: int = 8
    failed: int = 0
    quirks: frozenset[Quirk] = frozenset()
    added: float = 0.0

    @property
    def words(self) -> Words:
        return TUTORIAL_WORDS if Quirk.TUTORIAL_SHAPE in self.quirks else WORDS[self.vendor]

    def at(self, now: float) -> tuple[str, float]:
        """Return the status word and the share that is done, 0.0 to 1.0."""
        words = self.words
        if self.status is not None:
            word = self.status.casefold()
            return self.status, 0.0 if word in NOT_BEGUN else 1.0 if word in DONE else 0.5
        share = min((now - self.added) / self.seconds, 1.0) if self.seconds > 0 else 1.0
        if share < PENDING_SHARE:
            return words.pending, 0.0
        if self.vendor == "believe" and Quirk.SETUP_FAILED in self.quirks:
            return self.ends or "FAILED", 1.0  # it is never executed
        return (words.running, share) if share < 1.0 else (self.ends or words.succeeded, 1.0)


def body(batch: SimulatedBatch, status: str, share: float, epoch: datetime) -> dict[str, Any]:
    """Return the 200 body of a batch that has the given status word and share done."""
    make = {"gameball": _gameball, "believe": _believe}[batch.vendor]
    answer = make(batch, status, share, epoch)
    if Quirk.MISSING_FIELDS in batch.quirks:
        answer = {key: answer[key] for key in ("id", "batchId", "status") if key in answer}
    if Quirk.NULLS in batch.quirks:
        answer = {**dict.fromkeys(OPTIONAL[batch.vendor]), **answer}
    return answer


OPTIONAL = {
    "gameball": ("progress", "totalItems", "processedItems", "failedItems", "results", "errors"),
    "believe": ("initResult", "executeResult"),
}


def _gameball(batch: SimulatedBatch, status: str, share: float, epoch: datetime) -> dict[str, Any]:
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
            "startedAt": _time(epoch) if known else None,
            "createdAt": _time(epoch),
            "status": status,
            "response": {"successful": done, "failed": bad} if known else None,
        }
    numeric = Quirk.NUMERIC_ID in batch.quirks and batch.id.isascii() and batch.id.isdecimal()
    answer: dict[str, Any] = {"batchId": int(batch.id) if numeric else batch.id, "status": status}
    if not {Quirk.PROGRESS_FRACTION, Quirk.PROGRESS_PERCENT}.isdisjoint(batch.quirks):
        return answer | {"progress": share if Quirk.PROGRESS_FRACTION in batch.quirks else share * 100}
    if Quirk.CONTRADICTION in batch.quirks:
        processed, failed = batch.total + 1, batch.total + 2
    counts = {"totalItems": batch.total, "processedItems": processed, "failedItems": failed}
    if Quirk.LONG_RESULTS in batch.quirks:
        done = [{"customerId": f"c-{n}", "message": "done"} for n in range(1, 1001)]
    return answer | _spelled(counts, batch.quirks) | {"results": done, "errors": bad}


def _believe(batch: SimulatedBatch, status: str, share: float, epoch: datetime) -> dict[str, Any]:
    index = 42 if Quirk.NUMERIC_INDEX in batch.quirks else "42"
    updated = epoch + timedelta(seconds=batch.seconds * share)
    answer: dict[str, Any] = {
        "id": batch.id.upper() if Quirk.UPPER_CASE_ID in batch.quirks and is_uuid(batch.id) else batch.id,
        "flywheelId": "flywheel_simulated",
        "tokenId": "token_simulated",
        "mintAddress": "simulated-mint",
        "status": status,
        "batchIndex": index,
        "vaultIndex": 0 if Quirk.NUMERIC_INDEX in batch.quirks else "0",
        "multisig": "simulated-multisig",
        "vaultAddress": "simulated-vault",
        "dateCreated": _time(epoch),
        "dateUpdated": _time(updated),
    }
    if share == 0:
        return answer
    if Quirk.SETUP_FAILED in batch.quirks:
        setup = {**_pipeline(total=3, failed=1, quirks=batch.quirks), "failedTxMsg": "setup ran out of funds"}
        return answer | {"initResult": setup | {"batchIndex": 42}}
    answer["initResult"] = _pipeline(total=3, failed=0, quirks=batch.quirks) | {"batchIndex": 42}
    if share == 1:
        answer["executeResult"] = _pipeline(total=batch.total, failed=batch.failed, quirks=batch.quirks)
        if batch.failed:
            stop = {"failedOnTransactionIndex": batch.total - batch.failed, "failedTxMsg": "transaction reverted"}
            answer["executeResult"] |= stop | {"failedStartTransactionIndex": batch.total - batch.failed}
    return answer


def _pipeline(*, total: int, failed: int, quirks: frozenset[Quirk]) -> dict[str, Any]:
    succeeded = total - failed
    hashes = [f"simulated-hash-{n}" for n in range(1, succeeded + 1)]
    bundles = [hashes[start : start + 4] for start in range(0, len(hashes), 4)]
    if Quirk.CONTRADICTION in quirks:
        succeeded = total + 1
    counts = {"total": total, "totalSuccessful": succeeded, "totalFailed": failed}
    done = [{"bundleId": f"simulated-bundle-{n}", "txHashes": bundle} for n, bundle in enumerate(bundles, start=1)]
    absent = {"failedTxMsg": None} if Quirk.NULLS in quirks else {}
    return {**absent, **_spelled(counts, quirks), "successfulExecutions": done}


def _spelled(counts: dict[str, int], quirks: frozenset[Quirk]) -> dict[str, Any]:
    if Quirk.FLOAT_COUNTS in quirks:
        return {name: float(value) for name, value in counts.items()}
    if Quirk.TEXT_COUNTS in quirks:
        return {name: str(value) for name, value in counts.items()}
    return dict(counts)


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def gameball_error(
    status: int, code: int | None, *, kind: str, message: str, request_id: str, quirks: Iterable[Quirk]
) -> dict[str, Any]:
    """Return an error body as Gameball's pages on errors show it; a 429 has no code of its own there."""
    if Quirk.OTHER_ERROR_SHAPE in quirks:
        return {"error": status, "message": message}
    answer: dict[str, Any] = {"type": kind, "message": message, "requestId": request_id}
    return answer if code is None else {"code": str(code) if Quirk.TEXT_CODE in quirks else code} | answer


def believe_error(code: str, status: int, message: str, quirks: Iterable[Quirk]) -> dict[str, Any]:
    """Return an error body as Believe's page shows it (P-B L191), or as its spec has it (P-B L333)."""
    return {"error": status if Quirk.INTEGER_CODE in quirks else code, "message": message}


def error_body(vendor: str, status: int) -> dict[str, Any]:
    """Return the body that goes with an error status, where nothing else is said."""
    message = f"Simulated {status}"
    if vendor == "believe":
        return believe_error(BELIEVE_CODES.get(status, "ERR_SIMULATED"), status, message, ())
    code = GAMEBALL_CODES.get(status)
    return gameball_error(status, code, kind="SIMULATED", message=message, request_id="simulated", quirks=())


GAMEBALL_CODES = {400: 3000, 401: 1000, 403: 1002, 404: 4004, 500: 5000, 503: 5003}
BELIEVE_CODES = {401: "ERR_UNAUTHORIZED", 403: "ERR_KEY_SCOPES_UNAUTHORIZED", 404: "ERR_BATCH_NOT_FOUND"}
"""The vendors' codes by HTTP status (vendor docs, status-error-codes; copies of docs.believe.app)."""


def is_uuid(text: str) -> bool:
    """Return whether the text is a UUID in its usual form, of either case."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
