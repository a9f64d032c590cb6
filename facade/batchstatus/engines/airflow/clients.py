"""One client for each event loop and connection, however many triggers wait with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakMethod

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from batchstatus import (
    AsyncBatchClient,
    AuthenticationError,
    BatchRef,
    BatchStatusError,
    ConfigurationError,
    PermissionDenied,
    PollPolicy,
)
from batchstatus.paces import paced

from .hooks import account_of, hook_for, keys_of, pace_conn_id, pace_url

log = logging.getLogger("batchstatus.airflow")

T = TypeVar("T")

FLOOR = 1.0
"""Seconds: the shortest gap between two polls of a batch, if the longest one is not shorter."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds between two tries to have the connection from Airflow."""


class _Key:
    """The current key of a connection. Equal ones share a pace, whatever loop they are used in."""

    def __init__(self, conn_id: str, name: str, renew: Callable[[], object]) -> None:
        self._of = conn_id, name
        self._renew = WeakMethod(renew)  # the process keeps a pace for ever, and it keeps this
        self._value = ""

    def set(self, value: str) -> bool:
        """Take a key; return whether it is another one."""
        differs, self._value = value != self._value, value
        return differs

    def expire(self) -> None:
        """Fetch it from the connection again: the vendor has refused it."""
        if (renew := self._renew()) is not None:
            renew()

    def __call__(self) -> str:
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._of == other._of

    def __hash__(self) -> int:
        return hash(self._of)

    def __repr__(self) -> str:
        return f"<{self._of[1]} of the connection {self._of[0]!r}: hidden>"


class SharedClient:
    """The client of one connection in one event loop, for as long as any wait uses it.

    Keys that are changed in Airflow are taken up once the vendor refuses the old ones.
    """

    def __init__(self, conn_id: str, ref: BatchRef, poll: float) -> None:
        self.users = 0
        self._conn_id, self._ref, self._poll = conn_id, ref, poll
        self._kind = hook_for(ref.vendor).ACCOUNT
        self._keys = {name: _Key(conn_id, name, self._renew) for name in self._kind.KEY_HEADERS}
        self._version = 0
        self._renewing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._client: AsyncBatchClient | None = None
        self._pace: Any = None

    async def client(self) -> AsyncBatchClient:
        """Return the client; the first caller makes it.

        Raises:
            ConfigurationError: The connection does not exist, or cannot work.
        """
        async with self._lock:
            if self._client is None:
                self._client = await self._made()
            return self._client

    async def call(self, use: Callable[[AsyncBatchClient], Awaitable[T]]) -> T:
        """Use the client; if the vendor refuses the keys, again with those that the connection has now."""
        client = await self.client()
        while True:
            version = self._version
            try:
                return await use(client)
            except (AuthenticationError, PermissionDenied):
                if self._version == version:
                    await asyncio.shield(self._renew())
                if self._version == version:
                    raise

    async def close(self) -> None:
        """Close the client, and the connection to a server of paces."""
        if self._renewing is not None:
            self._renewing.cancel()
        if self._client is not None:
            await self._client.close()
        if self._pace is not None:
            await self._pace.close()

    async def _made(self) -> AsyncBatchClient:
        connection = await fetched(self._conn_id)
        self._take_keys(connection)
        account = account_of(self._kind, connection, self._keys, name=self._ref.account)
        if pace := pace_conn_id(connection):
            (account,) = paced(pace_url(await fetched(pace)), [account])
            self._pace = account.rate_limit
        policy = PollPolicy(floor=min(FLOOR, self._poll), ceiling=self._poll)
        return AsyncBatchClient(account, poll=policy)

    def _renew(self) -> asyncio.Task[None]:
        """Return the task that fetches the keys again; there is one at a time."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.get_running_loop().create_task(self._renewed())
        return self._renewing

    async def _renewed(self) -> None:
        try:
            self._take_keys(await fetched(self._conn_id))
        except ConfigurationError as error:
            log.warning("%s", error)

    def _take_keys(self, connection: Connection) -> None:
        changes = [self._keys[name].set(key) for name, key in keys_of(self._kind, connection).items()]
        self._version += any(changes)


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[object, ...], SharedClient]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_client(conn_id: str, ref: BatchRef, poll: float) -> AsyncIterator[SharedClient]:
    """Give the client of a connection in this event loop; the last one who leaves closes it.

    Args:
        conn_id: The connection's id.
        ref: A batch: its vendor and account count.
        poll: The longest gap between two polls of a batch, in seconds; another one is another client.
    """
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    name = conn_id, ref.vendor, ref.account, poll
    if name not in clients:
        clients[name] = SharedClient(conn_id, ref, poll)
    shared = clients[name]
    shared.users += 1
    try:
        yield shared
    finally:
        shared.users -= 1
        if not shared.users:
            del clients[name]
            await shared.close()


async def fetched(conn_id: str) -> Connection:
    """Return a connection; if Airflow or its secrets backend cannot give it just now, ask again.

    Raises:
        ConfigurationError: There is none.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            connection: Connection = await BaseHook.aget_connection(conn_id)
            return connection
        except AirflowNotFoundException:
            break
        except BatchStatusError:
            raise
        except Exception as error:  # noqa: BLE001 (backends raise what they like)
            log.warning("the connection %r cannot be had just now: %s", conn_id, type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    raise ConfigurationError(f"Airflow has no connection {conn_id!r}")
