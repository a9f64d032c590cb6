"""One pace for all machines, kept in a table of PostgreSQL (12 or newer): `pip install 'batchstatus[postgres]'`.

account = Shop(key)
client = BatchClient(account.with_rate_limit(PostgresPace("postgresql://paces.example/app", account)))

The table `batchstatus_paces` is made if it is not there; a role that may not make it needs SELECT, INSERT and UPDATE on
it. It has a row for each set of keys.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from batchstatus import Account, ConfigurationError

from ._rules import Read, Stored, Swap, name_of
from ._server_pace import TIMEOUT, AsyncServerPace, ServerPace

try:
    import psycopg
    import psycopg.conninfo
except ImportError:
    raise ImportError("batchstatus.paces.postgres needs psycopg: pip install 'batchstatus[postgres]'") from None

TABLE = "CREATE TABLE IF NOT EXISTS batchstatus_paces (name text PRIMARY KEY, kept text NOT NULL)"
ROW = "INSERT INTO batchstatus_paces (name, kept) VALUES (%(name)s, %(kept)s) ON CONFLICT DO NOTHING"
THERE = "SELECT to_regclass('batchstatus_paces') IS NOT NULL"
TEXT = "SELECT kept FROM batchstatus_paces WHERE name = %(name)s"
READ = """
    SELECT (SELECT kept FROM batchstatus_paces WHERE name = %(name)s),
        extract(epoch FROM clock_timestamp())::float8, false
"""
SWAP = """
    WITH changed AS (
        UPDATE batchstatus_paces SET kept = %(new)s WHERE name = %(name)s AND kept = %(old)s RETURNING kept
    )
    SELECT coalesce((SELECT kept FROM changed), (SELECT kept FROM batchstatus_paces WHERE name = %(name)s)),
        extract(epoch FROM clock_timestamp())::float8, EXISTS (SELECT 1 FROM changed)
"""
SALT = "salt"
OPTIONS: dict[str, Any] = {
    "connect_timeout": 2,  # of libpq, which takes no less
    "tcp_user_timeout": int(TIMEOUT * 1000),
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    # A pace that a crash sets back by some milliseconds is worth no wait for the disk: 5 ms a slot with it, 1 without.
    "options": f"-c statement_timeout={int(TIMEOUT * 1000)} -c synchronous_commit=off",
    "application_name": "batchstatus",
}


class AsyncPostgresPace(AsyncServerPace):
    """An AsyncPace for AsyncBatchClient, shared by all who give the same database and the same keys.

    It runs on the server's clock, under a keyed hash of the account's keys, whose salt the table keeps. A server that
    is away is a read that fails as PaceUnavailable at its deadline.

    Args:
        url: `postgresql://`, or a connection string of libpq; it may hold a password, which shows nowhere.
        account: Whose keys and whose RateLimit count.
        when_lost: "wait": without the server nothing is sent. "local": reads go on at the limit divided by the number
            of processes that have booked a slot in the last 30 s; should more of them start meanwhile, it is exceeded.

    Raises:
        ConfigurationError: The URL, the account or `when_lost` cannot work.
    """

    LOST = (psycopg.Error, OSError, TimeoutError)

    def __init__(self, url: str, account: Account, *, when_lost: str = "wait") -> None:
        super().__init__(account, when_lost)
        self._url = _conninfo(url)
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._name = ""

    async def _ask(self, step: Read | Swap) -> Stored:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, **OPTIONS)
            self._name = await self._prepared(self._connection)
        if isinstance(step, Swap):
            query, values = SWAP, {"name": self._name, "old": step.old or "", "new": step.new}
        else:
            query, values = READ, {"name": self._name}
        text, server, is_new = await (await self._connection.execute(query, values)).fetchone() or (None, 0.0, False)
        if text is None:
            raise psycopg.OperationalError("the row of the pace is gone")  # the next connection makes it again
        return Stored(text or None, server, time.monotonic(), is_new=is_new)

    async def _prepared(self, connection: psycopg.AsyncConnection[Any]) -> str:
        """Make the table and the row if need be, and return the row's name."""
        if await self._value(connection, THERE) is not True:
            await connection.execute(TABLE)
        await connection.execute(ROW, {"name": SALT, "kept": secrets.token_hex(16)})
        name = name_of(self._rules.account, await self._value(connection, TEXT, name=SALT))
        await connection.execute(ROW, {"name": name, "kept": ""})
        return name

    async def _value(self, connection: psycopg.AsyncConnection[Any], query: str, **values: str) -> Any:
        (value,) = await (await connection.execute(query, values)).fetchone() or (None,)
        return value

    async def close(self) -> None:
        """Close the connection; the next call opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class PostgresPace(ServerPace):
    """The same for BatchClient."""

    ASYNC = AsyncPostgresPace


def _conninfo(url: str) -> str:
    try:
        psycopg.conninfo.conninfo_to_dict(url)
    except (psycopg.Error, TypeError, AttributeError):
        # Its text holds the URL, and so perhaps a password.
        raise ConfigurationError("a database is written postgresql://user@host:5432/name, not as this URL is") from None
    return url
