"""The bodies that the vendors document, and the batch that a person reading the page would write down for each.

Believe's are its page's examples (specs/believe.prose.md); Gameball's page has none, so the shapes of its
spec and of its tutorials serve.
"""

from __future__ import annotations

from datetime import UTC, datetime

from batchstatus import BatchState, Counts, ItemFailure

UUID = "550e8400-e29b-41d4-a716-446655440000"
HASHES = [
    "27FG487NDUAnrs79xRaycwtW3pCPb4G4664P2nFfmZkH1EEVJqmRoFEEHzXS6A6V2HsZ2bBU6QgP1JgfRx9cRPKh",
    "4KkFDQ1MBKHrvsNjbNWDttNdHq4f6bys7T5GUDc7Vb6Uv1hUGDVhHCQamnQFmFjnDTQxga6KMi9Yx6fru2sMucKa",
    "4E6vzH1ep75ArgxFpoXqWgkPinnuFq4kKp2EMnpjcDXKeW5PSfdqQeSusPaxHjf9qfk9ZGcoZkjvY2SzovGdd3Kf",
    "4pCsbF58DHVfpUZdzmBKimLrAPNE75cXf82FejmYvvxe2eUEXhBhV4RFV9btayMrLsA8QUY8ABed4MxXDUpoB9L3",
]
BUNDLE = {"bundleId": "d0f38d76f53a94b1fa1a0e2c6be123da7ce634afa87733939e406d39f659e68e", "txHashes": HASHES}
FINALIZED = {
    "id": UUID,
    "flywheelId": "flywheel_abc123",
    "tokenId": "token_def456",
    "mintAddress": "So11111111111111111111111111111111111111112",
    "status": "FINALIZED",
    "batchIndex": "42",
    "vaultIndex": "0",
    "multisig": "9WzDXwBbmkg8ZTbNMqUxvQRAyrZzDsGYdLVL9zYtAWWM",
    "vaultAddress": "HF8dF3nXy48op4dgdNPc86vqG79JTta7wvEbAWW8NXKv",
    "initResult": {
        "total": 3,
        "totalSuccessful": 3,
        "totalFailed": 0,
        "successfulExecutions": [
            {
                "bundleId": "a1b2c3d4e5f6789012345678901234567890abcdef",
                "txHashes": [
                    "3M9kLp8sVxT2YhF6bE4CfN7ZvB5TdP1KqJ8LoX2GbM4aC9eR",
                    "7Q6nMjKsEgC8WfYpR2CeL5ZhB3TdN9PqJ4LoX7GbV1bF2sC",
                ],
            }
        ],
        "batchIndex": 42,
    },
    "dateCreated": "2025-01-27T12:00:00.000Z",
    "dateUpdated": "2025-01-27T12:05:00.000Z",
}
EXECUTED = {
    **FINALIZED,
    "status": "EXECUTED",
    "executeResult": {"total": 8, "totalSuccessful": 8, "totalFailed": 0, "successfulExecutions": [BUNDLE]},
    "dateUpdated": "2025-01-27T12:10:00.000Z",
}
NOON = datetime(2025, 1, 27, 12, tzinfo=UTC)
DONE = {"customerId": "12345", "message": "Customer created"}
BAD = {"customerId": "67890", "error": "No such customer"}


def spec_shape(**fields):
    return {"batchId": "7", **fields}


def tutorial(**fields):
    empty = {"errorCount": 0, "totalCount": 0, "finishedCount": 0, "startedAt": None, "response": None}
    return {"operation": "Customer Creation", **empty, "createdAt": "2025-01-27T12:00:00Z", **fields}


