"""Read a body through the facade and print what it says, as JSON: a process of its own, on the drilled clients."""

from __future__ import annotations

import json
import sys
from urllib.parse import urlsplit

import httpx
from batchstatus import BatchClient, BatchRef, BatchStatusError, Response, RetryPolicy
from batchstatus.testing.simulator.model import simulated_vendors


class Canned:
    def __init__(self, status, body):
        self.response = httpx.Response(status, json=body)

    def send(self, step, timeout):
        return Response(
            status=self.response.status_code, headers=dict(self.response.headers), body=self.response.content
        )

    def discard_idle_connections(self): ...

    def close(self): ...


def main():
    vendor, given = sys.argv[1], json.load(sys.stdin)
    account = simulated_vendors()[vendor].account(None)
    request = account.request(account.EXAMPLE_ID)
    said = {
        "method": request.method,
        "query": urlsplit(request.url).query,
        "headers": {**request.headers},
        "keys": sorted(request.keys),
    }
    transport = Canned(given["status"], given["body"])
    try:
        with BatchClient(account, transport=transport, retry=RetryPolicy(attempts=1)) as client:
            batch = client.get(BatchRef(vendor, account.EXAMPLE_ID))
    except BatchStatusError as error:
        said |= {"error": type(error).__name__, "code": getattr(error, "code", None), "message": str(error)}
    else:
        counts = batch.counts
        said |= {
            "state": batch.state.name,
            "vendor_status": batch.vendor_status,
            "counts": [counts.total, counts.processed, counts.succeeded, counts.failed],
            "progress": batch.progress,
            "results": list(batch.results),
            "failures": [failure.message for failure in batch.failures],
            "updated_at": batch.updated_at and batch.updated_at.isoformat(),
            "payload": batch.payload,
            "has_raw": batch.raw is not None,
            "problems": list(batch.problems),
        }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
