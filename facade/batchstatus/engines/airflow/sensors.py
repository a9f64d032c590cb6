"""The sensor: it reads in the worker, and leaves the wait to a trigger."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseOperator, BaseSensorOperator, Context
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferralTimeout,
)

from batchstatus import Batch, BatchFailed, BatchRef, BatchState, ConfigurationError, PollPolicy

from . import waits
from .hooks import hook_for
from .triggers import POLL, BatchTrigger, states

AWAY = 300.0
"""Seconds after the end of a wait for which a triggerer may be away; then a worker looks."""
TO_REPORT = 5.0
"""Seconds of an execution_timeout that are left to report; a tenth of one below 50 s."""


class BatchSensor(BaseSensorOperator):
    """Waits until a batch has ended; its XCom is the batch, as `Batch.from_dict` takes it, without results.

    It succeeds if the batch succeeded, single items that failed included (`Batch.has_failures`), or is in a state of
    `until`. It reads in the worker first: a batch that has ended does not defer.

    Args:
        ref: `vendor:id`, or `vendor/account:id`; a template.
        conn_id: The id of the connection; default: the vendor's name with `_default`. A template.
        until: States that end the wait besides the terminal ones, such as {"requires_action"}.
        deferrable: Whether a triggerer waits, so that no worker does; default: Airflow's `[operators]
            default_deferrable`.
        poke_interval: The longest gap between two polls, in seconds or a timedelta, but for the vendor's Retry-After;
            when they are likely to tell something, polls are closer.
        **kwargs: As BaseSensorOperator takes them. `timeout`, in seconds or a timedelta, is for all of it; an
            `execution_timeout` that is shorter ends it likewise. `soft_fail` skips the task if the batch failed, was
            cancelled, or did not end in time; what cannot be read fails it all the same: a wrong key, an unknown
            batch, a connection that is not there. `mode` is "poke" only. `exponential_backoff`, `max_wait` and
            `silent_fail` mean nothing: no outage fails it.

    Raises:
        AirflowSensorTimeout: The batch has not ended in time; with its state.
        AirflowFailException: It failed, was cancelled, or cannot be read; trying again would not mend that.
        ConfigurationError: An argument cannot work (a ValueError, as the DAG is parsed).
    """

    template_fields = ("ref", "conn_id")
    valid_modes = ("poke",)

    def __init__(
        self,
        *,
        ref: str,
        conn_id: str | None = None,
        until: Iterable[str] = (),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = POLL,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        PollPolicy(floor=min(1.0, self.poke_interval), ceiling=self.poke_interval)  # it says why it cannot work
        self.ref, self.conn_id = ref, conn_id
        self.until = states(until)
        self.deferrable = deferrable

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 (Airflow's)
        """Look; if the batch has not ended, wait here or in the triggerer."""
        end_time = datetime.now(UTC) + timedelta(seconds=self._seconds())
        ref, conn_id = self._batch()
        found = _run(waits.look(ref, conn_id, **self._how(), timeout=min(waits.FIRST_LOOK, self._seconds())))
        if found["status"] != waits.OPEN:
            return self._end(found)
        self.log.info("%s: %s", ref, waits.stands(found))
        resume = found["checkpoint"]
        if self.deferrable:
            self.defer(
                trigger=BatchTrigger(
                    str(ref),
                    conn_id,
                    end_time,
                    until=self.until,
                    poll=self.poke_interval,
                    checkpoint=resume,
                ),
                method_name="execute_complete",
                timeout=end_time - datetime.now(UTC) + timedelta(seconds=AWAY),
            )
        return self._end(_run(waits.wait(ref, conn_id, **self._how(), end_time=end_time, resume=resume)))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 (Airflow's)
        """Take the trigger's event."""
        return self._end(event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral; if that failed in Airflow, look once more before that is said.

        BaseSensorOperator would turn every failure into a skip if `soft_fail` is set.
        """
        try:
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            why, status = "no triggerer has answered", waits.TIMED_OUT
        except TaskDeferralError as error:
            why, status = f"the trigger failed in the triggerer ({error}); its log says why", waits.REFUSED
        ref, conn_id = self._batch()
        found = _run(waits.look(ref, conn_id, **self._how(), timeout=waits.LAST_LOOK))
        if found["status"] == waits.OPEN:
            found |= {"status": status, "message": f"still {waits.stands(found)}; {why}"}
        return self._end(found)

    def _batch(self) -> tuple[BatchRef, str]:
        """Return the batch and its connection, after their templates were rendered."""
        try:
            ref = BatchRef.parse(self.ref)
            return ref, self.conn_id or hook_for(ref.vendor).default_conn_name
        except ConfigurationError as error:
            raise AirflowFailException(str(error)) from None

    def _how(self) -> dict[str, Any]:
        return {"until": [*map(BatchState, self.until)], "poll": self.poke_interval}

    def _seconds(self) -> float:
        """Return the seconds for the wait: within the execution_timeout, which Airflow forgets as a task defers."""
        if self.execution_timeout is None:
            return float(self.timeout)
        within = self.execution_timeout.total_seconds()
        return min(float(self.timeout), within - min(TO_REPORT, within / 10))

    def _end(self, found: waits.Outcome) -> dict[str, Any]:
        """Return the batch of an outcome, or raise what Airflow is to know."""
        ref = found["ref"]
        if found["status"] == waits.TIMED_OUT:
            message = f"{ref}: no end within {self._seconds():g} s: {found['message']}"
            raise self._softly(AirflowSensorTimeout(message))
        if found["status"] != waits.ENDED:
            message = f"{ref}: {found['message']}"
            raise AirflowSkipException(message) if self.never_fail else AirflowFailException(message)
        batch = Batch.from_dict(found["batch"])
        if batch.state not in self.until:
            try:
                batch.raise_for_state()
            except BatchFailed as error:
                raise self._softly(AirflowFailException(str(error))) from None
        self.log.info("%s: %s", ref, waits.stands(found))
        fields: dict[str, Any] = found["batch"]
        return fields

    def _softly(self, error: Exception) -> Exception:
        return AirflowSkipException(str(error)) if self.soft_fail or self.never_fail else error


def _run(wait: Coroutine[Any, Any, waits.Outcome]) -> waits.Outcome:
    return asyncio.run(wait)