NOTHING = {"counts": Counts(), "progress": None, "failures": (), "results": (), "created_at": None, "updated_at": None}
ZEROS = {"processed": 0, "succeeded": 0, "failed": 0}
BODIES = {
    "believe-finalized": (
        FINALIZED,
        {**NOTHING, "state": BatchState.REQUIRES_ACTION, "vendor_status": "FINALIZED"}
        | {"created_at": NOON, "updated_at": NOON.replace(minute=5)},
    ),
    "believe-executed": (
        EXECUTED,
        {**NOTHING, "state": BatchState.SUCCEEDED, "counts": Counts(total=8, processed=8, succeeded=8, failed=0)}
        | {"progress": 1.0, "results": (BUNDLE,), "created_at": NOON, "updated_at": NOON.replace(minute=10)},
    ),
    "believe-failed-halfway": (
        FINALIZED
        | {
            "status": "FAILED",
            "executeResult": {
                "total": 8,
                "totalSuccessful": 4,
                "totalFailed": 1,
                "successfulExecutions": [BUNDLE],
                "failedOnTransactionIndex": 4,
                "failedTxMsg": "Blockhash expired",
            },
        },
        {"state": BatchState.FAILED, "counts": Counts(total=8, processed=5, succeeded=4, failed=1), "progress": 5 / 8}
        | {"failures": (ItemFailure(message="Blockhash expired", index=4, phase="execution"),)},
    ),
    "believe-failed-in-its-setup": (
        FINALIZED | {"status": "FAILED", "initResult": {"total": 3, "failedTxMsg": "No funds"}},
        {**NOTHING, "state": BatchState.FAILED, "failures": (ItemFailure(message="No funds", phase="setup"),)}
        | {"created_at": NOON, "updated_at": NOON.replace(minute=5)},
    ),
    "believe-available-to-queue": (
        {"id": UUID, "status": "AVAILABLE_TO_QUEUE", "initResult": None, "executeResult": None},
        {**NOTHING, "state": BatchState.PENDING},
    ),
    "gameball-pending": (
        spec_shape(
            status="pending", progress=0, totalItems=200, processedItems=0, failedItems=0, results=[], errors=[]
        ),
        {**NOTHING, "state": BatchState.PENDING, "counts": Counts(total=200, **ZEROS), "progress": 0.0},
    ),
    "gameball-processing": (
        spec_shape(status="processing", totalItems=200, processedItems=50, failedItems=2),
        {
            "state": BatchState.RUNNING,
            "counts": Counts(total=200, processed=50, succeeded=48, failed=2),
            "progress": 0.25,
        },
    ),
    "gameball-completed-with-failures": (
        spec_shape(
            status="completed",
            totalItems=200,
            processedItems=200,
            failedItems=2,
            results=[DONE],
            errors=[BAD, "No such item"],
        ),
        {
            "state": BatchState.SUCCEEDED,
            "counts": Counts(total=200, processed=200, succeeded=198, failed=2),
            "progress": 1.0,
        }
        | {"results": (DONE,), "is_partial": True}
        | {"failures": (ItemFailure(message="No such customer", id="67890"), ItemFailure(message="No such item"))},
    ),
    "gameball-failed": (
        spec_shape(status="failed", totalItems=2, processedItems=2, failedItems=2, errors=[{"code": 4004, "index": 1}]),
        {"state": BatchState.FAILED, "counts": Counts(total=2, processed=2, succeeded=0, failed=2), "is_partial": False}
        | {"failures": (ItemFailure(message='{"code": 4004, "index": 1}', code="4004", index=1),)},
    ),
    "gameball-with-a-percentage-alone": (
        spec_shape(status="processing", progress=45),
        {**NOTHING, "state": BatchState.RUNNING, "progress": 0.45},
    ),
    "gameball-with-a-progress-of-unknown-scale": (
        spec_shape(status="processing", progress=0.45),
        {**NOTHING, "state": BatchState.RUNNING},
    ),
    "gameball-queued-in-the-tutorials": (
        tutorial(status="queued"),
        {**NOTHING, "state": BatchState.PENDING, "counts": Counts(total=None, **ZEROS), "created_at": NOON},
    ),
    "gameball-running-in-the-tutorials": (
        tutorial(status="running", totalCount=4, finishedCount=1, response={"successful": [DONE], "failed": []}),
        {"state": BatchState.RUNNING, "counts": Counts(total=4, processed=1, succeeded=1, failed=0), "progress": 0.25}
        | {"results": (DONE,), "failures": ()},
    ),
    "gameball-completed-in-the-tutorials": (
        tutorial(
            status="completed",
            totalCount=2,
            finishedCount=1,
            errorCount=1,
            response={"successful": [DONE], "failed": [BAD]},
        ),
        {"state": BatchState.SUCCEEDED, "counts": Counts(total=2, processed=2, succeeded=1, failed=1), "progress": 1.0}
        | {"results": (DONE,), "failures": (ItemFailure(message="No such customer", id="67890"),), "is_partial": True},
    ),
    "gameball-failed-in-the-tutorials": (
        tutorial(status="failed", totalCount=2, errorCount=2, response={"successful": [], "failed": [BAD, DONE]}),
        {"state": BatchState.FAILED, "counts": Counts(total=2, processed=2, succeeded=0, failed=2), "results": ()}
        | {
            "failures": (
                ItemFailure(message="No such customer", id="67890"),
                ItemFailure(message="Customer created", id="12345"),
            )
        },
    ),
    "gameball-stopped-in-the-tutorials": (
        tutorial(status="stopped"),
        {**NOTHING, "state": BatchState.CANCELLED, "counts": Counts(total=0, **ZEROS), "created_at": NOON},
    ),
}
ERROR = {"error": "ERR_BATCH_NOT_FOUND", "message": "Batch not found"}
