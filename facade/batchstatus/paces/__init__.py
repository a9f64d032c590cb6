"""Paces that several machines share, so that a vendor's limit holds over all of them: `redis` and `postgres`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from batchstatus import Account, ConfigurationError, RateLimit

if TYPE_CHECKING:
    from .postgres import AsyncPostgresPace, PostgresPace
    from .redis import AsyncRedisPace, RedisPace


def paced(url: str, accounts: Iterable[Account], *, when_lost: str = "wait", in_threads: bool = False) -> list[Account]:
    """Return copies of accounts, whose paces are kept on a server; those without a limit as is.

    Args:
        url: `redis://`, `rediss://`, `unix://` or `postgresql://`; it may hold a password, which shows nowhere.
        accounts: Of any vendor. Accounts with the same keys share a pace.
        when_lost: "wait": without the server nothing is sent. "local": reads go on, at a share of the limit.
        in_threads: False: for an AsyncBatchClient. True: for a BatchClient.

    Raises:
        ConfigurationError: The URL cannot work.
        ImportError: The extra `redis` or `postgres` is missing.
    """
    make = _kind(url.partition("://")[0] if isinstance(url, str) else "", in_threads=in_threads)
    return [
        account.with_rate_limit(make(url, account, when_lost=when_lost))
        if isinstance(account.rate_limit, RateLimit)
        else account
        for account in accounts
    ]


def _kind(
    scheme: str, *, in_threads: bool
) -> type[AsyncRedisPace | RedisPace] | type[AsyncPostgresPace | PostgresPace]:
    if scheme in {"redis", "rediss", "unix"}:
        from .redis import AsyncRedisPace, RedisPace  # noqa: PLC0415 (an extra)

        return RedisPace if in_threads else AsyncRedisPace
    if scheme in {"postgresql", "postgres"}:
        from .postgres import AsyncPostgresPace, PostgresPace  # noqa: PLC0415 (an extra)

        return PostgresPace if in_threads else AsyncPostgresPace
    raise ConfigurationError("a shared pace is written redis://host:6379/0 or postgresql://user@host/database")
