"""The activities: what a worker with accounts does for workflows.

A checkpoint goes along in the heartbeat, so that any worker takes up the wait of any other. Time is the server's,
from when it first scheduled the activity to when it started this attempt: workers' clocks may differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from batchstatus import (
    AsyncBatchClient,
    BatchRef,
    BatchState,
    BatchStatusError,
    ConfigurationError,
    Outcome,
    Step,
    WaitError,
    WaitStopped,
    WaitTimeout,
)
from batchstatus.engines._checkpoint import resumed
from batchstatus.engines._payload import fitting, standing

from .messages import NOT_ENDED, READ, WAIT, WAIT_MANY, WAIT_TIMEOUT, WaitManyRequest, WaitRequest

BEAT = 10.0
"""Seconds between two heartbeats if the activity has no heartbeat timeout; else a third of that."""
STEP = 45.0
"""Seconds for one poll, the wait for a slot of the pace included."""
LAST_LOOK = 10.0
"""Seconds before the end in which a read stays and polls as a wait does; half of a timeout below 20 s. A
server's timer may be late by a second, and more if it is busy."""
TO_REPORT = 1.0
"""Seconds at the end that are left to tell the server; a tenth of a timeout below 10 s."""
MIN_WAIT = 5.0
"""Seconds for the last look if the time is up, for all batches together."""
SHORTEST = 0.1
"""Seconds for a poll that begins when the time is all but up."""
TAKE_UP = timedelta(seconds=0.1)
"""Until another worker takes up the wait of one that leaves."""
MAX_PAYLOAD = 1_500_000
"""Bytes of a batch, or of all of them: a server takes 2 MB."""


class Activities:
    """The activities over one client, which stays the caller's."""

    def __init__(self, client: AsyncBatchClient) -> None:
        self._client = client

    def all(self) -> Sequence[Callable[..., Any]]:
        """Return what a worker registers."""
        return self.read, self.wait, self.wait_many

    @activity.defn(name=READ)
    async def read(self, request: WaitRequest) -> dict[str, Any]:
        """Poll once, and let the server call again when it is time; near the end of the time, wait for it."""
        async with _attempt(_known(request)) as beats:
            left = _left(request.timeout)
            last_look = min(LAST_LOOK, request.timeout / 2)
            if request.is_last_look or left <= last_look:
                return await self._wait(request, left, beats)
            (ref, until), started = _asked(request), asyncio.get_running_loop().time()
            step = await resumed(
                beats.details,
                lambda resume: self._client.step(ref, until=until, resume=resume, timeout=min(STEP, left)),
            )
            beats.tell(step.checkpoint)
            if step.pause is None:
                return _ended(step, request)
            left -= asyncio.get_running_loop().time() - started
            raise _not_ended(step, max(min(step.pause, left - last_look), 0.0))

    @activity.defn(name=WAIT)
    async def wait(self, request: WaitRequest) -> dict[str, Any]:
        """Poll until the batch has ended."""
        async with _attempt(_known(request)) as beats:
            return await self._wait(request, _left(request.timeout), beats)

    @activity.defn(name=WAIT_MANY)
    async def wait_many(self, request: WaitManyRequest) -> dict[str, Any]:
        """Poll until all batches have ended; the ended ones are in the heartbeat."""
        async with _attempt(_known(request)) as beats:
            found: dict[str, Any] = dict(beats.details or {})
            most = MAX_PAYLOAD // max(len(request.refs), 1)
            refs = [ref for ref in map(_parsed, request.refs) if str(ref) not in found]
            left = _time(request, _left(request.timeout))
            async with _shutdown() as stop:
                async for outcome in self._client.as_completed(refs, timeout=left, stop=stop):
                    if not isinstance(outcome.error, WaitStopped):
                        found[str(outcome.ref)] = _outcome(outcome, most)
                        beats.tell(found)
            if len(found) < len(request.refs):
                raise _leaving()
            return found

    async def _wait(self, request: WaitRequest, left: float, beats: _Beats) -> dict[str, Any]:
        """Wait in this attempt for the time that is left, and a moment if none is."""
        ref, until = _asked(request)
        async with _shutdown() as stop:
            try:
                batch = await resumed(
                    beats.details,
                    lambda resume: self._client.wait(
                        ref,
                        timeout=_time(request, left),
                        until=until,
                        resume=resume,
                        on_checkpoint=beats.tell,
                        stop=stop,
                    ),
                )
            except WaitStopped as error:
                beats.tell(error.checkpoint)
                raise _leaving() from None
            except WaitTimeout as error:
                raise _timed_out(request, error) from None
        return fitting(batch, results=request.results, most=MAX_PAYLOAD)


class _Beats:
    """The heartbeat of an attempt, and its details: those of the last one go along with each."""

    def __init__(self, details: Any) -> None:
        self.details = details

    def tell(self, details: Any) -> None:
        """Beat with other details from now on."""
        self.details = details
        self.beat()

    def beat(self) -> None:
        """Beat: without details, the server would forget the last ones."""
        activity.heartbeat(*([] if self.details is None else [self.details]))

    async def go_on(self) -> None:
        """Beat until cancelled: the server answers with a cancellation of the activity, and learns that it is alive."""
        timeout = activity.info().heartbeat_timeout
        seconds = BEAT if not timeout else timeout.total_seconds() / 3
        while True:
            self.beat()
            await asyncio.sleep(seconds)


