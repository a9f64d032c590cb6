"""One poll of a wait that another program drives: a workflow engine, or cron. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any

from attrs import evolve, field, frozen

from batchstatus._core.errors import BatchStatusError
from batchstatus._core.events import Event, EventKind
from batchstatus._core.read.messages import SendRequest, Sleep, StepResult
from batchstatus._core.values import Batch, BatchRef

from .schedule import Schedule, StartPoll

NO_PACE = 5.0
"""Seconds until the next step if the pace cannot be asked."""


@frozen(kw_only=True)
class Step:
    """One poll, and when to make the next."""

    ref: BatchRef
    batch: Batch | None
    """What the poll has read; None if it failed, or nothing was sent."""
    error: BatchStatusError | None
    """Why it failed. The wait goes on all the same, unless `pause` is None."""
    pause: float | None
    """Seconds until the next step; None if the wait is over: in a state that was waited for, or refused."""
    reason: str
    """Why then."""
    checkpoint: dict[str, Any] = field(repr=False)
    """For `resume` of the next step, or of a `wait`: JSON-ready, without a key."""

    @property
    def is_over(self) -> bool:
        """Whether this was the last step."""
        return self.pause is None


def take_step(
    schedule: Schedule, timeout: float, now: float, utc: datetime, notify: Callable[[Event], None]
) -> Generator[SendRequest | Sleep, StepResult, Step]:
    """Make one poll of a wait for one batch; nothing is sent if its time has not come within `timeout` seconds."""
    end = now + timeout
    events: list[Event] = []
    try:
        _pass_on(schedule, notify)
        while not schedule.events:
            step = schedule.step(now, utc)
            if isinstance(step, StartPoll):
                send = evolve(step.send, deadline=min(step.send.deadline, end))
                result = yield send
                schedule.take_result(step, result)
            else:
                pause = 0.0 if step is None else step.seconds
                if now + pause >= end:
                    return _put_off(schedule, pause, now, utc)
                result = yield Sleep(pause)
            now, utc = result.monotonic, result.utc
        events = list(schedule.events)
    finally:
        schedule.close()
        _pass_on(schedule, notify)
    poll = next(event for event in events if event.kind is EventKind.ATTEMPT)
    over = next((event for event in events if event.kind is EventKind.DONE), None)
    return Step(
        ref=poll.ref,
        batch=poll.batch,
        error=poll.error if over is None else over.error,
        pause=poll.pause if over is None else None,
        reason=poll.reason,
        checkpoint=schedule.checkpoint(now, utc),
    )


def _pass_on(schedule: Schedule, notify: Callable[[Event], None]) -> None:
    while schedule.events:
        notify(schedule.events.popleft())


def _put_off(schedule: Schedule, pause: float, now: float, utc: datetime) -> Step:
    """Return a step in which nothing is sent: the pace has no slot in its time, or cannot be asked."""
    made, error = schedule.checkpoint(now, utc), schedule.no_pace()
    return Step(
        ref=BatchRef.parse(made["ref"]),
        batch=None,
        error=error,
        pause=pause if error is None else max(pause, NO_PACE),
        reason="nothing was sent: the pace of the account " + ("has no slot before" if error is None else "is away"),
        checkpoint=made,
    )
