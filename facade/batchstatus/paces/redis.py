"""One pace for all machines, kept in Redis (5 or newer, or Valkey): `pip install 'batchstatus[redis]'`.

account = Shop(key)
client = BatchClient(account.with_rate_limit(RedisPace("redis://paces.example:6379/0", account)))
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from batchstatus import Account, ConfigurationError

from ._rules import Read, Stored, Swap, name_of
from ._server_pace import TIMEOUT, AsyncServerPace, ServerPace

try:
    import redis.asyncio
    import redis.exceptions
except ImportError:
    raise ImportError("batchstatus.paces.redis needs redis-py: pip install 'batchstatus[redis]'") from None

READ = """
local time = redis.call('TIME')
return {redis.call('GET', KEYS[1]) or '', time[1], time[2], 0}
"""
SWAP = """
local time, text, is_new = redis.call('TIME'), redis.call('GET', KEYS[1]) or '', 0
if text == ARGV[1] then
    text, is_new = ARGV[2], 1
    redis.call('SET', KEYS[1], text, 'EX', ARGV[3])
end
return {text, time[1], time[2], is_new}
"""
PREFIX = "batchstatus:"
SALT = f"{PREFIX}salt"
KEPT = 86_400
"""Seconds after its last use for which a pace is kept."""


class AsyncRedisPace(AsyncServerPace):
    """An AsyncPace for AsyncBatchClient, shared by all who give the same server and the same keys.

    It runs on the server's clock, under a keyed hash of the account's keys, whose salt the server keeps. A server that
    is away is a read that fails as PaceUnavailable at its deadline.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py takes it; it may hold a password, which shows nowhere.
        account: Whose keys and whose RateLimit count.
        when_lost: "wait": without the server nothing is sent. "local": reads go on at the limit divided by the number
            of processes that have booked a slot in the last 30 s; should more of them start meanwhile, it is exceeded.

    Raises:
        ConfigurationError: The URL, the account or `when_lost` cannot work.
    """

    LOST = (redis.exceptions.RedisError, OSError, TimeoutError)

    def __init__(self, url: str, account: Account, *, when_lost: str = "wait") -> None:
        super().__init__(account, when_lost)
        self._client = _client(url)
        self._scripts = {Read: self._client.register_script(READ), Swap: self._client.register_script(SWAP)}
        self._key = ""

    async def _ask(self, step: Read | Swap) -> Stored:
        if not self._key:
            await self._client.set(SALT, secrets.token_hex(16), nx=True)
            self._key = PREFIX + name_of(self._rules.account, await self._client.get(SALT))
        arguments = [step.old or "", step.new, KEPT] if isinstance(step, Swap) else []
        text, seconds, micros, is_new = await self._scripts[type(step)](keys=[self._key], args=arguments)
        server = int(seconds) + int(micros) / 1e6
        return Stored(text.decode() or None, server, time.monotonic(), is_new=bool(is_new))

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        await self._client.aclose()


class RedisPace(ServerPace):
    """The same for BatchClient."""

    ASYNC = AsyncRedisPace


def _client(url: str) -> Any:
    """Return a client that tries each call once: what comes then is for the pace to decide."""
    try:
        return redis.asyncio.Redis.from_url(
            url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=None, retry_on_timeout=False
        )
    except (ValueError, TypeError, AttributeError) as error:
        # Its text may hold the URL, and so a password.
        text = f"a Redis server is written redis://host:6379/0, not as this URL is ({type(error).__name__})"
        raise ConfigurationError(text) from None