@asynccontextmanager
async def _attempt(details: Any) -> AsyncIterator[_Beats]:
    """Beat during an attempt, and raise what ends it in Temporal's terms."""
    beats = _Beats(details)
    beating = asyncio.create_task(beats.go_on())
    try:
        yield beats
    except asyncio.CancelledError:
        if not _is_leaving():
            raise
        beats.beat()
        raise _leaving() from None
    except ConfigurationError:
        # A request is checked before. What is left is this worker's: no account for it, or a client that is closed.
        # Another worker, or this one when it is mended, may do better, so the server tries again.
        raise
    except BatchStatusError as error:
        raise _refused(error) from None
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


@asynccontextmanager
async def _shutdown() -> AsyncIterator[asyncio.Event]:
    """Give an event that is set when the worker shuts down, so that a wait hands over what it knows."""
    stop = asyncio.Event()

    async def look() -> None:
        await activity.wait_for_worker_shutdown()
        stop.set()

    looking = asyncio.create_task(look())
    try:
        yield stop
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


def _is_leaving() -> bool:
    """Return whether an attempt was cancelled as its worker shuts down, and not by request."""
    details = activity.cancellation_details()
    return activity.is_worker_shutdown() and not (details is not None and details.cancel_requested)


def _known(request: WaitRequest | WaitManyRequest) -> dict[str, Any] | None:
    """Return what the attempts before have left: a checkpoint, or outcomes."""
    found: dict[str, Any] | None = next(iter(activity.info().heartbeat_details), None) or request.resume
    return found


def _left(timeout: float) -> float:
    """Return the seconds that were left when this attempt started, by the server's clock, but for the report."""
    info = activity.info()
    return timeout - (info.started_time - info.scheduled_time).total_seconds() - min(TO_REPORT, timeout / 10)


def _time(request: WaitRequest | WaitManyRequest, left: float) -> float:
    """Return the timeout of a wait within this attempt."""
    return MIN_WAIT if request.is_last_look else max(left, SHORTEST)


def _asked(request: WaitRequest) -> tuple[BatchRef, list[BatchState]]:
    """Return the ref and the states of a request; one that no worker can serve is not tried again."""
    try:
        return _parsed(request.ref), [BatchState(word) for word in request.until]
    except ValueError as error:
        raise _never(error) from None


def _parsed(ref: str) -> BatchRef:
    try:
        return BatchRef.parse(ref)
    except ConfigurationError as error:
        raise _never(error) from None


def _never(error: ValueError) -> ApplicationError:
    return ApplicationError(str(error), type=ConfigurationError.__name__, non_retryable=True)


def _ended(step: Step, request: WaitRequest) -> dict[str, Any]:
    """Return the batch of a wait that is over, or raise why it is."""
    if step.error is not None:
        raise step.error
    assert step.batch is not None, "a wait is over by a reading or by an error"
    return fitting(step.batch, results=request.results, most=MAX_PAYLOAD)


def _not_ended(step: Step, pause: float) -> ApplicationError:
    """Return the failure with which the server calls again: benign, so that no log or metric counts it."""
    if step.batch is not None:
        now = standing(step.batch)
    else:
        now = "not read" if step.error is None else f"not read: {step.error.detail}"
    return ApplicationError(
        f"{step.ref}: {now}; next poll in {pause:.1f} s ({step.reason})",
        type=NOT_ENDED,
        next_retry_delay=timedelta(seconds=max(pause, 0.001)),  # 0 is the retry policy's own
        category=ApplicationErrorCategory.BENIGN,
    )


def _leaving() -> ApplicationError:
    return ApplicationError(
        "this worker shuts down; another one goes on from the checkpoint",
        type=NOT_ENDED,
        next_retry_delay=TAKE_UP,
        category=ApplicationErrorCategory.BENIGN,
    )


def _refused(error: BatchStatusError) -> ApplicationError:
    """Return the failure for a refusal that is believed: the same again would not mend it."""
    return ApplicationError(str(error), _evidence(error), type=type(error).__name__, non_retryable=True)


def _timed_out(request: WaitRequest, error: WaitError) -> ApplicationError:
    stands = "unread" if error.last is None else standing(error.last)
    failed = getattr(error.__cause__, "detail", None)
    return ApplicationError(
        f"{request.ref}: still {stands} after {request.timeout:.1f} s"
        + ("" if failed is None else f"; the last poll failed: {failed}"),
        _evidence(error),
        type=WAIT_TIMEOUT,
        non_retryable=True,
    )


def _evidence(error: BatchStatusError) -> dict[str, Any]:
    """Return the details of a failure: the last reading, and the checkpoint with which another wait goes on."""
    last = None if error.last is None else fitting(error.last, results=False, most=MAX_PAYLOAD)
    return {"last": last, "checkpoint": error.checkpoint}


def _outcome(outcome: Outcome, most: int) -> dict[str, Any]:
    error = outcome.error
    return {
        "batch": None if outcome.batch is None else fitting(outcome.batch, results=False, most=most),
        "error": None if error is None else {"type": type(error).__name__, "message": str(error)[: most // 2]},
    }
