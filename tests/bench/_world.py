"""A world in which time is a number: batches that end, and a driver that performs what a Schedule decides."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from batchstatus import BatchRef, BatchState, Counts, PollPolicy, RetryPolicy
from batchstatus._core.account import ErrorFields, Request, StatusFields
from batchstatus._core.read.messages import Response, StepResult
from batchstatus._core.wait.durations import Durations
from batchstatus._core.wait.queue import Queue
from batchstatus._core.wait.schedule import Schedule, StartPoll

UTC0 = datetime(2025, 1, 27, tzinfo=UTC)
REQUEST = Request(url="https://127.0.0.1/", keys={})


class World:
    """A vendor (as `Schedule` sees one) whose bodies say `r`unning or `e`nded, and counts and creation if given."""

    STATUSES = (200,)
    ERRORS: dict[str, Any] = {}
    ADVICE: dict[Any, str] = {}

    def state_of(self, word: str) -> BatchState:
        return BatchState.SUCCEEDED if word == "e" else BatchState.RUNNING

    def request(self, batch_id: str) -> Request:
        return REQUEST

    def status_fields(self, body: dict[str, Any]) -> StatusFields:
        counts = Counts(total=100, processed=body["p"]) if "p" in body else Counts()
        created = None if body.get("c") is None else UTC0 + timedelta(seconds=body["c"])
        return StatusFields(id=None, status=body["s"], counts=counts, raw=None, created_at=created)

    def error_fields(self, body: Any) -> ErrorFields:
        return ErrorFields()


def refs(number: int) -> list[BatchRef]:
    return [BatchRef("believe", str(n)) for n in range(number)]


def schedule(
    queues: Queue | Mapping[BatchRef, Queue],
    refs: list[BatchRef],
    *,
    poll: PollPolicy = PollPolicy(),  # noqa: B008 (it is frozen)
    history: Callable[[BatchRef], Durations | None] | None = None,
) -> Schedule:
    """Return a wait that has all the time of the world, for batches of one account, or with a queue for each."""
    by_ref = dict.fromkeys(refs, queues) if isinstance(queues, Queue) else queues
    options = {"poll": poll, "retry": RetryPolicy(), "in_flight": 256, "history": history}
    return Schedule(by_ref, started=0.0, timeout=1e9, **options)


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


RUNNING, ENDED = body(s="r"), body(s="e")


def play(
    wait: Schedule,
    answer: Callable[[StartPoll, float], Response | bytes],
    *,
    takes: Callable[[], float] = lambda: 0.0,
    until: Callable[[float], bool] = lambda now: False,
) -> float:
    """Drive a wait to its end, or until told; `answer(read, now)` is asked when a read is half over."""
    now, order = 0.0, 0
    under_way: list[tuple[float, int, bool, StartPoll, Any]] = []
    while not until(now):
        wait.events.clear()
        step = wait.step(now, UTC0)
        if isinstance(step, StartPoll):
            took = takes()
            order += 1
            heapq.heappush(under_way, (now + took / 2, order, False, step, now + took))
            continue
        if step is None:
            return now
        rest = now + step.seconds
        if not under_way or under_way[0][0] > rest:
            now = rest
            continue
        now, _, answered, read, what = heapq.heappop(under_way)
        if answered:
            wait.take_result(read, StepResult(what, now, UTC0 + timedelta(seconds=now)))
        else:
            content = answer(read, now)
            if isinstance(content, bytes):
                content = Response(status=200, headers={}, body=content)
            order += 1
            heapq.heappush(under_way, (what, order, True, read, content))
    return now
