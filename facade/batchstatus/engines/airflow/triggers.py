"""The triggers: waits in a triggerer, thousands in one process.

The paths of these classes and their arguments stand in users' databases, encrypted, while their tasks are deferred, and
outlive upgrades: a name stays, an argument is only ever added, with a default. No argument is a key: a triggerer has
the keys from the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Hashable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from batchstatus import AsyncFollow, BatchRef, BatchState, ConfigurationError
from batchstatus import Outcome as Reading

from . import waits
from .clients import shared_client

PACKAGE = "batchstatus.engines.airflow"
HOLD = 10.0
"""Seconds after its start before which a trigger does not fire. One that fires before the scheduler has taken note that
the worker deferred fails its task: 5 of 32 did so (Airflow 3.3; apache/airflow#66374, #67287, #71580, #72716)."""
POLL = 30.0
"""Seconds: the longest gap between two polls of a batch, but for the vendor's Retry-After."""

log = logging.getLogger("batchstatus.airflow")


class BatchTrigger(BaseTrigger):
    """Waits for one batch, until an absolute time, and fires once, with JSON.

    `status` is "ended", "timeout" or "refused" (it cannot be read); `ref`; `batch` is the last reading as
    `Batch.to_dict` gives it, without results, or None; `error` is the name of an error class, and `message` its text.

    Args:
        ref: The batch.
        conn_id: The id of the connection; all triggers that name the same one share a client.
        end_time: When the wait ends, aware, or its ISO text. A trigger that starts later polls once.
        until: States that end the wait besides the terminal ones.
        poll: The longest gap between two polls, in seconds.
        checkpoint: Of the poll that the worker has made.
        hold: Seconds after the start before which nothing is fired.

    Raises:
        ConfigurationError: An argument cannot work.
    """

    def __init__(  # noqa: PLR0917 (arguments may come by position from users' own operators)
        self,
        ref: str,
        conn_id: str,
        end_time: datetime | str,
        until: Iterable[str] = (),
        poll: float = POLL,
        checkpoint: Mapping[str, Any] | None = None,
        hold: float = HOLD,
    ) -> None:
        super().__init__()
        self.ref, self.conn_id = str(BatchRef.parse(ref)), conn_id
        self.end_time = _aware(end_time)
        self.until = states(until)
        self.poll, self.hold = float(poll), float(hold)
        self.checkpoint = checkpoint

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the path of the class and its arguments, as the database keeps them."""
        return f"{PACKAGE}.BatchTrigger", {
            "ref": self.ref,
            "conn_id": self.conn_id,
            "end_time": self.end_time.isoformat(),
            "until": self.until,
            "poll": self.poll,
            "checkpoint": None if self.checkpoint is None else dict(self.checkpoint),
            "hold": self.hold,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire."""
        loop = asyncio.get_running_loop()
        earliest = loop.time() + self.hold
        found = await waits.wait(
            BatchRef.parse(self.ref),
            self.conn_id,
            until=[*map(BatchState, self.until)],
            poll=self.poll,
            end_time=self.end_time,
            resume=self.checkpoint,
        )
        await asyncio.sleep(max(earliest - loop.time(), 0.0))
        yield TriggerEvent(found)


class BatchEventTrigger(BaseEventTrigger):
    """Fires when a batch ends, for an AssetWatcher; all that name the same connection share one wait.

        Asset("points", watchers=[AssetWatcher(name="points", trigger=BatchEventTrigger("shop:1748392"))])

    It fires once for each batch, also across restarts of the triggerer: that it has is kept in the asset's state store.
    The event's payload is that of BatchTrigger. A batch that the vendor refuses fires nothing, and is logged.

    Args:
        ref: The batch.
        conn_id: The id of the connection; default: the vendor's name with `_default`.
        until: States that fire besides the terminal ones.
        poll: The longest gap between two polls, in seconds.

    Raises:
        ConfigurationError: An argument cannot work.
    """

    def __init__(self, ref: str, conn_id: str | None = None, until: Iterable[str] = (), poll: float = POLL) -> None:
        super().__init__()
        parsed = BatchRef.parse(ref)
        self.ref, self.conn_id = str(parsed), conn_id or f"{parsed.vendor}_default"
        self.until, self.poll = states(until), float(poll)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the path of the class and its arguments, as the database keeps them."""
        return f"{PACKAGE}.BatchEventTrigger", {
            "ref": self.ref,
            "conn_id": self.conn_id,
            "until": self.until,
            "poll": self.poll,
        }

    def shared_stream_key(self) -> Hashable:
        """Return what the wait is shared by."""
        return _stream_key(self.ref, self.conn_id, self.poll)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Reading]:
        """Follow all batches of a connection, for all triggers of this group."""
        key = _stream_key(kwargs["ref"], kwargs["conn_id"], kwargs["poll"])
        shared = _following(key)
        async with shared_client(kwargs["conn_id"], BatchRef.parse(kwargs["ref"]), kwargs["poll"]) as one:
            client = await one.client()
            async with client.follow(shared.refs) as following:
                shared.following = following
                try:
                    async for reading in following:
                        yield reading
                finally:
                    shared.following = None

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Reading]) -> AsyncIterator[TriggerEvent]:
        """Fire once, and then rest: a trigger that ends is started again."""
        ref, done = BatchRef.parse(self.ref), f"batchstatus:{self.ref}"
        wanted = {*map(BatchState, self.until)}
        if not await self._has_fired(done):
            shared = _following(self.shared_stream_key())
            shared.add(ref)
            try:
                async for reading in shared_stream:
                    if reading.ref != ref:
                        continue
                    if reading.error is not None:
                        log.error("%s: it fires nothing: %s", ref, reading.error.detail)
                        break
                    batch = reading.unwrap()
                    if batch.has_ended or batch.state in wanted:
                        yield TriggerEvent(waits.outcome(waits.ENDED, ref, batch=batch))
                        await self._set_fired(done)
                        break
            finally:
                shared.discard(ref)
        async for _ in shared_stream:
            pass

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Do the same alone, for an Airflow without shared streams."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event

    async def _has_fired(self, key: str) -> bool:
        return self.asset_state_store is not None and bool(await self.asset_state_store.aget(key))

    async def _set_fired(self, key: str) -> None:
        if self.asset_state_store is not None:
            await self.asset_state_store.aset(key, datetime.now(UTC).isoformat())


class _Following:
    """The batches of a group, and its wait while it runs."""

    def __init__(self) -> None:
        self._users: dict[BatchRef, int] = {}
        self.following: AsyncFollow | None = None

    @property
    def refs(self) -> list[BatchRef]:
        return [*self._users]

    def add(self, ref: BatchRef) -> None:
        self._users[ref] = self._users.get(ref, 0) + 1
        if self.following is not None:
            self.following.add([ref])

    def discard(self, ref: BatchRef) -> None:
        self._users[ref] -= 1
        if not self._users[ref]:
            del self._users[ref]
            if self.following is not None:
                self.following.discard([ref])


_groups: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Following]] = WeakKeyDictionary()


def _following(key: Hashable) -> _Following:
    """Return the batches of a group in this event loop."""
    return _groups.setdefault(asyncio.get_running_loop(), {}).setdefault(key, _Following())


def _stream_key(ref: str, conn_id: str, poll: float) -> Hashable:
    return "batchstatus", BatchRef.parse(ref).account_ref, conn_id, poll


def states(until: Iterable[str]) -> list[str]:
    """Return states as words in their order; raise ConfigurationError if one is not a state."""
    try:
        return sorted({BatchState(state).value for state in ([until] if isinstance(until, str) else until)})
    except (TypeError, ValueError):
        raise ConfigurationError(f"until takes states, such as ['requires_action'], not {until!r:.80}") from None


def _aware(when: datetime | str) -> datetime:
    try:
        found = datetime.fromisoformat(when) if isinstance(when, str) else when
        if found.utcoffset() is not None:
            return found.astimezone(UTC)
    except (AttributeError, ValueError):
        pass
    raise ConfigurationError(f"end_time is an aware datetime, or its ISO text, not {when!r:.40}")
