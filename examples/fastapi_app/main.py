"""A web application that follows batches which were started elsewhere: `uvicorn main:app`.

It hears of them in two ways, and yours may need one only: it polls those that it is told to follow, and it takes the
changes that a service posts: `batchstatus run --deliver https://example.com/hooks/batchstatus`.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

from batchstatus import AsyncBatchClient, Batch, BatchNotFound, BatchStatusError, ConfigurationError
from batchstatus.webhooks import WebhookVerificationError, verify
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

HOOK_SECRET = os.environ["HOOK_SECRET"]  # the same as the service has in BATCHSTATUS_DELIVER_SECRET


class Batches:
    """The batches as last read. Yours are in a database, with the work that an end sets off in the same transaction."""

    def __init__(self, client: AsyncBatchClient, stop: asyncio.Event) -> None:
        self.client = client
        self.following = client.follow(stop=stop)
        self.known: dict[str, Batch] = {}

    async def keep_up(self) -> None:
        async for outcome in self.following:
            if outcome.batch is not None:  # else the vendor denies it, and it is followed no more
                self.record(outcome.batch)

    def record(self, batch: Batch) -> None:
        """Keep a reading, unless a newer one is there: a delivery may come late, or twice."""
        known = self.known.get(str(batch.ref))
        if known is None or known.read_at < batch.read_at:
            self.known[str(batch.ref)] = batch


class State(TypedDict):
    batches: Batches


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    """Have one client for as long as the application runs: it holds the connections and the pace."""
    stop = asyncio.Event()
    async with AsyncBatchClient.from_env() as client, asyncio.TaskGroup() as tasks:
        batches = Batches(client, stop)
        tasks.create_task(batches.keep_up())
        yield {"batches": batches}
        stop.set()


async def of_the_application(request: Request) -> Batches:
    batches: Batches = request.state.batches
    return batches


app = FastAPI(lifespan=lifespan)
Known = Annotated[Batches, Depends(of_the_application)]


@app.exception_handler(BatchStatusError)
async def explain(_: Request, error: BatchStatusError) -> Response:
    """Say why a batch cannot be read; no message of batchstatus shows a key."""
    status = 422 if isinstance(error, ConfigurationError) else 404 if isinstance(error, BatchNotFound) else 503
    return JSONResponse({"detail": str(error)}, status)


class Started(BaseModel):
    ref: str


@app.post("/batches", status_code=202)
async def follow(started: Started, batches: Known) -> None:
    """Follow a batch from now on."""
    batches.following.add(started.ref)


@app.get("/batches/{ref:path}")
async def show(ref: str, batches: Known) -> dict[str, Any]:
    """Give a batch as last heard of, or ask its vendor."""
    batch = batches.known.get(ref) or await batches.client.get(ref, timeout=10)
    return batch.to_dict(results=False)


@app.post("/hooks/batchstatus", status_code=204)
async def hook(request: Request, batches: Known) -> None:
    """Take a change that a service delivers."""
    try:
        change = verify(request.headers, await request.body(), HOOK_SECRET)
    except WebhookVerificationError as error:
        raise HTTPException(401) from error
    if change.batch is not None:  # else it is lost: the vendor denies it
        batches.record(Batch.from_dict(change.batch))
